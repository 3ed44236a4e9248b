// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Which extents go to the disk first, when memory is short.
//
// Note [The order of victims]
//
// What an eviction costs is a write now (nothing, where a whole copy lies on the disk already) and, if it
// was the wrong one, a read later. How likely that is, nobody knows; what was not used for long is
// the usual guess. So, in this order: what has a copy and is not young, what has none and is not young, and
// only then the young, copies first again. Last of all what a client says it has mapped: the kernel
// refuses most of these, and asking it costs. Within each, by age in powers of two, so that a small
// difference in age does not outweigh a large one in size; of one age the larger goes first: a few large
// extents are one long write each, and many small ones would have to be brought back one by one.
//
// Age is not counted in time, but in bytes that came into memory since the last use: a store at rest does
// not grow old. Young is what was used since a sixteenth of the memory was filled anew.
#pragma once

#include <cstdint>
#include <vector>

namespace vineyard::store {

struct Candidate {
  uint64_t blob = 0;
  uint64_t pages = 0;     // bytes that its eviction frees
  uint64_t last_use = 0;  // on the clock
  bool on_disk = false;   // a whole copy lies there
  bool mapped = false;    // as far as clients have told
};

struct VictimClock {
  uint64_t now = 0;    // bytes that ever came into memory
  uint64_t limit = 1;  // of the memory
};

/// Blobs in the order in which they should go, as many as free at least `bytes`, or all.
std::vector<uint64_t> ChooseVictims(std::vector<Candidate> candidates, VictimClock clock,
                                    uint64_t bytes);

}  // namespace vineyard::store
