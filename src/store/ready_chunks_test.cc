// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/ready_chunks.h"

#include <csignal>
#include <deque>
#include <numeric>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/memfd.h"

namespace vineyard::store {
namespace {

using std::chrono::seconds;

constexpr uint64_t kMi = uint64_t{1} << 20;
constexpr Holder kVolume{1};

/// One pool's work waits until it is run, and is done at once then.
class ReadyChunksTest : public testing::Test {
 protected:
  RunOnPool Pool() {
    return [this](std::function<void()> work, std::function<void()> done) {
      jobs_.push_back([work = std::move(work), done = std::move(done)] {
        work();
        done();
      });
    };
  }
  void Run() {
    while (!jobs_.empty()) {
      const auto job = std::move(jobs_.front());
      jobs_.pop_front();
      job();
    }
  }
  /// As the store does it for an extent that fits.
  std::vector<Chunk> Use(uint64_t size) {
    ReadyChunks::Taken taken = ready_.Take(size);
    uint64_t pages = 0;
    for (const Chunk& chunk : taken.chunks) pages += chunk.size;
    EXPECT_TRUE(budget_.TryTake(kVolume, {pages}, taken.ready));
    ready_.NoteDemand(size, now_);
    ready_.Refill();
    return std::move(taken.chunks);
  }
  void Free(const std::vector<Chunk>& chunks) {
    for (const Chunk& chunk : chunks) budget_.Give(kVolume, {chunk.size});
    ready_.Refill();
  }
  void Pass(seconds time) {
    for (; time.count() > 0; --time) {
      now_ += seconds(1);
      ready_.Tick(now_);
      Run();
    }
  }
  static uint64_t Present(const std::vector<Chunk>& chunks) {
    uint64_t bytes = 0;
    for (const Chunk& chunk : chunks) {
      if (chunk.fd.valid()) bytes += os::BytesPresent(chunk.fd).value();
    }
    return bytes;
  }

  Budget budget_{64 * kMi};
  std::deque<std::function<void()>> jobs_;
  ReadyChunks ready_{budget_, Pool(), nullptr};
  os::TimePoint now_{};
};

TEST_F(ReadyChunksTest, AtFirstThereAreNoneAndNothingIsDoneAboutIt) {
  const ReadyChunks::Taken taken = ready_.Take(5 * kMi);
  ASSERT_EQ(taken.chunks.size(), 2U);
  EXPECT_EQ(taken.ready, 0U);
  EXPECT_FALSE(taken.chunks[0].fd.valid());
  ready_.Refill();
  EXPECT_TRUE(jobs_.empty());
  EXPECT_FALSE(ready_.NextTick());
}

TEST_F(ReadyChunksTest, WhatWasWantedIsMadeAgainWithItsPagesPresent) {
  Use(6 * kMi + kMi / 2);
  Run();
  EXPECT_EQ(budget_.spare(), 6 * kMi + kMi / 2);
  EXPECT_EQ(budget_.held(), 6 * kMi + kMi / 2);
  const ReadyChunks::Taken taken = ready_.Take(6 * kMi + kMi / 2);
  EXPECT_EQ(taken.ready, 6 * kMi + kMi / 2);
  EXPECT_EQ(Present(taken.chunks), taken.ready);
}

TEST_F(ReadyChunksTest, NoMoreThanExtentsHeldLatelyIsReadyHoweverMuchWasTaken) {
  for (int i = 0; i < 40; ++i) {
    Free(Use(4 * kMi));
    Run();
    EXPECT_LE(budget_.spare(), 4 * kMi);
  }
  EXPECT_EQ(budget_.held(), 0U);
}

TEST_F(ReadyChunksTest, SmallSizesLeaveTheirPartToLargeOnes) {
  for (int i = 0; i < 30; ++i) {
    Free(Use(5 * kMi));
    Run();
    EXPECT_EQ(ready_.Take(5 * kMi).ready, 5 * kMi);  // and taken, not returned: made again
    budget_.DropSpare(5 * kMi);
    ready_.Refill();
    Run();
  }
}

TEST_F(ReadyChunksTest, NoMoreThanHalfOfWhatIsFreeIsReady) {
  Use(48 * kMi);
  Run();
  EXPECT_LE(budget_.spare(), 8 * kMi);
  EXPECT_LE(budget_.held() + budget_.spare(), budget_.limit());
}

TEST_F(ReadyChunksTest, WithoutUseAllIsGivenBackAndNobodyIsWokenAnyMore) {
  Free(Use(9 * kMi));
  Run();
  ASSERT_GT(budget_.spare(), 0U);
  Pass(seconds(14));
  EXPECT_GT(budget_.spare(), 0U);
  Pass(seconds(20));
  EXPECT_EQ(budget_.spare(), 0U);
  EXPECT_FALSE(ready_.NextTick());
  EXPECT_TRUE(jobs_.empty());
}

TEST_F(ReadyChunksTest, SmallerOnesServeWhereTheSizeIsNotAtHand) {
  Use(2 * kMi);
  Run();
  const ReadyChunks::Taken taken = ready_.Take(7 * kMi);
  std::vector<uint64_t> sizes;
  for (const Chunk& chunk : taken.chunks) sizes.push_back(chunk.size);
  EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), uint64_t{0}), 7 * kMi);
  EXPECT_EQ(taken.ready, 2 * kMi);
  EXPECT_EQ(sizes.back(), kMi);  // what is short comes last
}

TEST_F(ReadyChunksTest, ThousandsOfSmallOnesAreNoLargeExtent) {
  for (int i = 0; i < 8; ++i) Use(2 * kMi);
  Run();
  ASSERT_GT(budget_.spare(), 0U);
  EXPECT_EQ(ready_.Take(uint64_t{1} << 30).ready, 0U);
}

TEST_F(ReadyChunksTest, AreGivenUpForWhoeverNeedsTheMemory) {
  std::vector<Chunk> used = Use(16 * kMi);
  Run();
  EXPECT_EQ(budget_.spare(), 16 * kMi);
  bool granted = false;
  EXPECT_FALSE(budget_.TryTake(kVolume, {48 * kMi}));
  budget_.Wait(kVolume, {48 * kMi}, now_, [&](const Status& s) { granted = s.ok(); });
  Run();
  EXPECT_TRUE(granted);
  EXPECT_EQ(budget_.spare(), 0U);
  EXPECT_EQ(budget_.held(), budget_.limit());
}

TEST_F(ReadyChunksTest, FewAreClosedOnTheSpotWhereLittleIsNeeded) {
  Use(2 * kMi);
  Run();
  ASSERT_EQ(budget_.spare(), 2 * kMi);
  budget_.Take(kVolume, {budget_.unused()});
  EXPECT_TRUE(budget_.TryTake(kVolume, {kMi}));
  EXPECT_EQ(budget_.spare(), 0U);
}

TEST_F(ReadyChunksTest, WhatIsBeingMadeGoesToWhoeverBeganToWait) {
  Use(16 * kMi);
  ASSERT_EQ(jobs_.size(), 1U);  // 16 MiB are being made
  bool granted = false;
  EXPECT_FALSE(budget_.TryTake(kVolume, {48 * kMi}));
  budget_.Wait(kVolume, {48 * kMi}, now_, [&](const Status& s) { granted = s.ok(); });
  EXPECT_FALSE(granted);
  Run();
  EXPECT_TRUE(granted);
  EXPECT_EQ(budget_.spare(), 0U);
}

TEST_F(ReadyChunksTest, WhoGetsMemoryBeyondTheLimitGetsAllThatIsReady) {
  Use(16 * kMi);
  Run();
  budget_.Take(kVolume, {60 * kMi});
  Run();
  EXPECT_EQ(budget_.spare(), 0U);
}

TEST_F(ReadyChunksTest, ReturnedOnesAreReadyAgain) {
  Use(5 * kMi);
  Run();
  ReadyChunks::Taken taken = ready_.Take(5 * kMi);
  EXPECT_EQ(ready_.Take(5 * kMi).ready, 0U);
  ready_.Return(std::move(taken.chunks));
  EXPECT_EQ(ready_.Take(5 * kMi).ready, 5 * kMi);
}

TEST_F(ReadyChunksTest, ManySizesAreNotRememberedForEver) {
  for (uint64_t i = 1; i < 300; ++i) {
    Free(Use(i * os::PageSize()));
    Run();
  }
  EXPECT_LE(budget_.spare(), 2 * kMi);
  Pass(seconds(40));
  EXPECT_EQ(budget_.spare(), 0U);
}

TEST_F(ReadyChunksTest, KeepAllTakesWhatIsFreeNowAndLater) {
  ASSERT_TRUE(budget_.TryTake(kVolume, {5 * kMi}));
  ASSERT_OK(ready_.KeepAll());
  EXPECT_EQ(budget_.spare(), 58 * kMi);  // in whole chunks
  const std::vector<Chunk> used = Use(18 * kMi);
  EXPECT_EQ(Present(used), 18 * kMi);
  EXPECT_EQ(budget_.held() + budget_.spare(), 63 * kMi);
  Free(used);
  Run();
  EXPECT_EQ(budget_.spare(), 58 * kMi);
  Pass(seconds(60));
  EXPECT_EQ(budget_.spare(), 58 * kMi);
  EXPECT_FALSE(ready_.NextTick());
}

TEST_F(ReadyChunksTest, KeepAllMakesOddSizesFromAsMuchGivenUp) {
  ASSERT_OK(ready_.KeepAll());
  const uint64_t odd = 3 * os::PageSize();
  const std::vector<Chunk> used = Use(odd);
  EXPECT_EQ(used.size(), 1U);
  EXPECT_EQ(used[0].size, odd);
  EXPECT_LE(budget_.held() + budget_.spare(), budget_.limit());
}

// The kernel may pick it when memory is short.
TEST(ReadyChunks, AreMadeByThePoolOnceTheTouchersProcessHasEnded) {
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<os::PageToucher> toucher, os::PageToucher::Start());
  ::kill(toucher->pid(), SIGKILL);
  Budget budget(64 * kMi);
  std::deque<std::pair<std::function<void()>, std::function<void()>>> jobs;
  ReadyChunks ready(
      budget, [&](auto work, auto done) { jobs.emplace_back(std::move(work), std::move(done)); },
      std::move(toucher));
  ASSERT_TRUE(budget.TryTake(kVolume, {8 * kMi}));
  ready.NoteDemand(8 * kMi, {});
  ready.Refill();
  while (!jobs.empty()) {
    const auto [work, done] = std::move(jobs.front());
    jobs.pop_front();
    work();
    done();
  }
  EXPECT_EQ(budget.spare(), 8 * kMi);
  EXPECT_EQ(ready.Take(8 * kMi).ready, 8 * kMi);
}

}  // namespace
}  // namespace vineyard::store
