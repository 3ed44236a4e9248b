// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/extent.h"

#include "os/mapping.h"
#include "os/memfd.h"
#include "store/touch.h"

namespace vineyard::store {

std::vector<uint64_t> PlanChunks(uint64_t size, uint64_t largest) {
  std::vector<uint64_t> sizes;
  uint64_t left = size;
  for (const uint64_t chunk :
       {kLargestChunk, uint64_t{128} << 20, uint64_t{16} << 20, uint64_t{2} << 20}) {
    if (chunk > largest) continue;
    for (; left >= chunk; left -= chunk) sizes.push_back(chunk);
  }
  if (left > 0) sizes.push_back(os::RoundUp(left, os::PageSize()));
  return sizes;
}

Result<std::vector<Chunk>> MakeChunks(std::span<const uint64_t> sizes) {
  std::vector<Chunk> chunks;
  std::vector<os::Mapping> mappings;
  chunks.reserve(sizes.size());
  mappings.reserve(sizes.size());
  for (const uint64_t size : sizes) {
    Chunk chunk;
    chunk.size = size;
    VY_ASSIGN_OR_RETURN(chunk.fd, os::CreateMemfd("vineyard-chunk", size));
    VY_ASSIGN_OR_RETURN(os::Mapping mapping,
                        os::Mapping::Open(chunk.fd, size, os::Access::kReadWrite));
    mappings.push_back(std::move(mapping));
    chunks.push_back(std::move(chunk));
  }
  VY_RETURN_IF_ERROR(TouchAll(mappings));
  return chunks;
}

Status CheckSealed(const Extent& extent) {
  for (const Chunk& chunk : extent.chunks) {
    VY_ASSIGN_OR_RETURN(const bool sealed, os::IsSealedForever(chunk.fd));
    if (!sealed) {
      return Status::FailedPrecondition("blob " + extent.blob.ToString() + " is not sealed yet");
    }
  }
  return {};
}

bool IsHeldElsewhere(const Extent& extent) {
  for (const Chunk& chunk : extent.chunks) {
    auto held = os::IsHeldElsewhere(chunk.fd);
    if (!held.ok() || *held) return true;  // in doubt it is counted
  }
  return false;
}

}  // namespace vineyard::store
