// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Evictions that a client asks for: of however many, some at a time.
#include <algorithm>
#include <vector>

#include <gmock/gmock.h>

#include "store/test_spilling.h"

namespace vineyard::store {
namespace {

using ::testing::HasSubstr;

class EvictingMany : public SpillingTest {
 protected:
  static constexpr uint64_t kSize = 100'000;

  std::vector<ObjectId> PutMany(uint64_t count) {
    std::vector<ObjectId> blobs;
    for (uint64_t i = 0; i < count; ++i) blobs.push_back(Put(i, kSize));
    return blobs;
  }
  size_t CountIn(const std::vector<ObjectId>& blobs, ExtentState state) {
    return static_cast<size_t>(
        std::ranges::count_if(blobs, [&](ObjectId blob) { return StateOf(blob) == state; }));
  }
};

TEST_F(EvictingMany, AFewAreWrittenAtATime) {
  const std::vector<ObjectId> blobs = PutMany(40);
  machine_->disk().Pause();
  Outcome outcome;
  spiller().Evict(blobs, kNever, outcome.Callback());
  Run();
  EXPECT_LE(CountIn(blobs, ExtentState::kSpilling), 4u);
  EXPECT_GT(CountIn(blobs, ExtentState::kSpilling), 0u);
  machine_->disk().Resume();
  Run();
  EXPECT_EQ(outcome.calls, 1);
  EXPECT_OK(outcome.status);
  EXPECT_EQ(CountIn(blobs, ExtentState::kSpilled), 40u);
  for (uint64_t i = 0; i < 40; ++i) ExpectBytes(blobs[i], i, kSize);
}

TEST_F(EvictingMany, WhatNeedsNoWritingGoesSomeInATurn) {
  const std::vector<ObjectId> blobs = PutMany(120);
  ASSERT_OK(Evict(blobs));
  ASSERT_OK(Load(blobs));
  Outcome outcome;
  size_t before = 0;
  size_t most = 0;
  spiller().Evict(blobs, kNever, outcome.Callback());
  do {
    const size_t now = CountIn(blobs, ExtentState::kSpilled);
    most = std::max(most, now - before);
    before = now;
  } while (machine_->Step());
  EXPECT_EQ(before, 120u);
  EXPECT_LE(most, 64u);
  EXPECT_OK(outcome.status);
}

TEST_F(EvictingMany, AShortRequestDoesNotWaitForALongOne) {
  const std::vector<ObjectId> blobs = PutMany(100);
  Outcome long_one;
  Outcome short_one;
  spiller().Evict(std::vector(blobs.begin(), blobs.end() - 1), kNever, long_one.Callback());
  spiller().Evict(std::vector{blobs.back()}, kNever, short_one.Callback());
  while (short_one.calls == 0 && machine_->Step()) {
  }
  EXPECT_OK(short_one.status);
  EXPECT_EQ(long_one.calls, 0);
  Run();
  EXPECT_OK(long_one.status);
}

TEST_F(EvictingMany, TheOthersGoWhereOneCanNot) {
  const std::vector<ObjectId> blobs = PutMany(20);
  const Reader reader = Open(blobs[7]);
  spiller().Pin(machine_->client(client_), extent(blobs[9]));
  const Status refused = Evict(blobs);
  EXPECT_CODE(kFailedPrecondition, refused);
  EXPECT_THAT(refused.message(), HasSubstr(blobs[7].ToString()));
  EXPECT_EQ(CountIn(blobs, ExtentState::kSpilled), 18u);
}

TEST_F(EvictingMany, WhoGivesUpHasNoMoreEvicted) {
  const std::vector<ObjectId> blobs = PutMany(20);
  machine_->disk().Pause();
  Outcome outcome;
  const uint64_t ticket = spiller().Evict(blobs, kNever, outcome.Callback());
  Run();
  const size_t begun = CountIn(blobs, ExtentState::kSpilling);
  ASSERT_GT(begun, 0u);
  store().CancelReserve(ticket);
  machine_->disk().Resume();
  Run();
  EXPECT_EQ(outcome.calls, 0);
  EXPECT_EQ(CountIn(blobs, ExtentState::kSealed), 20u) << "copies of some lie on the disk";
  EXPECT_EQ(machine_->disk().writes, static_cast<int>(begun));
  ASSERT_OK(Evict(blobs));
  EXPECT_EQ(machine_->disk().writes, 20);
}

TEST_F(EvictingMany, AtItsDeadlineItSaysHowManyAreLeft) {
  const std::vector<ObjectId> blobs = PutMany(20);
  machine_->disk().Pause();
  Outcome outcome;
  spiller().Evict(blobs, os::Clock::now() + std::chrono::hours(1), outcome.Callback());
  Run();
  store().Tick(os::Clock::now() + std::chrono::hours(2));
  EXPECT_CODE(kDeadlineExceeded, outcome.status);
  EXPECT_THAT(outcome.status.message(), HasSubstr("20 of 20 extents are still to be written"));
  machine_->disk().Resume();
  Run();
  EXPECT_EQ(outcome.calls, 1);
}

TEST_F(EvictingMany, OneThatIsNamedTwiceIsWrittenOnce) {
  const std::vector<ObjectId> blobs = PutMany(2);
  ASSERT_OK(Evict({blobs[0], blobs[1], blobs[0], blobs[1]}));
  EXPECT_EQ(machine_->disk().writes, 2);
  EXPECT_OK(Evict({}));
}

}  // namespace
}  // namespace vineyard::store
