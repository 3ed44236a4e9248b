// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/budget.h"

#include <functional>
#include <map>
#include <string>

#include <fmt/format.h>

#include "base/testing.h"

namespace vineyard::store {
namespace {

using std::chrono::seconds;
constexpr auto kNever = os::TimePoint::max();
constexpr auto kNow = os::TimePoint(seconds(1000));

constexpr Holder kA{1};
constexpr Holder kB{2};
constexpr Holder kC{3};

std::function<void(Status)> Log(std::string* log, const std::string& who) {
  return [log, who](Status s) { *log += who + (s.ok() ? "+" : "-"); };
}

TEST(Budget, RefusesWhatDoesNotFit) {
  Budget budget(100);
  EXPECT_FALSE(budget.TryTake(kA, {101}));
  EXPECT_TRUE(budget.TryTake(kA, {100}));
  EXPECT_FALSE(budget.TryTake(kA, {1}));
  EXPECT_TRUE(budget.TryTake(kA, {0}));
}

TEST(Budget, MayBeOverdrawnByWhatTheInstanceCannotDoWithout) {
  Budget budget(100);
  budget.Take(kA, {150});
  EXPECT_EQ(budget.free(), 0u);
  EXPECT_FALSE(budget.TryTake(kA, {1}));
  budget.Give(kA, {100});
  EXPECT_EQ(budget.free(), 50u);
}

TEST(Budget, NobodyOvertakesOneWhoWaits) {
  Budget budget(100);
  std::string log;
  ASSERT_TRUE(budget.TryTake(kA, {60}));
  budget.Wait(kA, {80}, kNever, Log(&log, "large"));
  EXPECT_FALSE(budget.TryTake(kA, {10}));
  budget.Wait(kA, {10}, kNever, Log(&log, "small"));
  EXPECT_EQ(log, "");
  budget.Give(kA, {30});
  EXPECT_EQ(log, "");
  budget.Give(kA, {30});
  EXPECT_EQ(log, "large+small+");
  EXPECT_EQ(budget.held(), 90u);
}

TEST(Budget, ACancelledWaiterLetsOthersPass) {
  Budget budget(100);
  std::string log;
  ASSERT_TRUE(budget.TryTake(kA, {60}));
  const auto large = budget.Wait(kA, {80}, kNever, Log(&log, "large"));
  budget.Wait(kA, {10}, kNever, Log(&log, "small"));
  budget.Cancel(large);
  budget.Pump();
  EXPECT_EQ(log, "small+");
}

TEST(Budget, WaitsEndAtTheirDeadlineAndLetOthersPass) {
  Budget budget(100);
  std::string log;
  ASSERT_TRUE(budget.TryTake(kA, {60}));
  budget.Wait(kA, {80}, kNow, Log(&log, "large"));
  budget.Wait(kA, {10}, kNow + seconds(5), Log(&log, "small"));
  EXPECT_EQ(budget.NextDeadline(), kNow);
  budget.Expire(kNow - seconds(1), [](Holder, uint64_t) { return "why"; });
  EXPECT_EQ(log, "");
  budget.Expire(kNow, [](Holder, uint64_t) { return "why"; });
  EXPECT_EQ(log, "large-small+");
  EXPECT_EQ(budget.NextDeadline(), std::nullopt);
}

TEST(Budget, AnExpiredWaitSaysWhoHoldsTheMemory) {
  Budget budget(100);
  budget.Take(kA, {100});
  Status status;
  budget.Wait(kA, {7}, kNow, [&](Status s) { status = std::move(s); });
  budget.Expire(kNow, [](Holder who, uint64_t bytes) {
    return fmt::format("{} asked by {}", bytes, static_cast<uint64_t>(who));
  });
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(status.message(), "7 asked by 1");
}

// Whose turn it is may take memory itself, though others wait behind it.
TEST(Budget, WhoIsLetInMayTakeWhatItWaitedFor) {
  Budget budget(100);
  budget.Take(kA, {100});
  std::string log;
  for (const char* who : {"a", "b"}) {
    budget.Wait(kA, {40}, kNever, [&, who](Status granted) {
      ASSERT_OK(granted);
      budget.Untake(kA, {40});
      log += who;
      log += budget.TryTake(kA, {40}) ? "+" : "-";
    });
  }
  budget.Give(kA, {100});
  EXPECT_EQ(log, "a+b+");
  EXPECT_EQ(budget.held(), 80u);
}

// One that needs more than it said waits again; that must not go round and round.
TEST(Budget, OneThatWaitsAgainGetsItsNextTurnLater) {
  Budget budget(100);
  budget.Take(kA, {100});
  int turns = 0;
  std::function<void(Status)> again = [&](Status) {
    ++turns;
    budget.Untake(kA, {10});
    if (turns < 1000) budget.Wait(kA, {10}, kNever, again);
  };
  budget.Wait(kA, {10}, kNever, again);
  budget.Give(kA, {50});
  EXPECT_EQ(turns, 1);
  budget.Give(kA, {10});
  EXPECT_EQ(turns, 2);
}

TEST(Budget, GivingBackFromWithinAGrantIsFine) {
  Budget budget(100);
  budget.Take(kA, {100});
  std::string log;
  budget.Wait(kA, {60}, kNever, [&](Status) {
    log += "a";
    budget.Give(kA, {60});
  });
  budget.Wait(kA, {60}, kNever, Log(&log, "b"));
  budget.Give(kA, {60});
  EXPECT_EQ(log, "ab+");
}

// ---- guaranteed shares

TEST(Budget, WhatIsGuaranteedIsThereHoweverMuchOthersWant) {
  Budget budget(100);
  budget.Guarantee(kA, 30);
  EXPECT_EQ(budget.FreeFor(kB), 70U);
  EXPECT_EQ(budget.MostFor(kB), 70U);
  EXPECT_FALSE(budget.TryTake(kB, {71}));
  EXPECT_TRUE(budget.TryTake(kB, {70}));
  std::string log;
  budget.Wait(kB, {10}, kNever, Log(&log, "b"));
  EXPECT_TRUE(budget.TryTake(kA, {20}));
  EXPECT_TRUE(budget.TryTake(kA, {10}));
  EXPECT_FALSE(budget.TryTake(kA, {1}));
  EXPECT_EQ(log, "");
  EXPECT_EQ(budget.held(), 100U);
}

TEST(Budget, AGuaranteeIsNoMaximum) {
  Budget budget(100);
  budget.Guarantee(kA, 30);
  EXPECT_TRUE(budget.TryTake(kA, {100}));
  EXPECT_FALSE(budget.TryTake(kB, {1}));
  budget.Give(kA, {20});
  EXPECT_TRUE(budget.TryTake(kB, {20}));
  EXPECT_EQ(budget.HeldBy(kA).bytes, 80U);
  EXPECT_EQ(budget.HeldBy(kB).bytes, 20U);
}

// What it gives back of its guaranteed share stays its own.
TEST(Budget, MemoryGivenBackWithinAGuaranteeIsNobodyElses) {
  Budget budget(100);
  budget.Guarantee(kA, 30);
  std::string log;
  ASSERT_TRUE(budget.TryTake(kA, {40}));
  ASSERT_TRUE(budget.TryTake(kB, {60}));
  budget.Wait(kB, {10}, kNever, Log(&log, "b"));
  budget.Give(kA, {5});
  EXPECT_EQ(log, "");
  budget.Give(kA, {5});
  EXPECT_EQ(log, "b+");
  budget.Wait(kB, {1}, kNever, Log(&log, "b"));
  budget.Give(kA, {30});
  EXPECT_EQ(log, "b+");
  EXPECT_EQ(budget.KeptForOthers(kB), (std::map<Holder, uint64_t>{{kA, 30}}));
  EXPECT_TRUE(budget.KeptForOthers(kA).empty());
}

TEST(Budget, AGuaranteeThatIsGivenWhileMemoryIsHeldIsMadeGoodFirst) {
  Budget budget(100);
  ASSERT_TRUE(budget.TryTake(kB, {90}));
  budget.Guarantee(kA, 30);
  EXPECT_EQ(budget.FreeFor(kB), 0U);
  EXPECT_EQ(budget.FreeFor(kA), 10U);
  std::string log;
  budget.Wait(kB, {5}, kNever, Log(&log, "b"));
  budget.Wait(kA, {30}, kNever, Log(&log, "a"));
  budget.Give(kB, {19});
  EXPECT_EQ(log, "");
  budget.Give(kB, {1});
  EXPECT_EQ(log, "a+");
  budget.Give(kB, {5});
  EXPECT_EQ(log, "a+b+");
  budget.Guarantee(kA, 0);
  EXPECT_EQ(budget.guaranteed(), 0U);
  EXPECT_EQ(budget.MostFor(kB), 100U);
}

// It waits for as long as it likes, and nobody waits for it.
TEST(Budget, WhatALaterGuaranteeHasPutOutOfReachHoldsUpNobody) {
  Budget budget(100);
  std::string log;
  ASSERT_TRUE(budget.TryTake(kC, {50}));
  const auto id = budget.Wait(kB, {80}, kNow, Log(&log, "b"));
  budget.Wait(kC, {10}, kNever, Log(&log, "c"));
  budget.Guarantee(kA, 30);
  budget.Pump();
  EXPECT_EQ(log, "c+");
  budget.Give(kC, {60});
  EXPECT_EQ(log, "c+");
  budget.Guarantee(kA, 0);
  budget.Pump();
  EXPECT_EQ(log, "c+b+");
  budget.Cancel(id);
}

// Catalogs are made in any case, and what a new engine finds is held.
TEST(Budget, OfTooLittleForAllRestsEachMayHaveItsOwn) {
  Budget budget(100);
  budget.Guarantee(kA, 40);
  budget.Guarantee(kB, 40);
  budget.Take(kC, {60});
  EXPECT_EQ(budget.FreeFor(kC), 0U);
  EXPECT_EQ(budget.FreeFor(kA), 40U);
  EXPECT_TRUE(budget.TryTake(kA, {30}));
  EXPECT_EQ(budget.FreeFor(kB), 10U);
  EXPECT_FALSE(budget.TryTake(kB, {40}));
  EXPECT_TRUE(budget.TryTake(kB, {10}));
  budget.Give(kC, {30});
  EXPECT_FALSE(budget.TryTake(kC, {1}));
  EXPECT_TRUE(budget.TryTake(kB, {30}));
}

TEST(Budget, WhatIsWantedCountsWhatHasToBeKeptBesideIt) {
  Budget budget(100);
  budget.Guarantee(kA, 30);
  EXPECT_EQ(budget.Wanted(kNow), 0U);
  std::string log;
  ASSERT_TRUE(budget.TryTake(kB, {65}));
  budget.Wait(kB, {10}, kNever, Log(&log, "b"));
  EXPECT_EQ(budget.Wanted(kNow), 40U);  // of which 35 are free
  budget.Wait(kA, {35}, kNow, Log(&log, "a"));
  EXPECT_EQ(budget.Wanted(kNow), 40U);  // its time is up
  EXPECT_EQ(budget.Wanted(kNow - seconds(1)), 45U);
  EXPECT_TRUE(budget.HelpsToEvict(kB));
  EXPECT_TRUE(budget.HelpsToEvict(kA));  // to itself
  EXPECT_FALSE(budget.HelpsToEvict(kC));
  budget.Expire(kNow, [](Holder, uint64_t) { return "why"; });
  EXPECT_FALSE(budget.HelpsToEvict(kA));
}

TEST(Budget, SpareMemoryAtHandIsTakenFromWhatIsFreeForTheVolume) {
  Budget budget(100);
  budget.SetSpareOwner([&](uint64_t bytes) { budget.DropSpare(bytes); });
  budget.Guarantee(kA, 30);
  ASSERT_TRUE(budget.TryAddSpare(100));
  EXPECT_FALSE(budget.TryTake(kB, {71}, 71));
  EXPECT_TRUE(budget.TryTake(kB, {70}, 50));
  EXPECT_EQ(budget.spare(), 30U);
  EXPECT_TRUE(budget.TryTake(kA, {30}));
  EXPECT_EQ(budget.spare(), 0U);
  EXPECT_EQ(budget.held(), 100U);
}

TEST(Budget, FilesAreCountedByVolume) {
  Budget budget(100);
  ASSERT_TRUE(budget.TryTake(kA, {10, 3}));
  budget.Take(kB, {10, 2});
  EXPECT_EQ(budget.HeldBy(kA).files, 3U);
  budget.Give(kA, {10, 3});
  EXPECT_EQ(budget.HeldBy(kA).files, 0U);
  EXPECT_EQ(budget.HeldBy(kB).files, 2U);
}

// ---- whose turn it is

TEST(Budget, VolumesTakeTurnsHoweverManyOfOneWait) {
  Budget budget(100);
  std::string log;
  ASSERT_TRUE(budget.TryTake(kC, {100}));
  for (int i = 0; i < 4; ++i) budget.Wait(kA, {10}, kNever, Log(&log, "a"));
  budget.Wait(kB, {10}, kNever, Log(&log, "b"));
  budget.Wait(kB, {10}, kNever, Log(&log, "b"));
  for (int i = 0; i < 6; ++i) budget.Give(kC, {10});
  EXPECT_EQ(log, "a+b+a+b+a+a+");
}

TEST(Budget, ALargeRequestThatHasTheTurnIsNotPassed) {
  Budget budget(100);
  std::string log;
  ASSERT_TRUE(budget.TryTake(kC, {100}));
  budget.Wait(kA, {80}, kNever, Log(&log, "A"));
  for (int i = 0; i < 3; ++i) budget.Wait(kB, {10}, kNever, Log(&log, "b"));
  budget.Give(kC, {70});
  EXPECT_EQ(log, "");
  EXPECT_FALSE(budget.TryTake(kC, {10}));
  budget.Give(kC, {10});
  EXPECT_EQ(log, "A+");
  budget.Give(kC, {20});
  EXPECT_EQ(log, "A+b+b+");
}

// Or a volume whose requests give up one after another would have it for ever.
TEST(Budget, WhoGivesUpPassesTheTurnOn) {
  Budget budget(100);
  std::string log;
  ASSERT_TRUE(budget.TryTake(kC, {100}));
  budget.Wait(kA, {100}, kNow, Log(&log, "A"));
  const auto second = budget.Wait(kA, {100}, kNever, Log(&log, "A"));
  budget.Wait(kB, {10}, kNever, Log(&log, "b"));
  budget.Wait(kB, {20}, kNever, Log(&log, "B"));
  budget.Give(kC, {10});
  EXPECT_EQ(log, "");
  budget.Expire(kNow, [](Holder, uint64_t) { return "why"; });
  EXPECT_EQ(log, "A-b+");
  budget.Give(kC, {20});
  EXPECT_EQ(log, "A-b+");  // the second large one has the turn now
  budget.Cancel(second);
  budget.Pump();
  EXPECT_EQ(log, "A-b+B+");
}

TEST(Budget, WhatLiesWithinAGuaranteeNeedsNoTurnButKeepsItsOrder) {
  Budget budget(100);
  std::string log;
  budget.Guarantee(kA, 40);
  ASSERT_TRUE(budget.TryTake(kA, {40}));
  ASSERT_TRUE(budget.TryTake(kC, {60}));
  budget.Wait(kB, {50}, kNever, Log(&log, "B"));
  budget.Wait(kA, {30}, kNever, Log(&log, "1"));
  budget.Wait(kA, {10}, kNever, Log(&log, "2"));
  budget.Give(kA, {20});
  EXPECT_EQ(log, "");  // 2 would fit, but 1 came first
  EXPECT_FALSE(budget.TryTake(kA, {5}));
  budget.Give(kA, {20});
  EXPECT_EQ(log, "1+2+");
  budget.Give(kC, {50});
  EXPECT_EQ(log, "1+2+B+");
}

}  // namespace
}  // namespace vineyard::store
