// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/victims.h"

#include <algorithm>
#include <bit>
#include <tuple>

namespace vineyard::store {

namespace {

// Note [The order of victims]. The smallest first.
using Rank = std::tuple<bool, bool, bool, unsigned, uint64_t, uint64_t>;

Rank RankOf(const Candidate& c, const VictimClock& clock) {
  const uint64_t sixteenth = std::max<uint64_t>(1, clock.limit / 16);
  const uint64_t age = clock.now > c.last_use ? (clock.now - c.last_use) / sixteenth : 0;
  const bool young = age == 0;
  const unsigned youth = 64U - static_cast<unsigned>(std::bit_width(age));
  return {c.mapped, young, !c.on_disk, youth, ~c.pages, c.last_use};
}

}  // namespace

std::vector<uint64_t> ChooseVictims(std::vector<Candidate> candidates, VictimClock clock,
                                    uint64_t bytes) {
  std::ranges::sort(candidates, {}, [&](const Candidate& c) { return RankOf(c, clock); });
  std::vector<uint64_t> chosen;
  uint64_t sum = 0;
  for (const Candidate& c : candidates) {
    if (sum >= bytes) break;
    chosen.push_back(c.blob);
    sum += c.pages;
  }
  return chosen;
}

}  // namespace vineyard::store
