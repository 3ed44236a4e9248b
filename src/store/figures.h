// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What a store says of its memory: by volume and state, by client, and by who waits for it.
//
// All of it is reckoned when it is asked for, from the tables that decide (store_figures.cc); nothing is counted beside
// them.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "os/socket.h"

namespace vineyard::store {

/// Pages of the budget, each in one of these.
struct VolumeMemory {
  uint64_t sealed = 0;     // extents of objects and blobs
  uint64_t writing = 0;    // reserved, and not published
  uint64_t idle = 0;       // reserved, and kept by a client for later
  uint64_t lingering = 0;  // deleted, and mapped by somebody
  uint64_t moving = 0;     // being made, brought back or given back
  uint64_t records = 0;
  uint64_t slack = 0;  // of arenas
  uint64_t catalog = 0;
  uint64_t held = 0;  // the sum
};

/// Pages of extents that a client has to do with.
struct ClientMemory {
  uint64_t mapped = 0;
  uint64_t writing = 0;
  uint64_t idle = 0;
  uint64_t pinned = 0;
};

/// A request that waits for memory, or for the disk.
struct MemoryWait {
  enum class Kind : uint8_t { kMemory, kQuota, kDisk };
  Kind kind{};
  uint64_t bytes = 0;
  os::TimePoint deadline{};
};
/// By the ticket that CancelReserve takes.
using MemoryWaits = std::unordered_map<uint64_t, MemoryWait>;

}  // namespace vineyard::store
