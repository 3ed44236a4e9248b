// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/extent_securing.h"

#include <utility>

#include "os/crash_point.h"
#include "os/mapping.h"
#include "spill/memory.h"

namespace vineyard::store {

Extent* ExtentSecuring::Find(uint64_t blob) const {
  const auto it = extents_.find(blob);
  return it == extents_.end() ? nullptr : it->second.get();
}

void ExtentSecuring::Secure(std::span<const ObjectId> blobs, std::function<void(Status)> done) {
  struct Waiting {
    size_t left = 1;  // until all have been asked for
    Status first;
    std::function<void(Status)> done;
  };
  auto waiting = std::make_shared<Waiting>();  // shared by the callbacks of its extents
  waiting->done = std::move(done);
  const auto told = [waiting](const Status& status) {
    if (waiting->first.ok()) waiting->first = status;
    if (--waiting->left == 0) waiting->done(waiting->first);
  };
  for (const ObjectId blob : blobs) {
    Extent* extent = Find(blob.value());
    if (extent == nullptr) {
      ++waiting->left;
      told(Status::NotFound(blob.ToString() + " has been deleted meanwhile"));
      continue;
    }
    if (extent->secured) continue;
    ++waiting->left;
    const auto [job, is_new] = jobs_.try_emplace(blob.value());
    job->second.told.emplace_back(told);
    if (!is_new) continue;
    ++extent->held;
    Begin(blob.value());
  }
  told({});
}

void ExtentSecuring::Begin(uint64_t blob) {
  Extent* extent = Find(blob);
  if (extent == nullptr) return Finish(blob, Status::NotFound("it has been deleted meanwhile"));
  if (!extent->damage.ok()) return Finish(blob, extent->damage);
  if (extent->state == ExtentState::kSpilling) {
    return spiller_.WhenWritten(blob, [this, blob] { Begin(blob); });
  }
  if (extent->on_disk) return Sync(blob, *extent);
  // It may be this very file that is being removed.
  if (spiller_.IsMakingRoom()) return spiller_.WhenRoomWasMade([this, blob] { Begin(blob); });
  Write(blob, *extent);
}

void ExtentSecuring::Write(uint64_t blob, Extent& extent) {
  std::vector<os::FilePart> parts;
  parts.reserve(extent.chunks.size());
  for (const Chunk& chunk : extent.chunks) parts.push_back({chunk.fd.get(), chunk.size});
  auto source = spill::MapSource(parts, extent.size);
  if (!source.ok()) return Finish(blob, source.status());
  const spill::Key key = spiller_.KeyOf(extent);
  disk_.Write(key, std::move(*source),
              [this, blob, key](const Status& status) { Written(blob, key, status); });
}

void ExtentSecuring::Written(uint64_t blob, const spill::Key& key, const Status& status) {
  os::CrashPoint("secure.written");
  Extent* extent = Find(blob);
  if (extent == nullptr) {
    if (status.ok()) spiller_.RemoveFile(key);
    return Finish(blob, Status::NotFound("it has been deleted meanwhile"));
  }
  if (status.ok()) {
    extent->on_disk = true;
    return Sync(blob, *extent);
  }
  const bool is_full = status.Is(StatusCode::kOutOfMemory);
  if (is_full && !std::exchange(jobs_.at(blob).made_room, true) &&
      spiller_.MakeRoomOnDisk(extent->pages)) {
    return Begin(blob);
  }
  Finish(blob, status);
}

void ExtentSecuring::Sync(uint64_t blob, const Extent& extent) {
  disk_.Sync(spiller_.KeyOf(extent), [this, blob](const Status& status) {
    os::CrashPoint("secure.synced");
    Extent* secured = Find(blob);
    if (secured != nullptr && status.ok()) secured->secured = true;
    Finish(blob, secured != nullptr ? status : Status::NotFound("it has been deleted meanwhile"));
  });
}

void ExtentSecuring::Finish(uint64_t blob, const Status& status) {
  const auto node = jobs_.extract(blob);
  // Held until they have been told: nothing can drop it before they go on.
  for (const auto& told : node.mapped().told) told(status);
  if (Extent* extent = Find(blob)) --extent->held;
}

}  // namespace vineyard::store
