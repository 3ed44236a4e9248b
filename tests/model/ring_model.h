// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The ring of layout/ring.h in Relacy, which tries its executions by C++'s memory model. Apart from the
// tests because Relacy's headers redefine words of the language.
#pragma once

#include <cstdint>
#include <string>

namespace vineyard::model {

/// What a ring may do wrong on purpose; kNone: layout/ring.h as it is.
enum class Broken : uint8_t {
  kNone,
  kPublishReleases,         // P1 not in the one order
  kLookForSleeperAcquires,  // P2
  kFallAsleepReleases,      // C1
  kLookAgainAcquires,       // C2
  kNoLookAgain,             // C2 left out
  kNobodyWakes,             // P2 without its wake-up
  kSleeperIsNotCleared,     // P2 wakes and leaves Z at 1
  kPublishIsRelaxed,        // what is published may not be seen whole
  kAvailableIsRelaxed,
  kReleaseIsRelaxed,  // what is overwritten may still be read
  kRoomIsRelaxed,
};

enum class Search : uint8_t {
  kFull,
  kFewSwitches,  // all executions in which threads are interrupted three times at most
  kRandom,
};

struct Verdict {
  std::string trouble;  // empty: none found
  uint64_t executions = 0;
};

/// Two threads pass `messages` of one byte each through a ring of `capacity`. `at_most`: executions, of a
/// random search.
Verdict TryRing(Broken broken, unsigned capacity, unsigned messages, Search search,
                uint64_t at_most);

}  // namespace vineyard::model
