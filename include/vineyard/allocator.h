// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Allocator: malloc and free whose larger blocks lie in the store.
//
// For programs whose arrays are allocated by code that knows nothing of the store, and that can be told
// to use another malloc. `Client::Put` recognises such memory as it does that of Client::Allocate, by
// whichever client of the process and the volume, and copies nothing. What is freed without having been
// put is kept for a while, or until the instance needs it, and is given out again: neither zeroed nor
// touched anew. So bytes of a block
// that were never written to may be older ones of this process; nobody else ever sees those behind a
// block.
//
// Any thread may use it, also one that holds a lock for which the store's own callbacks would wait. It
// is for memory that a program can have from elsewhere too: where the volume is short of it, the process
// of descriptors, or the instance does not answer within a moment, Allocate has none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace vineyard {

namespace internal {
class AllocationPool;
}

enum class AllocatedBytes { kAny, kZero };

struct AllocatorOptions {
  /// Smaller blocks are not for the store.
  uint64_t threshold = uint64_t{1} << 20;
  /// Bytes that may be in use (and not stored objects) or kept at once, by all allocators of the client;
  /// 0: as before, at first half of what the volume may hold.
  uint64_t limit = 0;
  /// Also where the kernel gives shared memory no huge pages: programs are slower then.
  bool without_huge_pages = false;
};

struct AllocatorStatistics {
  uint64_t allocations = 0;  ///< Blocks given.
  uint64_t reused = 0;       ///< Of those: warm ones.
  uint64_t declined = 0;  ///< Times that there was no memory for a block of the threshold or more.
  uint64_t bytes_used = 0;  ///< In blocks that are not stored objects.
  uint64_t bytes_idle = 0;  ///< Kept to be given out again.
};

class Allocator {
 public:
  Allocator() = default;
  Allocator(std::shared_ptr<internal::AllocationPool> pool, uint64_t threshold)
      : pool_(std::move(pool)), threshold_(threshold) {}

  /// Begins at a multiple of 4096. Null: below the threshold, or there is none.
  [[nodiscard]] void* Allocate(size_t size,
                               AllocatedBytes content = AllocatedBytes::kAny) const noexcept;
  /// A block of any Allocator of this process, or of its ancestors; false, and does nothing, for any
  /// other address.
  static bool Free(void* block) noexcept;
  /// Makes such a block longer or shorter where it lies. False, and does nothing, where it can't. `size`
  /// is set to what it was; to 0 for any other address.
  static bool Resize(void* block, size_t new_size, size_t* size) noexcept;

  /// Empty where shared memory gets huge pages, which make it as fast as other memory; else what a
  /// person could do about it.
  [[nodiscard]] static std::string MissingHugePages();

  /// Gives back now what is kept.
  void GiveBackIdle() const;
  [[nodiscard]] AllocatorStatistics statistics() const;
  [[nodiscard]] uint64_t threshold() const { return threshold_; }

 private:
  std::shared_ptr<internal::AllocationPool> pool_;  // blocks in use keep it too
  uint64_t threshold_ = 0;
};

}  // namespace vineyard
