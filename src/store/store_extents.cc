// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The memory of large objects: how it is waited for, made, and given back.
#include <algorithm>

#include <fmt/format.h>

#include "base/size.h"
#include "os/crash_point.h"
#include "os/memfd.h"
#include "os/process.h"
#include "store/store.h"

namespace vineyard::store {

uint64_t Store::Reserve(Volume& volume, uint64_t client, uint64_t size, os::TimePoint deadline,
                        std::function<void(Result<Extent*>)> ready) {
  const uint64_t ticket = next_ticket_++;
  if (size <= options_.inline_max) {
    ReserveSmall(volume, client, size, ready);
    return ticket;
  }
  const uint64_t limit = LimitOf(volume);
  if (size > limit) {
    ready(Status::OutOfMemory(fmt::format(
        "asked for {}, which never fits: the limit is {}, of which {} are free", FormatSize(size),
        FormatSize(limit), FormatSize(std::min(budget_.free(), volume.QuotaLeft())))));
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
  uint64_t pages = 0;
  for (const Chunk& chunk : taken.chunks) pages += chunk.size;
  const std::shared_ptr<Waiting> waiting = waiting_.at(ticket);
  bool admitted = budget_.TryTake(pages - taken.ready);
  if (!admitted) {
    CheckLingering();
    admitted = budget_.TryTake(pages - taken.ready);
  }
  if (admitted) {
    budget_.UseSpare(taken.ready);
    return Make(ticket, volume, client, size, std::move(taken.chunks), std::move(ready));
  }
  ready_.Return(std::move(taken.chunks));
  waiting->budget_id = budget_.Wait(
      pages, deadline,
      [this, ticket, waiting, id = volume.id(), client, size, pages, ready](Status granted) {
        waiting->budget_id = 0;
        Volume* v = FindVolume(id);
        if (granted.ok() && v != nullptr && !waiting->cancelled) {
          // What is at hand was granted a second time.
          ReadyChunks::Taken now = ready_.Take(size);
          budget_.DropSpare(now.ready);
          return Make(ticket, *v, client, size, std::move(now.chunks), ready);
        }
        waiting_.erase(ticket);
        if (!granted.ok()) return ready(std::move(granted));
        budget_.Give(pages);
        if (!waiting->cancelled) ready(Status::NotFound("the volume is gone"));
      });
  if (spiller_ != nullptr) spiller_->Balance();
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

// REQUIRES: the pages have been taken from the budget.
void Store::Make(uint64_t ticket, Volume& volume, uint64_t client, uint64_t size,
                 std::vector<Chunk> chunks, std::function<void(Result<Extent*>)> ready) {
  auto extent = std::make_unique<Extent>();
  extent->blob = NextId().own_blob();
  extent->volume = volume.id();
  extent->size = size;
  extent->owner = client;
  for (const Chunk& chunk : chunks) extent->pages += chunk.size;
  volume.NoteUsage(extent->pages, 0);
  if (spiller_ != nullptr) spiller_->NoteUse(*extent, Spiller::Use::kCameIntoMemory);
  ready_.NoteDemand(size, os::Clock::now());
  auto making = std::make_shared<Making>();
  making->ticket = ticket;
  making->client = client;
  making->blob = extent->blob;
  making->ready = std::move(ready);
  making->chunks = std::move(chunks);
  extents_[extent->blob.value()] = std::move(extent);
  const auto present = [](const Chunk& chunk) { return chunk.fd.valid(); };
  if (std::ranges::all_of(making->chunks, present)) {
    HandOver(*making);
  } else {
    MakeMissing(std::move(making));
  }
}

// Where the machine has no pages left although the limit allows them, ready chunks go first, once.
void Store::MakeMissing(std::shared_ptr<Making> making) {
  pool_(
      [making] {
        making->sacrificed.chunks.clear();
        making->status = store::MakeMissing(making->chunks);
      },
      [this, making] {
        const bool tried = making->sacrificed.ready > 0;
        budget_.DropSpare(std::exchange(making->sacrificed.ready, 0));
        if (making->status.Is(StatusCode::kOutOfMemory) && !tried) {
          making->sacrificed = ready_.TakeAll();
          if (making->sacrificed.ready > 0) return MakeMissing(making);
        }
        HandOver(*making);
      });
}

void Store::HandOver(Making& making) {
  const auto waiting = waiting_.extract(making.ticket);
  const bool cancelled = waiting.empty() || waiting.mapped()->cancelled;
  Extent& e = *extents_.at(making.blob.value());
  ClientState* c = clients_->Find(making.client);
  if (making.status.ok()) e.chunks = std::move(making.chunks);
  e.state = ExtentState::kReserved;
  if (!making.status.ok() || cancelled || c == nullptr || FindVolume(e.volume) == nullptr) {
    Status why = making.status.ok() ? Status::Cancelled("the client is gone") : making.status;
    making.chunks.clear();
    FreeExtent(making.blob);
    if (!cancelled) making.ready(std::move(why));
    return;
  }
  os::CrashPoint("reserve.made");
  for (size_t i = 0; i < e.chunks.size(); ++i) {
    keeper_.Hold({.kind = HeldKind::kChunk,
                  .a = making.blob.value(),
                  .b = i,
                  .c = e.chunks[i].size,
                  .d = making.client,
                  .e = e.volume,
                  .f = e.chunks.size()},
                 e.chunks[i].fd);
    os::CrashPoint("reserve.between_holds");
  }
  os::CrashPoint("reserve.held");
  c->reservations.insert(making.blob.value());
  making.ready(&e);
  ready_.Refill();
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
    waiting_.erase(it);
    budget_.Pump();
  }
}

uint64_t Store::WaitForRoom(const Volume& volume, uint64_t bytes, os::TimePoint deadline,
                            std::function<void(Status)> ready) {
  const uint64_t ticket = next_ticket_++;
  auto waiting = std::make_shared<Waiting>();
  waiting_[ticket] = waiting;
  deadline = MakeRoom(volume, bytes, deadline);
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
  if (spiller_ != nullptr) spiller_->Balance();
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
  if (spiller_ != nullptr && spiller_->TakeDeleted(extent)) return;
  GiveBack(std::move(extent));
}

void Store::GiveBack(std::unique_ptr<Extent> extent) {
  const ObjectId blob = extent->blob;
  const ClientState* writer = clients_->Find(extent->owner);
  const bool unused = extent->claimed || (writer != nullptr && os::HasEnded(writer->pidfd));
  if (extent->chunks.empty()) {
    if (extent->pages > 0) budget_.Give(extent->pages);
    return;
  }
  lingering_bytes_ += extent->pages;
  Extent* raw = extent.get();
  lingering_[blob.value()] = std::move(extent);
  raw->state = ExtentState::kMaking;  // a pool thread is at it
  freeing_bytes_ += raw->pages;
  os::CrashPoint("free.begin");
  pool_(
      [raw, unused] {
        // A dead writer's child that still maps what was never sealed finds zeros, and keeps no memory;
        // of sealed memory nothing may change, and punching is refused. While the writer lives, arrays
        // of its own may lie there, whatever it has said: their memory is counted, and left alone.
        if (!unused) return;
        bool empty = true;
        for (const Chunk& chunk : raw->chunks) empty &= os::PunchAll(chunk.fd, chunk.size).ok();
        // A mapping of it that an idle owner still has keeps nothing.
        raw->claimed = raw->claimed && empty;
      },
      [this, blob] {
        auto node = lingering_.extract(blob.value());
        lingering_bytes_ -= node.mapped()->pages;
        freeing_bytes_ -= node.mapped()->pages;
        Retire(std::move(node.mapped()));
      });
}

void Store::Retire(std::unique_ptr<Extent> extent) {
  if (extent->claimed || !IsHeldElsewhere(*extent)) return Close(std::move(extent));
  extent->state = ExtentState::kLingering;
  lingering_bytes_ += extent->pages;
  const uint64_t blob = extent->blob.value();
  lingering_[blob] = std::move(extent);
}

void Store::Close(std::unique_ptr<Extent> extent) {
  const uint64_t blob = extent->blob.value();
  const size_t count = extent->chunks.size();
  std::shared_ptr<Extent> shared = std::move(extent);
  freeing_bytes_ += shared->pages;
  for (size_t i = 0; i < count; ++i) {
    std::function<void()> then;
    if (i + 1 == count) {
      then = [this, shared] {
        os::CrashPoint("free.keeper_dropped");
        pool_([shared] { shared->chunks.clear(); },
              [this, shared] {
                freeing_bytes_ -= shared->pages;
                budget_.Give(shared->pages);
                ready_.Refill();
              });
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

}  // namespace vineyard::store
