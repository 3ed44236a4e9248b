// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/extent.h"

#include <numeric>

#include "os/mapping.h"
#include "os/memfd.h"
#include "store/machine_memory.h"
#include "store/touch.h"

namespace vineyard::store {

namespace {

// In whole middle pages where that wastes little: fewer pages to make, and fewer sizes to keep ready.
uint64_t ShortChunk(uint64_t left, uint64_t size) {
  constexpr uint64_t kMiddlePage = uint64_t{64} << 10;
  const uint64_t in_pages = os::RoundUp(left, os::PageSize());
  const uint64_t in_middle_pages = os::RoundUp(left, kMiddlePage);
  return in_middle_pages - in_pages <= size / 12 ? in_middle_pages : in_pages;
}

Result<Chunk> NewChunk(uint64_t size) {
  Chunk chunk;
  chunk.size = size;
  VY_ASSIGN_OR_RETURN(chunk.fd, os::CreateMemfd("vineyard-chunk", size));
  return chunk;
}

}  // namespace

std::vector<uint64_t> PlanChunks(uint64_t size) {
  std::vector<uint64_t> sizes;
  uint64_t left = size;
  constexpr uint64_t kFewChunks = uint64_t{8} << 30;
  const uint64_t largest = size < kFewChunks ? kLargestReadyChunk : kLargestChunk;
  for (uint64_t chunk = largest; chunk >= kWholeChunk; chunk /= 2) {
    for (; left >= chunk; left -= chunk) sizes.push_back(chunk);
  }
  if (left > 0) sizes.push_back(ShortChunk(left, size));
  return sizes;
}

Status MakeMissing(std::span<Chunk> chunks, const OthersAreAbout& others_are_about) {
  std::vector<uint64_t> sizes;
  for (const Chunk& chunk : chunks) {
    if (!chunk.fd.valid()) sizes.push_back(chunk.size);
  }
  VY_ASSIGN_OR_RETURN(std::vector<Chunk> made, MakeChunks(sizes, others_are_about));
  auto next = made.begin();
  for (Chunk& chunk : chunks) {
    if (!chunk.fd.valid()) chunk = std::move(*next++);
  }
  return {};
}

Status MakeFiles(std::span<Chunk> chunks) {
  std::vector<Chunk> made;
  for (const Chunk& chunk : chunks) {
    if (chunk.fd.valid()) continue;
    VY_ASSIGN_OR_RETURN(Chunk one, NewChunk(chunk.size));
    made.push_back(std::move(one));
  }
  auto next = made.begin();
  for (Chunk& chunk : chunks) {
    if (!chunk.fd.valid()) chunk = std::move(*next++);
  }
  return {};
}

std::vector<os::FilePart> FilesOf(std::span<const Chunk> chunks) {
  std::vector<os::FilePart> files;
  files.reserve(chunks.size());
  for (const Chunk& chunk : chunks) files.push_back({chunk.fd.get(), chunk.size});
  return files;
}

Result<std::vector<Chunk>> MakeChunks(std::span<const uint64_t> sizes,
                                      const OthersAreAbout& others_are_about) {
  VY_RETURN_IF_ERROR(MayTouch(std::accumulate(sizes.begin(), sizes.end(), uint64_t{0})));
  std::vector<Chunk> chunks;
  std::vector<os::Mapping> mappings;
  chunks.reserve(sizes.size());
  mappings.reserve(sizes.size());
  for (const uint64_t size : sizes) {
    VY_ASSIGN_OR_RETURN(Chunk chunk, NewChunk(size));
    VY_ASSIGN_OR_RETURN(os::Mapping mapping,
                        os::Mapping::Open(chunk.fd, size, os::Access::kReadWrite));
    mappings.push_back(std::move(mapping));
    chunks.push_back(std::move(chunk));
  }
  VY_RETURN_IF_ERROR(TouchAll(mappings, others_are_about));
  return chunks;
}

Result<std::vector<Chunk>> MakeChunksApart(std::span<const uint64_t> sizes,
                                           os::PageToucher& toucher) {
  // A reservation that is being made at the same time has been looked for, and not taken yet; it goes first.
  constexpr uint64_t kBeside = uint64_t{128} << 20;
  VY_RETURN_IF_ERROR(MayTouch(kBeside + std::accumulate(sizes.begin(), sizes.end(), uint64_t{0})));
  std::vector<Chunk> chunks;
  chunks.reserve(sizes.size());
  for (const uint64_t size : sizes) {
    VY_ASSIGN_OR_RETURN(Chunk chunk, NewChunk(size));
    VY_RETURN_IF_ERROR(toucher.Touch(chunk.fd, size));
    chunks.push_back(std::move(chunk));
  }
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
