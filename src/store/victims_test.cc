// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/victims.h"

#include <limits>
#include <random>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vineyard::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kAll = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kLimit = 1600;  // a sixteenth of it is 100
constexpr VictimClock kClock{.now = 100'000, .limit = kLimit};

Candidate Of(uint64_t blob, uint64_t pages, uint64_t age, bool on_disk = false) {
  return {.blob = blob, .pages = pages, .last_use = kClock.now - age, .on_disk = on_disk};
}

TEST(Victims, TheLongestUnusedGoFirst) {
  EXPECT_THAT(ChooseVictims({Of(1, 10, 300), Of(2, 10, 5'000), Of(3, 10, 40'000)}, kClock, kAll),
              ElementsAre(3, 2, 1));
}

TEST(Victims, NoMoreGoThanAreNeeded) {
  const std::vector<Candidate> three{Of(1, 10, 5'000), Of(2, 10, 40'000), Of(3, 10, 300)};
  EXPECT_THAT(ChooseVictims(three, kClock, 0), IsEmpty());
  EXPECT_THAT(ChooseVictims(three, kClock, 1), ElementsAre(2));
  EXPECT_THAT(ChooseVictims(three, kClock, 10), ElementsAre(2));
  EXPECT_THAT(ChooseVictims(three, kClock, 11), ElementsAre(2, 1));
  EXPECT_THAT(ChooseVictims({}, kClock, kAll), IsEmpty());
}

TEST(Victims, OfOneAgeAFewLargeGoBeforeManySmall) {
  EXPECT_THAT(ChooseVictims({Of(1, 10, 5'000), Of(2, 90, 4'500), Of(3, 40, 5'100)}, kClock, 60),
              ElementsAre(2));
  EXPECT_THAT(ChooseVictims({Of(1, 10, 5'000), Of(2, 90, 4'500), Of(3, 40, 5'100)}, kClock, kAll),
              ElementsAre(2, 3, 1));
}

TEST(Victims, SizeDoesNotOutweighMuchAge) {
  EXPECT_THAT(ChooseVictims({Of(1, 1'000, 200), Of(2, 1, 90'000)}, kClock, 1), ElementsAre(2));
}

TEST(Victims, WhatHasACopyGoesBeforeWhatHasToBeWrittenUnlessItIsYoung) {
  EXPECT_THAT(
      ChooseVictims({Of(1, 10, 50'000), Of(2, 10, 200, true), Of(3, 10, 10, true), Of(4, 10, 10)},
                    kClock, kAll),
      ElementsAre(2, 1, 3, 4));
}

TEST(Victims, WhatClientsHaveMappedIsTheLastResort) {
  Candidate old = Of(1, 10, 90'000, true);
  old.mapped = true;
  EXPECT_THAT(ChooseVictims({old, Of(2, 10, 1)}, kClock, kAll), ElementsAre(2, 1));
}

TEST(Victims, AClockThatStandsBeforeAUseIsNoHarm) {
  EXPECT_THAT(ChooseVictims({{.blob = 1, .pages = 1, .last_use = kAll}}, {.now = 0, .limit = 0}, 1),
              ElementsAre(1));
}

// Whatever they are, each is named once, and what was chosen is enough.
TEST(Victims, AnyCandidatesAreChosenOnceAndUntilItIsEnough) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<Candidate> candidates;
    uint64_t sum = 0;
    for (uint64_t blob = 1; blob <= random() % 50; ++blob) {
      candidates.push_back({.blob = blob,
                            .pages = 1 + random() % 1000,
                            .last_use = random() % (2 * kClock.now),
                            .on_disk = random() % 2 == 0,
                            .mapped = random() % 4 == 0});
      sum += candidates.back().pages;
    }
    const uint64_t wanted = random() % 20'000;
    const std::vector<uint64_t> chosen = ChooseVictims(candidates, kClock, wanted);
    EXPECT_EQ(std::set(chosen.begin(), chosen.end()).size(), chosen.size());
    uint64_t got = 0;
    for (const uint64_t blob : chosen) got += candidates.at(blob - 1).pages;
    EXPECT_GE(got, std::min(sum, wanted));
    if (!chosen.empty()) {
      EXPECT_LT(got - candidates.at(chosen.back() - 1).pages, wanted);
    }
  }
}

}  // namespace
}  // namespace vineyard::store
