// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/store.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "base/size.h"
#include "os/memfd.h"
#include "os/process.h"

namespace vineyard::store {

namespace {

uint64_t FirstIdOfNow() {
  using namespace std::chrono;
  const auto now = duration_cast<seconds>(system_clock::now().time_since_epoch()).count();
  return static_cast<uint64_t>(now) << 16;
}

}  // namespace

Store::Store(const StoreOptions& options, MemoryKeeper& keeper, RunOnPool pool)
    : options_(options), keeper_(keeper), pool_(std::move(pool)), budget_(options.limit) {}

Store::~Store() {
  // Volumes give back what they hold, and that would let in who waits.
  for (const auto& [ticket, waiting] : waiting_) budget_.Cancel(waiting->budget_id);
  volumes_.clear();
}

Result<std::unique_ptr<Store>> Store::Create(const StoreOptions& options, MemoryKeeper& keeper,
                                             RunOnPool pool) {
  std::unique_ptr<Store> store(new Store(options, keeper, std::move(pool)));
  VY_RETURN_IF_ERROR(store->OpenLedger());
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

Status Store::ReserveMemory() {
  if (!options_.reserve_memory || budget_.free() == 0) return {};
  auto ready = ReadyChunks::Make(budget_.free());
  if (!ready.ok()) {
    return Status::OutOfMemory(fmt::format("--reserve_memory: {} are not to be had: {}",
                                           FormatSize(budget_.free()), ready.status().message()));
  }
  ready_ = std::move(*ready);
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
  for (const ObjectId blob : gone) FreeExtent(blob);
  it->second->arenas().Clear();
  keeper_.Drop(HeldKind::kListener, id, 0, {});
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
  return volume.quota() == 0 ? options_.limit : std::min(volume.quota(), options_.limit);
}

std::string Store::ExplainMemory(uint64_t asked) const {
  uint64_t objects = 0;
  uint64_t reserved = 0;
  std::unordered_set<uint64_t> blobs;
  for (const auto& [blob, extent] : extents_) {
    (extent->state == ExtentState::kSealed ? objects : reserved) += extent->pages;
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
  const std::string who = clients_->WhoHolds(blobs);
  if (!who.empty()) text += "; mapped or reserved by " + who;
  return text + "; delete objects, or start the instance with a larger --size";
}

// ---- extents

uint64_t Store::Reserve(Volume& volume, uint64_t client, uint64_t size, os::TimePoint deadline,
                        std::function<void(Result<Extent*>)> ready) {
  const uint64_t ticket = next_ticket_++;
  auto waiting = std::make_shared<Waiting>();
  waiting_[ticket] = waiting;
  const auto fail = [&](Status status) {
    pool_([] {},
          [this, ticket, waiting, ready, status] {
            waiting_.erase(ticket);
            if (!waiting->cancelled) ready(status);
          });
    return ticket;
  };
  if (size <= options_.inline_max) {
    // No memory yet: the bytes come with the put.
    auto extent = std::make_unique<Extent>();
    extent->blob = NextId().own_blob();
    extent->volume = volume.id();
    extent->size = size;
    extent->state = ExtentState::kReserved;
    extent->owner = client;
    const ObjectId blob = extent->blob;
    extents_[blob.value()] = std::move(extent);
    if (ClientState* c = clients_->Find(client)) c->reservations.insert(blob.value());
    pool_([] {},
          [this, ticket, waiting, ready, blob] {
            waiting_.erase(ticket);
            Extent* made = FindExtent(blob);
            if (made == nullptr) return;
            if (waiting->cancelled) return Abort(*made);
            ready(made);
          });
    return ticket;
  }
  const uint64_t limit = LimitOf(volume);
  if (size > limit) {
    return fail(Status::OutOfMemory(fmt::format(
        "asked for {}, which never fits: the limit is {}, of which {} are free", FormatSize(size),
        FormatSize(limit), FormatSize(std::min(budget_.free(), volume.QuotaLeft())))));
  }
  if (size > volume.QuotaLeft()) {
    quota_waiters_.push_back(
        {ticket, volume.id(), size, deadline,
         [this, ticket, id = volume.id(), client, size, deadline, ready](Status granted) {
           Volume* v = FindVolume(id);
           if (granted.ok() && v != nullptr)
             return Admit(ticket, *v, client, size, deadline, ready);
           waiting_.erase(ticket);
           ready(granted.ok() ? Status::NotFound("the volume is gone") : std::move(granted));
         }});
    return ticket;
  }
  Admit(ticket, volume, client, size, deadline, std::move(ready));
  return ticket;
}

void Store::Admit(uint64_t ticket, Volume& volume, uint64_t client, uint64_t size,
                  os::TimePoint deadline, std::function<void(Result<Extent*>)> ready) {
  uint64_t pages = 0;
  for (const uint64_t chunk : PlanChunks(size)) pages += chunk;
  const std::shared_ptr<Waiting> waiting = waiting_.at(ticket);
  const auto go = [this, ticket, waiting, id = volume.id(), client, size, pages,
                   ready = std::move(ready)](Status granted) {
    if (!granted.ok()) {
      waiting_.erase(ticket);
      return ready(std::move(granted));
    }
    Volume* v = FindVolume(id);
    if (v == nullptr || waiting->cancelled) {
      waiting_.erase(ticket);
      budget_.Give(pages);
      if (!waiting->cancelled) ready(Status::NotFound("the volume is gone"));
      return;
    }
    waiting->budget_id = 0;
    Make(ticket, *v, client, size, ready);
  };
  bool taken = budget_.TryTake(pages);
  if (!taken) {
    CheckLingering();
    taken = budget_.TryTake(pages);
  }
  if (taken) {
    go(Status::OK());
  } else {
    waiting->budget_id = budget_.Wait(pages, deadline, go);
  }
}

void Store::PumpQuota() {
  for (auto it = quota_waiters_.begin(); it != quota_waiters_.end();) {
    const Volume* v = FindVolume(it->volume);
    if (v != nullptr && it->bytes > v->QuotaLeft()) {
      ++it;
      continue;
    }
    const QuotaWaiter waiter = std::move(*it);
    quota_waiters_.erase(it);
    waiter.go(Status::OK());
    it = quota_waiters_.begin();
  }
}

// REQUIRES: the pages have been taken from the budget.
void Store::Make(uint64_t ticket, Volume& volume, uint64_t client, uint64_t size,
                 std::function<void(Result<Extent*>)> ready) {
  auto extent = std::make_unique<Extent>();
  extent->blob = NextId().own_blob();
  extent->volume = volume.id();
  extent->size = size;
  extent->owner = client;
  const ObjectId blob = extent->blob;
  std::vector<uint64_t> sizes = PlanChunks(size, ready_ ? ReadyChunks::kLargest : kLargestChunk);
  for (const uint64_t s : sizes) extent->pages += s;
  volume.NoteUsage(extent->pages, 0);
  extents_[blob.value()] = std::move(extent);
  auto made = std::make_shared<Result<std::vector<Chunk>>>(Status::Internal("not made"));
  pool_(
      [made, sizes, ready_chunks = ready_] {
        *made = ready_chunks ? ready_chunks->Take(sizes) : MakeChunks(sizes);
      },
      [this, made, ticket, blob, client, ready] {
        const auto waiting = waiting_.extract(ticket);
        const bool cancelled = waiting.empty() || waiting.mapped()->cancelled;
        Extent& e = *extents_.at(blob.value());
        ClientState* c = clients_->Find(client);
        if (made->ok()) e.chunks = std::move(*made).value();
        e.state = ExtentState::kReserved;
        if (!made->ok() || cancelled || c == nullptr || FindVolume(e.volume) == nullptr) {
          Status why = made->ok() ? Status::Cancelled("the client is gone") : made->status();
          FreeExtent(blob);
          if (!cancelled) ready(std::move(why));
          return;
        }
        os::CrashPoint("reserve.made");
        for (size_t i = 0; i < e.chunks.size(); ++i) {
          keeper_.Hold({.kind = HeldKind::kChunk,
                        .a = blob.value(),
                        .b = i,
                        .c = e.chunks[i].size,
                        .d = client,
                        .e = e.volume,
                        .f = e.chunks.size()},
                       e.chunks[i].fd);
          os::CrashPoint("reserve.between_holds");
        }
        os::CrashPoint("reserve.held");
        c->reservations.insert(blob.value());
        ready(&e);
      });
}

void Store::CancelReserve(uint64_t ticket) {
  const auto it = waiting_.find(ticket);
  if (it == waiting_.end()) return;
  it->second->cancelled = true;
  if (quota_waiters_.remove_if([&](const QuotaWaiter& w) { return w.ticket == ticket; }) > 0) {
    waiting_.erase(it);
  } else if (it->second->budget_id != 0) {
    budget_.Cancel(it->second->budget_id);
    waiting_.erase(it);
    budget_.Pump();
  }
}

uint64_t Store::WaitForRoom(const Volume& volume, uint64_t bytes, os::TimePoint deadline,
                            std::function<void(Status)> ready) {
  const uint64_t ticket = next_ticket_++;
  auto waiting = std::make_shared<Waiting>();
  waiting_[ticket] = waiting;
  if (bytes > volume.QuotaLeft()) {
    quota_waiters_.push_back(
        {ticket, volume.id(), bytes, deadline, [this, ticket, ready](Status s) {
           waiting_.erase(ticket);
           ready(std::move(s));
         }});
    return ticket;
  }
  waiting->budget_id = budget_.Wait(bytes, deadline, [this, ticket, bytes, ready](Status granted) {
    waiting_.erase(ticket);
    // Given back at once, without letting the next one in: `ready` takes what it needs itself.
    if (granted.ok()) budget_.Untake(bytes);
    ready(std::move(granted));
  });
  return ticket;
}

Result<Extent*> Store::FindReservation(uint64_t client, ObjectId blob) {
  Extent* extent = FindExtent(blob);
  if (extent == nullptr || extent->state != ExtentState::kReserved || extent->owner != client) {
    return Status::NotFound("no reservation " + blob.ToString() + " of this client");
  }
  return extent;
}

Extent* Store::FindExtent(ObjectId blob) {
  const auto it = extents_.find(blob.value());
  return it == extents_.end() ? nullptr : it->second.get();
}

void Store::Abort(Extent& extent) { FreeExtent(extent.blob); }

void Store::RestoreSmallReservation(ClientState& client, ObjectId blob) {
  const Volume* volume = FindVolume(client.volume);
  if (!blob.is_blob() || blob.owner_of_blob().value() >= next_id_ || volume == nullptr ||
      volume->Find(blob) != nullptr || volume->Find(blob.owner_of_blob()) != nullptr ||
      extents_.contains(blob.value()) || lingering_.contains(blob.value())) {
    return;
  }
  auto extent = std::make_unique<Extent>();
  extent->blob = blob;
  extent->volume = client.volume;
  extent->size = options_.inline_max;
  extent->state = ExtentState::kReserved;
  extent->owner = client.key;
  extents_[blob.value()] = std::move(extent);
  client.reservations.insert(blob.value());
}

void Store::FreeExtent(ObjectId blob) {
  const auto it = extents_.find(blob.value());
  if (it == extents_.end()) return;
  std::unique_ptr<Extent> extent = std::move(it->second);
  extents_.erase(it);
  if (Volume* v = FindVolume(extent->volume)) v->NoteUsage(0, extent->pages);
  if (ClientState* owner = clients_->Find(extent->owner)) {
    owner->reservations.erase(blob.value());
  }
  const bool sealed = extent->state == ExtentState::kSealed;
  if (extent->chunks.empty()) {
    if (extent->pages > 0) budget_.Give(extent->pages);
    return;
  }
  lingering_bytes_ += extent->pages;
  Extent* raw = extent.get();
  lingering_[blob.value()] = std::move(extent);
  raw->state = ExtentState::kMaking;  // a pool thread is at it
  os::CrashPoint("free.begin");
  pool_(
      [raw, sealed] {
        // Whoever still maps what was never sealed (a forked child of a dead writer) finds zeros, and
        // keeps no memory. Of sealed memory nothing may change; punching is refused then.
        if (sealed) return;
        for (const Chunk& chunk : raw->chunks) os::PunchAll(chunk.fd, chunk.size).IgnoreError();
      },
      [this, blob] {
        auto node = lingering_.extract(blob.value());
        lingering_bytes_ -= node.mapped()->pages;
        Retire(std::move(node.mapped()));
      });
}

void Store::Retire(std::unique_ptr<Extent> extent) {
  if (!IsHeldElsewhere(*extent)) return Close(std::move(extent));
  extent->state = ExtentState::kLingering;
  lingering_bytes_ += extent->pages;
  const uint64_t blob = extent->blob.value();
  lingering_[blob] = std::move(extent);
}

void Store::Close(std::unique_ptr<Extent> extent) {
  const uint64_t blob = extent->blob.value();
  const size_t count = extent->chunks.size();
  std::shared_ptr<Extent> shared = std::move(extent);
  for (size_t i = 0; i < count; ++i) {
    std::function<void()> then;
    if (i + 1 == count) {
      then = [this, shared] {
        os::CrashPoint("free.keeper_dropped");
        pool_(
            [shared, ready_chunks = ready_] {
              shared->chunks.clear();
              if (ready_chunks) ready_chunks->Refill(shared->pages);
            },
            [this, shared] { budget_.Give(shared->pages); });
      };
    }
    keeper_.Drop(HeldKind::kChunk, blob, i, std::move(then));
  }
}

void Store::CheckLingering() {
  std::vector<uint64_t> free;
  for (const auto& [blob, extent] : lingering_) {
    if (extent->state == ExtentState::kLingering && !IsHeldElsewhere(*extent)) free.push_back(blob);
  }
  for (const uint64_t blob : free) {
    auto node = lingering_.extract(blob);
    lingering_bytes_ -= node.mapped()->pages;
    Close(std::move(node.mapped()));
  }
}

// ---- clients

void Store::ForgetClient(uint64_t key) {
  ClientState* client = clients_->Find(key);
  if (client == nullptr) return;
  const std::vector<uint64_t> reservations(client->reservations.begin(),
                                           client->reservations.end());
  for (const uint64_t blob : reservations) FreeExtent(ObjectId(blob));
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
  return next;
}

void Store::Tick(os::TimePoint now) {
  CheckLingering();
  budget_.Expire(now, [this](uint64_t bytes) { return ExplainMemory(bytes); });
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
}

bool Store::MoveSome() {
  constexpr size_t kRecordsAtOnce = 64;
  bool more = false;
  for (const auto& [id, volume] : volumes_) more |= volume->MoveSome(kRecordsAtOnce);
  return more;
}

}  // namespace vineyard::store
