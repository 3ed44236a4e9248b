// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/allocation_registry.h"

#include <chrono>
#include <thread>

#include "client/allocated_memory.h"
#include "client/allocation_pool.h"
#include "os/process.h"

namespace vineyard::internal {

std::mutex& AllocationRegistry::Mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

std::map<const std::byte*, AllocationRegistry::Entry>& AllocationRegistry::All() {
  static auto* all = new std::map<const std::byte*, Entry>;
  return *all;
}

std::set<AllocationPool*>& AllocationRegistry::Pools() {
  static auto* pools = new std::set<AllocationPool*>;
  return *pools;
}

std::mutex& AllocationRegistry::Gate() {
  static auto* gate = new std::mutex;
  return *gate;
}

void AllocationRegistry::Prepare() {
  constexpr std::chrono::microseconds kPause{20};
  Gate().lock();
  while (working.load(std::memory_order_acquire) > 0) std::this_thread::sleep_for(kPause);
  Mutex().lock();
  for (const auto& [address, entry] : All()) entry.memory->FreezeForFork();
}

void AllocationRegistry::Parent() {
  Mutex().unlock();
  Gate().unlock();
}

void AllocationRegistry::Child() {
  for (const auto& [address, entry] : All()) entry.memory->BecomeInherited();
  for (AllocationPool* pool : Pools()) pool->BecomeInherited();
  AllocationPool::ForgetThread();
  Parent();
}

void AllocationRegistry::Install() {
  static const bool kDone = os::OnFork(&Prepare, &Parent, &Child);
  (void)kDone;
}

}  // namespace vineyard::internal
