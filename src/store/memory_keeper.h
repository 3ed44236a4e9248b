// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// MemoryKeeper: what the store needs of the process that outlives the engine. The daemon implements it
// over the keeper's socket; tests in memory. All calls and callbacks are on the engine's thread.
#pragma once

#include <cstdint>
#include <functional>

#include "os/fd.h"

namespace vineyard::store {

enum class HeldKind : uint32_t {
  kListener = 1,  // a = volume, b = 0, or 1 for that of those who only read
  kCatalog = 2,   // a = volume, b = generation << 32 | segment, c = bytes
  kArena = 3,     // a = volume, b = arena number, c = bytes
  kLedger = 4,    // a = generation, c = bytes
  kChunk = 5,     // a = blob, b = number in the extent, c = bytes, d = client key, e = volume,
                  // f = chunks in the extent
  kClient = 6,    // a = client key, d, e = token, c = pid
};

struct HeldItem {
  HeldKind kind{};
  uint64_t a = 0;
  uint64_t b = 0;
  uint64_t c = 0;
  uint64_t d = 0;
  uint64_t e = 0;
  uint64_t f = 0;
};

class MemoryKeeper {
 public:
  virtual ~MemoryKeeper() = default;
  /// Hands over a copy of the descriptor. Answers to clients wait until it has really gone.
  virtual void Hold(const HeldItem& item, const os::UniqueFd& fd) = 0;
  /// The same, and calls `held` when the keeper has it (and has mapped its page of a catalog).
  virtual void HoldAndTell(const HeldItem& item, const os::UniqueFd& fd,
                           std::function<void()> held) = 0;
  /// `dropped` (may be empty) is called once the keeper has closed it.
  virtual void Drop(HeldKind kind, uint64_t a, uint64_t b, std::function<void()> dropped) = 0;
};

/// Runs `work` on a thread of the pool, then `done` on the engine's thread.
using RunOnPool = std::function<void(std::function<void()> work, std::function<void()> done)>;

}  // namespace vineyard::store
