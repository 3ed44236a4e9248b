// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What names keep in memory: how much that is, and what a start has to bring back of it.
#include <algorithm>
#include <chrono>

#include "base/logging.h"
#include "store/store.h"

namespace vineyard::store {

namespace {

// So long one extent may wait for what is evicted for it. Others wait behind it.
constexpr std::chrono::seconds kPatience{10};

}  // namespace

void Store::KeptChanged(ObjectId blob, int by) {
  Extent* extent = FindExtent(blob);
  if (extent == nullptr) return;  // deleted
  const bool was = extent->kept > 0;
  extent->kept += static_cast<uint32_t>(by);
  const bool is = extent->kept > 0;
  Volume* volume = FindVolume(extent->volume);
  if (was != is && volume != nullptr) {
    volume->NoteKept(is ? extent->pages : 0, is ? 0 : extent->pages);
  }
}

void Store::DeriveKept() {
  bool any = false;
  for (const auto& [id, volume] : volumes_) {
    any = any || volume->KeepsAny();
    volume->DeriveKept();
  }
  if (!any) return;
  for (const auto& [blob, extent] : extents_) {
    if (extent->kept > 0 && !IsInMemory(*extent)) kept_away_.push_back(extent->blob);
  }
  std::ranges::sort(kept_away_);
}

// What there is no memory for stays where it is, and is kept in memory once somebody has asked for it.
void Store::BringBackKept() {
  while (!kept_away_.empty()) {
    const ObjectId blob = kept_away_.front();
    const Extent* extent = FindExtent(blob);
    if (extent != nullptr && extent->kept > 0 && !IsInMemory(*extent) && extent->damage.ok()) {
      spiller_->Load({&blob, 1}, os::Clock::now() + kPatience, [this, blob](const Status& loaded) {
        if (!loaded.ok()) {
          log::Warning("what a name keeps in memory is on the disk only",
                       {{"blob", blob.ToString()},
                        {"others", kept_away_.size() - 1},
                        {"why", loaded.message()}});
        }
        // Others would have to wait as long.
        if (loaded.Is(StatusCode::kOutOfMemory)) return kept_away_.clear();
        kept_away_.pop_front();
        BringBackKept();
      });
      if (on_deadline) on_deadline();
      return;
    }
    kept_away_.pop_front();
  }
}

}  // namespace vineyard::store
