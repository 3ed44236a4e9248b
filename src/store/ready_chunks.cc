// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/ready_chunks.h"

#include <algorithm>

#include "os/memfd.h"
#include "store/touch.h"

namespace vineyard::store {

namespace {
constexpr uint64_t kMiddle = uint64_t{16} << 20;
constexpr uint64_t kSmall = uint64_t{2} << 20;
}  // namespace

// Most of it in large chunks; of the others enough that the ends of extents find theirs.
std::vector<uint64_t> ReadyChunks::Mix(uint64_t bytes) {
  std::vector<uint64_t> sizes;
  const auto add = [&](uint64_t size, uint64_t share) {
    for (uint64_t n = share / size; n > 0; --n) {
      sizes.push_back(size);
      bytes -= size;
    }
  };
  add(kSmall, bytes / 16);
  add(kMiddle, bytes / 6);
  add(kLargest, bytes);
  add(kMiddle, bytes);
  add(kSmall, bytes);
  return sizes;
}

Result<std::unique_ptr<ReadyChunks>> ReadyChunks::Make(uint64_t bytes) {
  std::unique_ptr<ReadyChunks> ready(new ReadyChunks());
  VY_ASSIGN_OR_RETURN(std::vector<Chunk> chunks, MakeChunks(Mix(bytes)));
  for (Chunk& chunk : chunks) {
    ready->bytes_ += chunk.size;
    ready->chunks_[chunk.size].push_back(std::move(chunk));
  }
  return ready;
}

Result<std::vector<Chunk>> ReadyChunks::Take(std::span<const uint64_t> sizes) {
  std::vector<Chunk> taken(sizes.size());
  std::vector<uint64_t> missing;
  uint64_t missing_bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < sizes.size(); ++i) {
      const auto it = chunks_.find(sizes[i]);
      if (it == chunks_.end() || it->second.empty()) {
        missing.push_back(sizes[i]);
        missing_bytes += sizes[i];
        continue;
      }
      taken[i] = std::move(it->second.back());
      it->second.pop_back();
      bytes_ -= sizes[i];
    }
    GiveUp(missing_bytes);
  }
  VY_ASSIGN_OR_RETURN(std::vector<Chunk> made, MakeChunks(missing));
  auto next = made.begin();
  for (Chunk& chunk : taken) {
    if (!chunk.fd.valid()) chunk = std::move(*next++);
  }
  return taken;
}

// The smallest chunks that do, so that the large ones stay whole. REQUIRES: mutex_ held.
void ReadyChunks::GiveUp(uint64_t bytes) {
  uint64_t given = 0;
  for (auto& [size, chunks] : chunks_) {
    while (given < bytes && !chunks.empty()) {
      chunks.pop_back();
      given += size;
      bytes_ -= size;
    }
  }
}

void ReadyChunks::Refill(uint64_t bytes) {
  // Another program may have been faster: then less is ready, and what is stored does not suffer.
  auto made = MakeChunks(PlanChunks(bytes, kLargest));
  if (!made.ok()) return;
  const std::lock_guard lock(mutex_);
  for (Chunk& chunk : *made) {
    bytes_ += chunk.size;
    chunks_[chunk.size].push_back(std::move(chunk));
  }
}

uint64_t ReadyChunks::bytes() {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace vineyard::store
