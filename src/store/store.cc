// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/store.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "base/size.h"
#include "os/crash_point.h"
#include "os/memfd.h"

namespace vineyard::store {

namespace {

uint64_t FirstIdOfNow() {
  using namespace std::chrono;
  const auto now = duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
  return static_cast<uint64_t>(now) << 16;
}

}  // namespace

Store::Store(const StoreOptions& options, MemoryKeeper& keeper, RunOnPool pool)
    : options_(options), keeper_(keeper), pool_(std::move(pool)), budget_(options.limit),
      ready_(budget_, pool_, options.toucher) {
  ready_.SetMayMake([this](uint64_t files) { return MayMakeFiles(Holder{}, files); });
}

Store::~Store() {
  spiller_.reset();
  // Volumes give back what they hold, and that would let in who waits.
  for (const auto& [ticket, waiting] : waiting_) budget_.Cancel(waiting->budget_id);
  volumes_.clear();
}

Result<std::unique_ptr<Store>> Store::Create(const StoreOptions& options, MemoryKeeper& keeper,
                                             RunOnPool pool) {
  std::unique_ptr<Store> store(new Store(options, keeper, std::move(pool)));
  VY_RETURN_IF_ERROR(store->OpenLedger());
  if (options.disk != nullptr) store->StartSpilling();
  return store;
}

Status Store::OpenLedger() {
  VY_ASSIGN_OR_RETURN(ledger_fd_, os::CreateMemfd("vineyard-ledger", layout::kLedgerSize));
  VY_ASSIGN_OR_RETURN(ledger_mapping_,
                      os::Mapping::Open(ledger_fd_, layout::kLedgerSize, os::Access::kReadWrite));
  ledger_ = layout::Ledger(ledger_mapping_.data());
  next_id_ = FirstIdOfNow();
  ledger_.Initialize(options_.generation, next_id_);
  keeper_.Hold({.kind = HeldKind::kLedger, .a = options_.generation, .c = layout::kLedgerSize},
               ledger_fd_);
  clients_ = std::make_unique<ClientTable>(ledger_);
  return {};
}

void Store::StartSpilling() {
  Spiller::Surroundings around{
      .extents = extents_,
      .budget = budget_,
      .clients = *clients_,
      .keeper = keeper_,
      .pool = pool_,
      .disk = *options_.disk,
      .instance = options_.instance[0],
      .freeing = [this] { return freeing_bytes_; },
      .give_back = [this](std::unique_ptr<Extent> extent) { GiveBack(std::move(extent)); },
      .announce =
          [this](bool is_short) {
            for (const auto& [id, volume] : volumes_) volume->catalog().AnnounceShortage(is_short);
          },
      .may_make_files = [this](Holder who, uint64_t files) { return MayMakeFiles(who, files); },
      .explain = [this](uint64_t asked) { return ExplainMemory(Holder{}, asked); },
      .rearm =
          [this] {
            if (on_deadline) on_deadline();
          }};
  spiller_ = std::make_unique<Spiller>(std::move(around), options_.spill_marks);
}

Status Store::ReserveMemory() {
  if (!options_.reserve_memory || budget_.free() == 0) return {};
  if (Status s = ready_.KeepAll(); !s.ok()) {
    return Status::OutOfMemory(fmt::format("--reserve_memory: {} are not to be had: {}",
                                           FormatSize(budget_.free()), s.message()));
  }
  return {};
}

ObjectId Store::NextId() {
  const uint64_t id = next_id_++;
  ledger_.header().next_id.store(next_id_, std::memory_order_relaxed);
  return ObjectId(id);
}

// ---- volumes

Status Store::CreateVolume(CatalogSpec spec, std::function<void(Result<Volume*>)> ready) {
  if (spec.name.empty() || spec.name.size() > layout::kMaxVolumeName) {
    return Status::Invalid(fmt::format("a volume's name has 1 to {} bytes, not {}",
                                       layout::kMaxVolumeName, spec.name.size()));
  }
  if (FindVolume(spec.name) != nullptr || FindVolume(spec.volume) != nullptr) {
    return Status::AlreadyExists(fmt::format("volume '{}' exists", spec.name));
  }
  VY_RETURN_IF_ERROR(CheckGuarantee(spec));
  spec.generation = options_.generation;
  std::ranges::copy(options_.instance, spec.instance);
  auto volume =
      std::make_unique<Volume>(spec.volume, spec.name, spec.quota, *this, budget_, keeper_, pool_);
  Volume* raw = volume.get();
  auto catalog =
      Catalog::Create(spec, budget_, keeper_, [this, id = spec.volume, ready = std::move(ready)] {
        Volume* v = FindVolume(id);
        if (v == nullptr) return ready(Status::Cancelled("the volume was removed meanwhile"));
        os::CrashPoint("create_volume.held");
        if (Status opened = v->catalog().Open(); !opened.ok()) return ready(std::move(opened));
        os::CrashPoint("create_volume.opened");
        ready(v);
      });
  if (!catalog.ok()) return catalog.status();
  raw->SetCatalog(std::move(catalog).value());
  raw->catalog().AnnounceShortage(spiller_ != nullptr && spiller_->memory_is_short());
  budget_.Guarantee(raw->holder(), spec.guaranteed);
  next_volume_ = std::max(next_volume_, spec.volume + 1);
  volumes_[spec.volume] = std::move(volume);
  return {};
}

Status Store::RemoveVolume(uint64_t id, const ClientState* client, const layout::Answer& answer) {
  const auto it = volumes_.find(id);
  if (it == volumes_.end()) return Status::NotFound(fmt::format("no volume {}", id));
  const auto ends = layout::IntentChange::VolumeEnds(id);
  os::CrashPoint("remove_volume.before");
  ledger_.Publish(client ? client->key : 0, answer, {&ends, 1});
  os::CrashPoint("remove_volume.published");
  it->second->catalog().MarkRemoved();
  if (client != nullptr) clients_->Note(*client, answer);
  os::CrashPoint("remove_volume.noted");
  ledger_.Clear();
  os::CrashPoint("remove_volume.cleared");
  std::vector<ObjectId> gone;
  for (const auto& [blob, extent] : extents_) {
    if (extent->volume == id && extent->state != ExtentState::kMaking) gone.emplace_back(blob);
  }
  budget_.Guarantee(it->second->holder(), 0);
  for (const ObjectId blob : gone) FreeExtent(blob);
  it->second->arenas().Clear();
  for (const uint64_t which : {uint64_t{0}, uint64_t{1}})
    keeper_.Drop(HeldKind::kListener, id, which, {});
  volumes_.erase(it);
  return {};
}

Volume* Store::FindVolume(uint64_t id) {
  const auto it = volumes_.find(id);
  return it == volumes_.end() ? nullptr : it->second.get();
}

Volume* Store::FindVolume(std::string_view name) {
  for (const auto& [id, volume] : volumes_) {
    if (volume->name() == name) return volume.get();
  }
  return nullptr;
}

uint64_t Store::LimitOf(const Volume& volume) const {
  const uint64_t most = budget_.MostFor(volume.holder());
  return volume.quota() == 0 ? most : std::min(volume.quota(), most);
}

std::string Store::ExplainMemory(Holder who, uint64_t asked) const {
  uint64_t objects = 0;
  uint64_t reserved = 0;
  std::unordered_set<uint64_t> blobs;
  for (const auto& [blob, extent] : extents_) {
    if (IsStored(*extent) && !IsInMemory(*extent)) continue;
    (IsInMemory(*extent) ? objects : reserved) += extent->pages;
    blobs.insert(blob);
  }
  for (const auto& [blob, extent] : lingering_) blobs.insert(blob);
  uint64_t small = 0;
  for (const auto& [id, volume] : volumes_) small += volume->arenas().bytes_held();
  std::string text = fmt::format(
      "asked for {}, free {} of {}; held: {} in large objects, {} in small ones, {} "
      "reserved and not sealed, {} deleted but still mapped",
      FormatSize(asked), FormatSize(budget_.free()), FormatSize(budget_.limit()),
      FormatSize(objects), FormatSize(small), FormatSize(reserved), FormatSize(lingering_bytes_));
  text += ExplainGuarantees(who);
  const std::string holders = clients_->WhoHolds(blobs);
  if (!holders.empty()) text += "; mapped or reserved by " + holders;
  if (spiller_ != nullptr) text += spiller_->Explain();
  return text + "; delete objects, or start the instance with a larger --size";
}

// ---- clients

void Store::ForgetClient(uint64_t key) {
  ClientState* client = clients_->Find(key);
  if (client == nullptr) return;
  const std::vector<uint64_t> reservations(client->reservations.begin(),
                                           client->reservations.end());
  for (const uint64_t blob : reservations) FreeExtent(ObjectId(blob));
  if (Volume* volume = FindVolume(client->volume)) {
    const auto is_gone = [key](uint64_t c) { return c == key; };
    volume->ReleaseStreams(is_gone);
    volume->EndLeases(is_gone, os::Clock::now());
  }
  if (spiller_ != nullptr) spiller_->UnpinAll(*client);
  keeper_.Drop(HeldKind::kClient, key, 0, {});
  clients_->Remove(key);
  CheckLingering();
}

void Store::Released(ClientState& client, ObjectId blob) {
  client.mapped.erase(blob.value());
  const auto it = lingering_.find(blob.value());
  if (it == lingering_.end() || it->second->state != ExtentState::kLingering) return;
  if (IsHeldElsewhere(*it->second)) return;
  auto node = lingering_.extract(it);
  lingering_bytes_ -= node.mapped()->pages;
  Close(std::move(node.mapped()));
}

// ---- time

std::optional<os::TimePoint> Store::NextDeadline() const {
  std::optional<os::TimePoint> next = budget_.NextDeadline();
  for (const QuotaWaiter& w : quota_waiters_)
    next = next ? std::min(*next, w.deadline) : w.deadline;
  for (const auto& [id, volume] : volumes_) {
    const auto end = volume->NextNameEnd();
    if (end) next = next ? std::min(*next, *end) : *end;
  }
  const auto look = spiller_ != nullptr ? spiller_->NextLook() : std::nullopt;
  if (look) next = next ? std::min(*next, *look) : *look;
  if (const auto tick = ready_.NextTick()) next = next ? std::min(*next, *tick) : *tick;
  return next;
}

void Store::Tick(os::TimePoint now) {
  for (const auto& [id, volume] : volumes_) volume->DropEnded(now);
  CheckLingering();
  ready_.Tick(now);
  budget_.Expire(now, [this](Holder who, uint64_t bytes) { return ExplainMemory(who, bytes); });
  std::list<QuotaWaiter> expired;
  for (auto it = quota_waiters_.begin(); it != quota_waiters_.end();) {
    const auto next = std::next(it);
    if (it->deadline <= now) expired.splice(expired.end(), quota_waiters_, it);
    it = next;
  }
  for (const QuotaWaiter& w : expired) {
    const Volume* v = FindVolume(w.volume);
    w.go(Status::OutOfMemory(fmt::format(
        "asked for {}, but volume '{}' uses {} of its quota of {}; delete objects, or make the "
        "volume with a larger quota",
        FormatSize(w.bytes), v ? v->name() : "?", FormatSize(v ? v->usage() : 0),
        FormatSize(v ? v->quota() : 0))));
  }
  PumpQuota();
  if (spiller_ != nullptr) spiller_->Tick(now);
}

bool Store::MoveSome() {
  constexpr size_t kRecordsAtOnce = 64;
  bool more = false;
  for (const auto& [id, volume] : volumes_) more |= volume->MoveSome(kRecordsAtOnce);
  return more;
}

}  // namespace vineyard::store
