// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Extents: shared memory of blobs that are too large for an arena.
//
// An extent is made of chunks, one memory file each. The instance makes and touches them (the pages are
// charged to it, and a touched page is a zeroed one); one client fills and seals them. An extent's
// table entry is owned by the engine's thread; MakeChunks runs on the pool.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "os/fd.h"
#include "vineyard/ids.h"
#include "vineyard/status.h"

namespace vineyard::store {

struct Chunk {
  os::UniqueFd fd;
  uint64_t size = 0;
};

enum class ExtentState {
  kMaking,     // the pool is at work
  kReserved,   // a client fills it
  kSealed,     // published
  kLingering,  // deleted, still mapped by somebody
};

struct Extent {
  ObjectId blob;
  uint64_t volume = 0;
  uint64_t size = 0;   // bytes asked for
  uint64_t pages = 0;  // bytes of its chunks
  std::vector<Chunk> chunks;
  ExtentState state = ExtentState::kMaking;
  uint64_t owner = 0;    // client key, while reserved
  bool claimed = false;  // its owner had it idle, and has it no more
};

inline constexpr uint64_t kLargestChunk = uint64_t{1} << 30;

/// Sizes of the chunks for an extent: as few as the classes (1 GiB, 128, 16 and 2 MiB) up to `largest`
/// allow, and one short one of whole pages for the rest. The sum depends on `size` only.
std::vector<uint64_t> PlanChunks(uint64_t size, uint64_t largest = kLargestChunk);

/// Makes memory files of these sizes with every page present and zero, in huge pages where the kernel
/// has them. kOutOfMemory when the machine has no pages left; nothing is kept then.
Result<std::vector<Chunk>> MakeChunks(std::span<const uint64_t> sizes);

/// OK when every chunk is sealed for good and has its size: nobody can change the bytes any more.
Status CheckSealed(const Extent& extent);

/// The kernel's word on whether any process still has a part of it open or mapped.
bool IsHeldElsewhere(const Extent& extent);

}  // namespace vineyard::store
