// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/timer.h"

#include <chrono>
#include <optional>

#include "base/testing.h"

namespace vineyard::os {
namespace {

using std::chrono::hours;

Status Wait(const Timer& timer, TimePoint deadline) {
  return WaitReady(timer.fd(), Readiness::kRead, deadline, {});
}

class TimerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = Timer::Make();
    ASSERT_OK(made);
    timer_.emplace(std::move(*made));
  }
  std::optional<Timer> timer_;
};

TEST_F(TimerTest, ATimeThatHasComeIsNoticed) {
  const TimePoint at = Clock::now() + std::chrono::milliseconds(5);
  timer_->SetAt(at);
  ASSERT_OK(Wait(*timer_, TimePoint::max()));
  EXPECT_GE(Clock::now(), at);
}

TEST_F(TimerTest, ATimeLongPastIsNoticedToo) {
  timer_->SetAt(TimePoint());
  ASSERT_OK(Wait(*timer_, TimePoint::max()));
}

TEST_F(TimerTest, StoppedItIsNoLongerReadable) {
  timer_->SetAt(TimePoint());
  ASSERT_OK(Wait(*timer_, TimePoint::max()));
  timer_->Stop();
  EXPECT_EQ(Wait(*timer_, Clock::now()).code(), StatusCode::kDeadlineExceeded);
}

TEST_F(TimerTest, ALaterTimeReplacesAnEarlierOne) {
  timer_->SetAt(TimePoint());
  timer_->SetAt(Clock::now() + hours(1));
  EXPECT_EQ(Wait(*timer_, Clock::now()).code(), StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace vineyard::os
