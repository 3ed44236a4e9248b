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
#include <memory>
#include <span>
#include <vector>

#include "os/fd.h"
#include "os/mapping.h"
#include "os/page_toucher.h"
#include "store/budget.h"
#include "store/touch.h"
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
  kSpilling,   // published, and being written to disk: served from memory meanwhile
  kSpilled,    // published, and on disk only: its chunks have sizes and no files
  kLoading,    // the same, on its way back
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

  // ---- the spiller's (spiller.h)
  bool on_disk = false;        // a whole copy of it lies there
  bool secured = false;        // and stays there whatever happens (extent_securing.h)
  bool durable = false;        // a durable record names it
  uint64_t file_instance = 0;  // whose id the file has; 0: this instance's
  size_t unkept = 0;           // chunks that were loaded and the keeper has not taken yet
  uint64_t asked_by = 0;       // the request that stands in the line for its memory
  uint32_t pins = 0;           // clients that have it pinned
  uint32_t kept = 0;           // names that keep it in memory; see Volume::Keep
  uint32_t held = 0;           // requests that have all they need, or will, it among that
  uint64_t last_use = 0;       // see Spiller::NoteUse
  Status damage;               // why it can't be read from the disk any more
};

/// Its chunks can be opened.
inline bool IsInMemory(const Extent& extent) {
  return extent.state == ExtentState::kSealed || extent.state == ExtentState::kSpilling;
}
inline Holder HolderOf(const Extent& extent) { return Holder{extent.volume}; }
/// What it takes from the budget while it is in memory.
inline Amount AmountOf(const Extent& extent) { return {extent.pages, extent.chunks.size()}; }

/// A record names it, wherever it lies.
inline bool IsStored(const Extent& extent) {
  return IsInMemory(extent) || extent.state == ExtentState::kSpilled ||
         extent.state == ExtentState::kLoading;
}

/// Chunks up to this size are kept ready; larger ones are for extents of which few chunks would otherwise
/// be too many.
inline constexpr uint64_t kLargestReadyChunk = uint64_t{256} << 20;
inline constexpr uint64_t kLargestChunk = uint64_t{1} << 30;
/// All chunks but the short ones are a multiple of it.
inline constexpr uint64_t kWholeChunk = uint64_t{2} << 20;

/// Sizes of the chunks for an extent: as few as the classes (2, 4, 8, … 256 MiB; 1 GiB and less from 8 GiB
/// on) allow, and one short one for the rest, of whole pages, and of whole 64 KiB where that adds at
/// most a twelfth. The sum depends on `size` only.
std::vector<uint64_t> PlanChunks(uint64_t size);

/// Makes memory files of these sizes with every page present and zero, in huge pages where the kernel
/// has them. kOutOfMemory when the machine has no pages left; nothing is kept then.
Result<std::vector<Chunk>> MakeChunks(std::span<const uint64_t> sizes,
                                      const OthersAreAbout& others_are_about = {});
/// Makes those that have a size and no file yet. Nothing is kept of them where that fails.
Status MakeMissing(std::span<Chunk> chunks, const OthersAreAbout& others_are_about = {});
/// Makes the files of those that have a size and none yet, and no pages. Nothing is kept of them where that fails.
Status MakeFiles(std::span<Chunk> chunks);
/// To be mapped, for as long as the chunks are there.
std::vector<os::FilePart> FilesOf(std::span<const Chunk> chunks);
/// As MakeChunks, without haste: `toucher` makes the pages present.
Result<std::vector<Chunk>> MakeChunksApart(std::span<const uint64_t> sizes,
                                           os::PageToucher& toucher);

/// OK when every chunk is sealed for good and has its size: nobody can change the bytes any more.
Status CheckSealed(const Extent& extent);

/// The kernel's word on whether any process still has a part of it open or mapped.
bool IsHeldElsewhere(const Extent& extent);

}  // namespace vineyard::store
