// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A model check of Note [Who wakes whom] in layout/ring.h, by Relacy, on the very templates that client
// and engine use. It tries the executions that C++'s memory model allows, and finds sleepers that nobody
// wakes (a deadlock), bytes that are read and written at once (a data race), and wrong ones.
//
// Each rule of the Note is then broken in turn, and its trouble must be found.
#include <gtest/gtest.h>

#include "model/ring_model.h"

namespace vineyard::model {
namespace {

struct Size {
  unsigned capacity;
  unsigned messages;
};
constexpr Size kBothFit{2, 2};
constexpr Size kOneAtATime{1, 2};
constexpr Size kWrapsAround{2, 3};

constexpr uint64_t kMany = 200'000;

Verdict Try(Broken broken, Size size, Search search) {
  return TryRing(broken, size.capacity, size.messages, search, kMany);
}

TEST(RingModel, NoExecutionOfTwoMessagesGoesWrong) {
  const Verdict all = Try(Broken::kNone, kBothFit, Search::kFull);
  EXPECT_EQ(all.trouble, "");
  EXPECT_GT(all.executions, 100'000U);
}

TEST(RingModel, NoExecutionWithAFullRingGoesWrong) {
  for (const Size size : {kOneAtATime, kWrapsAround}) {
    const Verdict few = Try(Broken::kNone, size, Search::kFewSwitches);
    EXPECT_EQ(few.trouble, "");
    EXPECT_GT(few.executions, 1000U);
    EXPECT_EQ(Try(Broken::kNone, size, Search::kRandom).trouble, "");
  }
}

struct Rule {
  const char* name;
  Broken broken;
  Size size;
  const char* trouble;
};

class BrokenRingRule : public ::testing::TestWithParam<Rule> {};

TEST_P(BrokenRingRule, IsFound) {
  const Rule& rule = GetParam();
  EXPECT_EQ(Try(rule.broken, rule.size, Search::kFewSwitches).trouble, rule.trouble);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, BrokenRingRule,
    ::testing::Values(
        Rule{"PublishReleases", Broken::kPublishReleases, kBothFit, "DEADLOCK"},
        Rule{"LookForSleeperAcquires", Broken::kLookForSleeperAcquires, kBothFit, "DEADLOCK"},
        Rule{"FallAsleepReleases", Broken::kFallAsleepReleases, kBothFit, "DEADLOCK"},
        Rule{"LookAgainAcquires", Broken::kLookAgainAcquires, kBothFit, "DEADLOCK"},
        Rule{"NoLookAgain", Broken::kNoLookAgain, kBothFit, "DEADLOCK"},
        Rule{"NobodyWakes", Broken::kNobodyWakes, kBothFit, "DEADLOCK"},
        // One falling asleep, one wake-up: each costs a system call.
        Rule{"SleeperIsNotCleared", Broken::kSleeperIsNotCleared, kBothFit, "USER ASSERT FAILED"},
        Rule{"PublishIsRelaxed", Broken::kPublishIsRelaxed, kBothFit, "DATA RACE"},
        Rule{"AvailableIsRelaxed", Broken::kAvailableIsRelaxed, kBothFit, "DATA RACE"},
        Rule{"ReleaseIsRelaxed", Broken::kReleaseIsRelaxed, kOneAtATime, "DATA RACE"},
        Rule{"RoomIsRelaxed", Broken::kRoomIsRelaxed, kOneAtATime, "DATA RACE"}),
    [](const ::testing::TestParamInfo<Rule>& rule) { return rule.param.name; });

}  // namespace
}  // namespace vineyard::model
