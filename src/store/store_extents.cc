// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The memory of large objects: how it is made, and given back.
#include <algorithm>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/size.h"
#include "os/crash_point.h"
#include "os/memfd.h"
#include "os/process.h"
#include "store/store.h"

namespace vineyard::store {

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
  making->others_are_about = [heard = heard_, volume = volume.id()] {
    return heard->AnotherThan(volume, os::Clock::now());
  };
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
        making->status = store::MakeMissing(making->chunks, making->others_are_about);
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
  e.state = ExtentState::kReserved;
  if (!making.status.ok() || cancelled || c == nullptr || FindVolume(e.volume) == nullptr) {
    Status why = making.status.ok() ? Status::Cancelled("the client is gone") : making.status;
    e.chunks = std::move(making.chunks);
    for (Chunk& chunk : e.chunks) chunk.fd.Reset();
    FreeExtent(making.blob);
    if (!cancelled) making.ready(std::move(why));
    return;
  }
  e.chunks = std::move(making.chunks);
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
  const auto is_made = [](const Chunk& chunk) { return chunk.fd.valid(); };
  if (std::ranges::none_of(extent->chunks, is_made)) {
    if (extent->pages > 0) budget_.Give(HolderOf(*extent), AmountOf(*extent));
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
        const Amount amount = AmountOf(*shared);
        pool_([shared] { shared->chunks.clear(); },
              [this, shared, amount] {
                freeing_bytes_ -= shared->pages;
                budget_.Give(HolderOf(*shared), amount);
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
