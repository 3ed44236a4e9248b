// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// AllocationRegistry: every allocation in an extent of this process, and what forks do with them.
//
// Before a fork each is frozen (Note [Sealing in place]). Idle memory of pools (allocation_pool.h) is not
// frozen: a child neither has it nor knows of it.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <set>

namespace vineyard::internal {

class AllocatedMemory;
class AllocationPool;

struct AllocationRegistry {
  struct Entry {
    AllocatedMemory* memory;
    std::weak_ptr<AllocatedMemory> weak;
  };
  /// Guards All and Pools, and what pools keep. Nothing waits for the instance under it.
  static std::mutex& Mutex();
  /// By first address. Never destroyed: memory may be freed while the process ends.
  static std::map<const std::byte*, Entry>& All();
  static std::set<AllocationPool*>& Pools();
  /// Called before the first mapping is made.
  static void Install();

  /// While one of these lives, no fork of this process begins.
  class NoFork {
   public:
    NoFork() {
      const std::lock_guard lock(Gate());
      working.fetch_add(1, std::memory_order_relaxed);
    }
    NoFork(const NoFork&) = delete;
    NoFork& operator=(const NoFork&) = delete;
    ~NoFork() { working.fetch_sub(1, std::memory_order_release); }
  };

 private:
  /// Held by a fork, and for a moment by whatever then works on one allocation (see NoFork). A shared
  /// mutex would not do: the child could not unlock what another thread's number had locked.
  static std::mutex& Gate();
  static void Prepare();
  static void Parent();
  static void Child();
  static inline std::atomic<int> working{0};
};

}  // namespace vineyard::internal
