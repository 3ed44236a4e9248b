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
  MakeRoom(volume, size);
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
  MakeRoom(volume, bytes);
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

}  // namespace vineyard::store
