// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// AllocationPool: memory in the store for a program's own allocations, used again warm.
//
// Each allocation is an AllocatedMemory that holds itself until it is freed. What was never sealed then
// stays here, mapped and with all its pages, for the next allocation of about its size; what nobody has
// asked for in a while goes back to the instance, by a thread that sleeps as long as there is nothing to
// give back; and the instance takes it without asking where it is short (layout/idle_table.h). Counted in
// bytes, and all pools together in parts (each is a descriptor and a mapping, of which a process has few):
// past its bounds, and whenever the instance does not answer soon, the pool has no memory, and whoever asks
// goes to the ordinary allocator.
//
// It has a connection of its own, with nothing to ask while it waits: callers may hold what anybody who
// is asked would want (Python's lock). Any thread may call, before and after a fork.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <vector>

#include "client/allocated_memory.h"
#include "vineyard/allocator.h"

namespace vineyard::internal {

class AllocationPool : public std::enable_shared_from_this<AllocationPool> {
 public:
  static Result<std::shared_ptr<AllocationPool>> Make(const ConnectOptions& options);
  ~AllocationPool();
  AllocationPool(const AllocationPool&) = delete;
  AllocationPool& operator=(const AllocationPool&) = delete;

  /// Many arrays will have their descriptors open: makes room for these now.
  void ExpectMany();
  /// Null where the store has none to give now. REQUIRES: size > 0.
  std::byte* Allocate(uint64_t size, AllocatedBytes content) noexcept;
  /// Of any pool; false if the address is none's.
  static bool Free(void* address) noexcept;

  /// Gives back what is idle. From now on there is no more memory; what is in use stays.
  void Close();
  void GiveBackIdle();
  /// Bytes in use and idle together.
  void SetLimit(uint64_t bytes) { limit_ = bytes; }
  [[nodiscard]] bool has_limit() const { return limit_ > 0; }
  [[nodiscard]] AllocatorStatistics statistics() const;

  // ---- of AllocatedMemory. REQUIRES: the registry's mutex is held.
  /// Keeps unsealed memory for later; false, and takes nothing, once closed.
  bool TakeBack(MappedReservation* memory);
  void Lost(uint64_t bytes, size_t parts);
  void BecomeInherited();
  /// As the other, once for all pools.
  static void ForgetThread();
  // Without it.
  void Published(uint64_t bytes) { used_ -= bytes; }

 private:
  struct Idle {
    MappedReservation memory;
    os::TimePoint since;
    size_t slot;  // of the table, where its blob stands as long as it is not claimed
  };
  using IdleList = std::list<Idle>;  // the longest idle first
  explicit AllocationPool(std::shared_ptr<Client::Impl> impl) : impl_(std::move(impl)) {}
  Status MakeTable();
  void ShareTable();
  bool Claim(const Idle& idle);

  std::byte* TakeIdle(uint64_t size, AllocatedBytes content);
  std::byte* TakeFresh(uint64_t size);
  Result<MappedReservation> Reserve(uint64_t size);
  bool MakeRoom(uint64_t size);
  template <typename Unwanted>
  void GiveBackWhile(Unwanted unwanted);
  void Pause(const Status& why);
  static void Trim();
  static bool StartTrimming();

  const std::shared_ptr<Client::Impl> impl_;
  std::atomic<uint64_t> limit_{0};
  std::atomic<uint64_t> used_{0};  // bytes of allocations that are not stored objects
  std::atomic<uint64_t> idle_bytes_{0};
  std::atomic<uint64_t> allocations_{0};
  std::atomic<uint64_t> reused_{0};
  std::atomic<uint64_t> declined_{0};
  std::atomic<os::TimePoint::rep> paused_until_{0};
  std::atomic<uint32_t> failures_{0};  // one after another
  std::atomic<bool> closed_{false};
  std::atomic<uint64_t> shared_with_{0};  // the generation of the engine that has the table
  // Guarded by the registry's mutex:
  IdleList idle_;
  os::UniqueFd
      table_file_;  // see layout/idle_table.h. Of the process that made it: a child makes its own
  os::Mapping table_;
  std::vector<size_t> free_slots_;
};

}  // namespace vineyard::internal
