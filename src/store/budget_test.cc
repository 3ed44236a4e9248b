// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/budget.h"

#include <functional>
#include <string>
#include <vector>

#include "base/testing.h"

namespace vineyard::store {
namespace {

using std::chrono::seconds;
constexpr auto kNever = os::TimePoint::max();
constexpr auto kNow = os::TimePoint(seconds(1000));

std::function<void(Status)> Log(std::string* log, const std::string& who) {
  return [log, who](Status s) { *log += who + (s.ok() ? "+" : "-"); };
}

TEST(Budget, RefusesWhatDoesNotFit) {
  Budget budget(100);
  EXPECT_FALSE(budget.TryTake(101));
  EXPECT_TRUE(budget.TryTake(100));
  EXPECT_FALSE(budget.TryTake(1));
  EXPECT_TRUE(budget.TryTake(0));
}

TEST(Budget, MayBeOverdrawnByWhatTheInstanceCannotDoWithout) {
  Budget budget(100);
  budget.Take(150);
  EXPECT_EQ(budget.free(), 0u);
  EXPECT_FALSE(budget.TryTake(1));
  budget.Give(100);
  EXPECT_EQ(budget.free(), 50u);
}

TEST(Budget, NobodyOvertakesOneWhoWaits) {
  Budget budget(100);
  std::string log;
  ASSERT_TRUE(budget.TryTake(60));
  budget.Wait(80, kNever, Log(&log, "large"));
  EXPECT_FALSE(budget.TryTake(10));
  budget.Wait(10, kNever, Log(&log, "small"));
  EXPECT_EQ(log, "");
  budget.Give(30);
  EXPECT_EQ(log, "");
  budget.Give(30);
  EXPECT_EQ(log, "large+small+");
  EXPECT_EQ(budget.held(), 90u);
}

TEST(Budget, ACancelledWaiterLetsOthersPass) {
  Budget budget(100);
  std::string log;
  ASSERT_TRUE(budget.TryTake(60));
  const auto large = budget.Wait(80, kNever, Log(&log, "large"));
  budget.Wait(10, kNever, Log(&log, "small"));
  budget.Cancel(large);
  budget.Pump();
  EXPECT_EQ(log, "small+");
}

TEST(Budget, WaitsEndAtTheirDeadlineAndLetOthersPass) {
  Budget budget(100);
  std::string log;
  ASSERT_TRUE(budget.TryTake(60));
  budget.Wait(80, kNow, Log(&log, "large"));
  budget.Wait(10, kNow + seconds(5), Log(&log, "small"));
  EXPECT_EQ(budget.NextDeadline(), kNow);
  budget.Expire(kNow - seconds(1), [](uint64_t) { return "why"; });
  EXPECT_EQ(log, "");
  budget.Expire(kNow, [](uint64_t) { return "why"; });
  EXPECT_EQ(log, "large-small+");
  EXPECT_EQ(budget.NextDeadline(), std::nullopt);
}

TEST(Budget, AnExpiredWaitSaysWhoHoldsTheMemory) {
  Budget budget(100);
  budget.Take(100);
  Status status;
  budget.Wait(7, kNow, [&](Status s) { status = std::move(s); });
  budget.Expire(kNow, [](uint64_t bytes) { return std::to_string(bytes) + " asked"; });
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(status.message(), "7 asked");
}

// Whose turn it is may take memory itself, though others wait behind it.
TEST(Budget, WhoIsLetInMayTakeWhatItWaitedFor) {
  Budget budget(100);
  budget.Take(100);
  std::string log;
  for (const char* who : {"a", "b"}) {
    budget.Wait(40, kNever, [&, who](Status granted) {
      ASSERT_OK(granted);
      budget.Untake(40);
      log += who;
      log += budget.TryTake(40) ? "+" : "-";
    });
  }
  budget.Give(100);
  EXPECT_EQ(log, "a+b+");
  EXPECT_EQ(budget.held(), 80u);
}

// One that needs more than it said waits again; that must not go round and round.
TEST(Budget, OneThatWaitsAgainGetsItsNextTurnLater) {
  Budget budget(100);
  budget.Take(100);
  int turns = 0;
  std::function<void(Status)> again = [&](Status) {
    ++turns;
    budget.Untake(10);
    if (turns < 1000) budget.Wait(10, kNever, again);
  };
  budget.Wait(10, kNever, again);
  budget.Give(50);
  EXPECT_EQ(turns, 1);
  budget.Give(10);
  EXPECT_EQ(turns, 2);
}

TEST(Budget, GivingBackFromWithinAGrantIsFine) {
  Budget budget(100);
  budget.Take(100);
  std::string log;
  budget.Wait(60, kNever, [&](Status) {
    log += "a";
    budget.Give(60);
  });
  budget.Wait(60, kNever, Log(&log, "b"));
  budget.Give(60);
  EXPECT_EQ(log, "ab+");
}

}  // namespace
}  // namespace vineyard::store
