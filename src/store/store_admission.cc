// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Who may have memory: quotas, guarantees, and how those wait who can't have it now.
#include <algorithm>
#include <span>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/size.h"
#include "store/store.h"

namespace vineyard::store {

namespace {

uint64_t MissingFiles(std::span<const Chunk> chunks) {
  return static_cast<uint64_t>(
      std::ranges::count_if(chunks, [](const Chunk& chunk) { return !chunk.fd.valid(); }));
}

}  // namespace

uint64_t Store::Reserve(Volume& volume, uint64_t client, uint64_t size, os::TimePoint deadline,
                        std::function<void(Result<Extent*>)> ready) {
  const uint64_t ticket = next_ticket_++;
  if (size <= options_.inline_max) {
    ReserveSmall(volume, client, size, ready);
    return ticket;
  }
  const uint64_t limit = LimitOf(volume);
  if (size > limit) {
    ready(Status::OutOfMemory(
        fmt::format("asked for {}, which never fits: the limit is {}, of which {} are free{}",
                    FormatSize(size), FormatSize(limit),
                    FormatSize(std::min(budget_.FreeFor(volume.holder()), volume.QuotaLeft())),
                    ExplainGuarantees(volume.holder()))));
    return ticket;
  }
  deadline = MakeRoom(volume, size, deadline);
  waiting_[ticket] = std::make_shared<Waiting>();
  if (MustWaitForQuota(volume, size)) {
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

// No memory yet: the bytes come with the put.
void Store::ReserveSmall(Volume& volume, uint64_t client, uint64_t size,
                         const std::function<void(Result<Extent*>)>& ready) {
  auto extent = std::make_unique<Extent>();
  extent->blob = NextId().own_blob();
  extent->volume = volume.id();
  extent->size = size;
  extent->state = ExtentState::kReserved;
  extent->owner = client;
  Extent* made = extent.get();
  extents_[made->blob.value()] = std::move(extent);
  if (ClientState* c = clients_->Find(client)) c->reservations.insert(made->blob.value());
  ready(made);
}

void Store::Admit(uint64_t ticket, Volume& volume, uint64_t client, uint64_t size,
                  os::TimePoint deadline, std::function<void(Result<Extent*>)> ready) {
  ReadyChunks::Taken taken = ready_.Take(size);
  const Holder who = volume.holder();
  uint64_t pages = 0;
  for (const Chunk& chunk : taken.chunks) pages += chunk.size;
  const Amount amount{pages, taken.chunks.size()};
  if (Status may = MayMakeFiles(who, MissingFiles(taken.chunks)); !may.ok()) {
    ready_.Return(std::move(taken.chunks));
    waiting_.erase(ticket);
    return ready(std::move(may));
  }
  const std::shared_ptr<Waiting> waiting = waiting_.at(ticket);
  bool admitted = budget_.TryTake(who, amount, taken.ready);
  if (!admitted) {
    CheckLingering();
    admitted = budget_.TryTake(who, amount, taken.ready);
  }
  if (admitted) {
    return Make(ticket, volume, client, size, std::move(taken.chunks), std::move(ready));
  }
  // Files are counted for those whose turn it is, not for all who wait.
  ready_.Return(std::move(taken.chunks));
  waiting->volume = volume.id();
  waiting->promised = pages;
  volume.Promise(pages);
  waiting->budget_id = budget_.Wait(
      who, {pages}, deadline, [this, ticket, waiting, client, size, pages, ready](Status granted) {
        waiting->budget_id = 0;
        Unpromise(*waiting);
        Volume* v = FindVolume(waiting->volume);
        if (granted.ok() && v != nullptr && !waiting->cancelled) {
          return MakeGranted(ticket, *v, client, size, pages, ready);
        }
        waiting_.erase(ticket);
        if (!granted.ok()) return ready(std::move(granted));
        budget_.Give(Holder{waiting->volume}, {pages});
        if (!waiting->cancelled) ready(Status::NotFound("the volume is gone"));
      });
  if (spiller_ != nullptr) spiller_->Balance();
}

void Store::MakeGranted(uint64_t ticket, Volume& volume, uint64_t client, uint64_t size,
                        uint64_t pages, const std::function<void(Result<Extent*>)>& ready) {
  ReadyChunks::Taken taken = ready_.Take(size);
  Status may = MayMakeFiles(volume.holder(), MissingFiles(taken.chunks));
  if (!may.ok()) {
    ready_.Return(std::move(taken.chunks));
    waiting_.erase(ticket);
    budget_.Give(volume.holder(), {pages});
    return ready(std::move(may));
  }
  // What is at hand was granted a second time.
  budget_.DropSpare(taken.ready);
  budget_.Take(volume.holder(), {.files = taken.chunks.size()});
  Make(ticket, volume, client, size, std::move(taken.chunks), ready);
}

Status Store::MayMakeFiles(Holder who, uint64_t files) const {
  return may_make_files && files > 0 ? may_make_files(who, files) : Status();
}

void Store::Unpromise(Waiting& waiting) {
  const uint64_t promised = std::exchange(waiting.promised, 0);
  Volume* volume = FindVolume(waiting.volume);
  if (volume != nullptr) volume->Unpromise(promised);
}

bool Store::MustWaitForQuota(const Volume& volume, uint64_t bytes) const {
  return bytes > volume.QuotaLeft() ||
         std::ranges::any_of(quota_waiters_,
                             [&](const QuotaWaiter& w) { return w.volume == volume.id(); });
}

// Of each volume in the order they came: a large one is not passed by small ones for ever.
void Store::PumpQuota() {
  std::unordered_set<uint64_t> full;
  for (auto it = quota_waiters_.begin(); it != quota_waiters_.end();) {
    const Volume* v = FindVolume(it->volume);
    if (v != nullptr && (full.contains(it->volume) || it->bytes > v->QuotaLeft())) {
      full.insert(it->volume);
      ++it;
      continue;
    }
    const QuotaWaiter waiter = std::move(*it);
    quota_waiters_.erase(it);
    waiter.go(Status::OK());
    it = quota_waiters_.begin();
  }
  if (spiller_ != nullptr) spiller_->Balance();
}

void Store::CancelReserve(uint64_t ticket) {
  if (spiller_ != nullptr) spiller_->Cancel(ticket);
  const auto it = waiting_.find(ticket);
  if (it == waiting_.end()) return;
  it->second->cancelled = true;
  if (quota_waiters_.remove_if([&](const QuotaWaiter& w) { return w.ticket == ticket; }) > 0) {
    waiting_.erase(it);
  } else if (it->second->budget_id != 0) {
    budget_.Cancel(it->second->budget_id);
    const std::shared_ptr<Waiting> waiting = it->second;
    waiting_.erase(it);
    Unpromise(*waiting);
    budget_.Pump();
    PumpQuota();
  }
}

uint64_t Store::WaitForRoom(const Volume& volume, uint64_t bytes, os::TimePoint deadline,
                            std::function<void(Status)> ready) {
  const uint64_t ticket = next_ticket_++;
  waiting_[ticket] = std::make_shared<Waiting>();
  deadline = MakeRoom(volume, bytes, deadline);
  if (bytes > volume.QuotaLeft()) {
    quota_waiters_.push_back(
        {ticket, volume.id(), bytes, deadline, [this, ticket, ready](Status s) {
           waiting_.erase(ticket);
           ready(std::move(s));
         }});
    return ticket;
  }
  return WaitInBudget(ticket, volume.holder(), bytes, deadline, std::move(ready));
}

uint64_t Store::WaitForGuarantee(const CatalogSpec& spec, os::TimePoint deadline,
                                 std::function<void(Status)> ready) {
  const uint64_t ticket = next_ticket_++;
  const Holder who{spec.volume};
  waiting_[ticket] = std::make_shared<Waiting>();
  deadline = MakeRoom(who, spec.guaranteed, deadline);
  WaitInBudget(ticket, who, spec.guaranteed, deadline, std::move(ready));
  budget_.Pump();
  return ticket;
}

uint64_t Store::WaitInBudget(uint64_t ticket, Holder who, uint64_t bytes, os::TimePoint deadline,
                             std::function<void(Status)> ready) {
  waiting_.at(ticket)->budget_id = budget_.Wait(
      who, {bytes}, deadline, [this, ticket, who, bytes, ready = std::move(ready)](Status granted) {
        waiting_.erase(ticket);
        // Given back at once, without letting the next one in: `ready` takes what it needs itself.
        if (granted.ok()) budget_.Untake(who, {bytes});
        ready(std::move(granted));
      });
  if (spiller_ != nullptr) spiller_->Balance();
  return ticket;
}

// ---- guarantees

Status Store::CheckGuarantee(const CatalogSpec& spec) const {
  if (spec.quota != 0 && spec.guaranteed > spec.quota) {
    return Status::Invalid(
        fmt::format("{} are to be guaranteed to volume '{}', whose quota is {}; guarantee no more "
                    "than the quota",
                    FormatSize(spec.guaranteed), spec.name, FormatSize(spec.quota)));
  }
  const uint64_t left = budget_.limit() - budget_.guaranteed();
  if (spec.guaranteed <= left) return {};
  return Status::OutOfMemory(
      fmt::format("{} are to be guaranteed to volume '{}', and of the instance's {} other volumes "
                  "are guaranteed {}; guarantee at most {}, or start the instance with a larger "
                  "--size",
                  FormatSize(spec.guaranteed), spec.name, FormatSize(budget_.limit()),
                  FormatSize(budget_.guaranteed()), FormatSize(left)));
}

// Those who keep most first.
std::string Store::ExplainGuarantees(Holder who) const {
  constexpr size_t kMostNamed = 3;
  const std::map<Holder, uint64_t> kept = budget_.KeptForOthers(who);
  if (kept.empty()) return {};
  std::vector<std::pair<uint64_t, std::string>> parts;
  uint64_t sum = 0;
  for (const auto& [holder, bytes] : kept) {
    const auto volume = volumes_.find(static_cast<uint64_t>(holder));
    parts.emplace_back(bytes, volume == volumes_.end() ? "?" : volume->second->name());
    sum += bytes;
  }
  std::ranges::sort(parts, std::greater());
  std::string text = fmt::format("; {} are kept free, guaranteed to ", FormatSize(sum));
  for (size_t i = 0; i < std::min(parts.size(), kMostNamed); ++i) {
    text += fmt::format("{}volume '{}' ({})", i == 0 ? "" : ", ", parts[i].second,
                        FormatSize(parts[i].first));
  }
  if (parts.size() > kMostNamed) text += fmt::format(" and {} more", parts.size() - kMostNamed);
  return text;
}

}  // namespace vineyard::store
