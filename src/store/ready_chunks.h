// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// ReadyChunks: memory held from the start (--reserve_memory), as chunks whose pages are present.
//
// What the instance promises is then there, whatever other programs take, and an extent of ready chunks
// costs no time to make. Where the chunks at hand do not have the sizes that are wanted, as much is
// given up as is then made anew; a chunk that was sealed can't be used again, so what is freed is made
// anew as well, behind the request. Used by the pool's threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "store/extent.h"
#include "vineyard/status.h"

namespace vineyard::store {

class ReadyChunks {
 public:
  /// Chunks of this size and smaller are kept ready; plan extents with it.
  static constexpr uint64_t kLargest = uint64_t{128} << 20;

  /// Takes `bytes` now. kOutOfMemory when the machine does not have them.
  static Result<std::unique_ptr<ReadyChunks>> Make(uint64_t bytes);

  /// Chunks of these sizes: ready ones as far as there are, others made from memory that is given up.
  Result<std::vector<Chunk>> Take(std::span<const uint64_t> sizes);
  /// `bytes` of an extent have been closed: takes as much again, as far as the machine has it.
  void Refill(uint64_t bytes);

  /// Bytes that are ready.
  [[nodiscard]] uint64_t bytes();

 private:
  ReadyChunks() = default;
  void GiveUp(uint64_t bytes);
  static std::vector<uint64_t> Mix(uint64_t bytes);

  std::mutex mutex_;                               // guards all below
  std::map<uint64_t, std::vector<Chunk>> chunks_;  // by size
  uint64_t bytes_ = 0;
};

}  // namespace vineyard::store
