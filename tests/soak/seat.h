// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Seat: what a process that may be killed at any instruction leaves to the next one, in shared memory.
//
// The model is there twice. An operation is noted before it is begun, with its outcome once it is answered;
// then the one model is changed, then the other. Wherever the process ends, one of them is whole, and the
// phase says which. What a killed process has stored is seen by others in the order in which it was
// stored; the fences keep the compiler to that order.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "soak/model.h"

namespace vineyard::soak {

enum class Phase : uint32_t {
  kIdle,     // nothing is under way, and both models are the same
  kBegun,    // `operation` may have happened or not
  kDone,     // it has; models[0] may be half changed
  kHalfWay,  // models[0] has it; models[1] may be half changed
};

/// What was done, by all processes that have had the seat.
struct Tally {
  std::array<uint64_t, kKinds> changes{};  // by Kind: objects, chunks, or calls
  uint64_t gets = 0;
  uint64_t gets_by_name = 0;
  uint64_t misses = 0;   // of what was deleted or dropped
  uint64_t refused = 0;  // what the rules forbid, and was tried
  uint64_t full = 0;     // puts that found no room
  uint64_t calls = 0;
  [[nodiscard]] uint64_t operations() const {
    uint64_t sum = gets + gets_by_name + misses + refused;
    for (const uint64_t n : changes) sum += n;
    return sum;
  }
};

struct Seat {
  std::atomic<Phase> phase;
  Operation operation;
  Outcome outcome;
  Model models[2];
  uint64_t next_seed;
  std::array<uint64_t, 8> gone;  // some that were deleted, of which nothing may be left
  Tally tally;
  char failure[1024];

  void Begin(const Operation& o) {
    operation = o;
    outcome = {};
    Set(Phase::kBegun);
  }
  /// `outcome` has been filled in.
  void Finish() {
    Set(Phase::kDone);
    Redo();
  }
  /// It has not happened.
  void GiveUp() { Set(Phase::kIdle); }

  /// For whoever finds it after an end half-way: the models as of before the operation or after it. True
  /// where nobody knows whether it has happened.
  bool Settle() {
    if (phase.load() == Phase::kDone) models[0] = models[1];
    if (phase.load() == Phase::kHalfWay) models[1] = models[0];
    if (phase.load() == Phase::kDone) Redo();
    if (phase.load() == Phase::kHalfWay) Set(Phase::kIdle);
    return phase.load() == Phase::kBegun;
  }

 private:
  void Set(Phase next) { phase.store(next, std::memory_order_seq_cst); }
  void Redo() {
    models[0].Apply(operation, outcome);
    Set(Phase::kHalfWay);
    models[1].Apply(operation, outcome);
    Set(Phase::kIdle);
  }
};

}  // namespace vineyard::soak
