// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/extent.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>

#include "os/mapping.h"
#include "os/memfd.h"

namespace vineyard::store {

namespace {

// Zeroing a page is most of making it, and one core zeroes at half of what the memory takes.
constexpr uint64_t kTouchAtOnce = uint64_t{16} << 20;
constexpr uint64_t kWorthAThread = uint64_t{32} << 20;
constexpr uint64_t kMostThreads = 4;

Status TouchAll(std::span<os::Mapping> mappings) {
  struct Piece {
    os::Mapping* mapping;
    uint64_t offset;
    uint64_t length;
  };
  std::vector<Piece> pieces;
  uint64_t total = 0;
  for (os::Mapping& m : mappings) {
    for (uint64_t at = 0; at < m.size(); at += kTouchAtOnce) {
      pieces.push_back({&m, at, std::min(kTouchAtOnce, m.size() - at)});
    }
    total += m.size();
  }
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Status first_failure;
  const auto work = [&] {
    for (size_t i = next++; i < pieces.size(); i = next++) {
      const Piece& p = pieces[i];
      Status s = p.mapping->Populate(os::Access::kReadWrite, p.offset, p.length);
      if (s.ok()) continue;
      next = pieces.size();
      const std::lock_guard lock(mutex);
      if (first_failure.ok()) first_failure = std::move(s);
    }
  };
  const uint64_t cores = std::max(1U, std::thread::hardware_concurrency());
  const uint64_t threads = std::clamp<uint64_t>(total / kWorthAThread, 1, std::min(cores, kMostThreads));
  {
    std::vector<std::jthread> helpers;
    try {
      for (uint64_t i = 1; i < threads; ++i) helpers.emplace_back(work);
    } catch (const std::system_error&) {
      // No more threads to be had: this one does it alone.
    }
    work();
  }
  return first_failure;
}

}  // namespace

std::vector<uint64_t> PlanChunks(uint64_t size) {
  std::vector<uint64_t> sizes;
  uint64_t left = size;
  for (const uint64_t chunk : {uint64_t{1} << 30, uint64_t{128} << 20, uint64_t{16} << 20,
                               uint64_t{2} << 20}) {
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
