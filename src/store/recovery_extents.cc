// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The memory of large objects, taken over: whole in memory, or on the disk, or nobody's.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "store/recovery.h"

namespace vineyard::store {

void Recovery::AdoptExtents() {
  std::map<uint64_t, std::vector<HeldMemory*>> blobs;
  for (HeldMemory& h : held_) {
    if (h.item.kind == HeldKind::kChunk) blobs[h.item.a].push_back(&h);
  }
  for (auto& [blob, items] : blobs) {
    if (spilled_.contains(blob) || store_.extents_.contains(blob)) {
      DropChunks(blob, items);
    } else {
      AdoptExtent(blob, std::move(items));
    }
  }
  if (store_.spiller() != nullptr) AdoptSpilled();
}

// Of an extent that was half evicted, or half loaded: nobody else has them. Gone from the keeper before it is
// given others of that blob.
void Recovery::DropChunks(uint64_t blob, const std::vector<HeldMemory*>& chunks) {
  auto closing = std::make_shared<std::vector<os::UniqueFd>>();  // the pool's, then nobody's
  uint64_t pages = 0;
  for (HeldMemory* h : chunks) {
    store_.keeper_.Drop(HeldKind::kChunk, blob, h->item.b, {});
    pages += h->item.c;
    closing->push_back(std::move(h->fd));
  }
  const Holder who{chunks[0]->item.e};
  const Amount amount{pages, chunks.size()};
  store_.budget_.Take(who, amount);
  store_.pool_([closing] { closing->clear(); },
               [store = &store_, who, amount] { store->budget_.Give(who, amount); });
}

void Recovery::AdoptSpilled() {
  Spiller& spiller = *store_.spiller();
  for (auto& [blob, extent] : spilled_) {
    Volume* volume = store_.FindVolume(extent->volume);
    if (volume == nullptr || volume->Find(extent->blob) == nullptr) continue;
    volume->NoteUsage(extent->pages, 0);
    spiller.CountSpilled(*extent, 1);
    store_.extents_[blob] = std::move(extent);
    ++report_.spilled;
  }
  spilled_.clear();
  report_.orphaned_files = spiller.RemoveOrphans(
      restoring_->leaves_files() ? Spiller::Others::kLeave : Spiller::Others::kRemove);
}

void Recovery::AdoptExtent(uint64_t blob, std::vector<HeldMemory*> items) {
  std::ranges::sort(items, {}, [](const HeldMemory* h) { return h->item.b; });
  auto extent = std::make_unique<Extent>();
  extent->blob = ObjectId(blob);
  extent->volume = items[0]->item.e;
  for (HeldMemory* h : items) {
    extent->pages += h->item.c;
    extent->chunks.push_back({std::move(h->fd), h->item.c});
  }
  extent->size = extent->pages;
  const uint64_t owner = items[0]->item.d;
  const bool whole = items.size() == items[0]->item.f;
  for (const HeldMemory* h : items) {
    // What is freed below is dropped by its place in the extent.
    if (h->item.b >= items.size()) store_.keeper_.Drop(HeldKind::kChunk, blob, h->item.b, {});
  }
  store_.budget_.Take(HolderOf(*extent), AmountOf(*extent));
  Volume* volume = store_.FindVolume(extent->volume);
  if (volume != nullptr) volume->NoteUsage(extent->pages, 0);
  Extent* raw = extent.get();
  store_.extents_[blob] = std::move(extent);
  if (published_extents_.contains(blob) && volume != nullptr) {
    raw->state = ExtentState::kSealed;
    raw->size = layout::FieldsOf(volume->Record(*volume->Find(ObjectId(blob)))).value;
    if (restoring_) raw->file_instance = restoring_->InstanceOf(raw->volume, blob);
    raw->on_disk = store_.spiller() != nullptr && store_.spiller()->HasFile(*raw);
    return;
  }
  raw->state = ExtentState::kReserved;
  ClientState* client = store_.clients_->Find(owner);
  if (client == nullptr || !whole || volume == nullptr) {
    // Its writer is gone, or was never told of it; or it was deleted and somebody still maps it.
    ++report_.freed_extents;
    store_.FreeExtent(ObjectId(blob));
    return;
  }
  raw->owner = owner;
  client->reservations.insert(blob);
  store_.unclaimed_.insert(blob);
  ++report_.reservations;
}

}  // namespace vineyard::store
