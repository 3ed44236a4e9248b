// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/heap_shares.h"

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"

namespace vineyard::daemon {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr HeapShares::Limits kLimits{.of_volume = 96 * kMiB, .of_one = 256 * kMiB};

uint64_t Fill(HeapShares* heap, uint64_t volume, std::vector<HeapShares::Claim>* claims) {
  uint64_t bytes = 0;
  while (true) {
    auto claim = heap->Take(volume, kMiB, "tests");
    if (!claim.ok()) {
      EXPECT_CODE(kLimitExceeded, claim.status());
      return bytes;
    }
    claims->push_back(std::move(*claim));
    bytes += kMiB;
  }
}

TEST(HeapShares, WhatIsClaimedIsCountedUntilTheClaimGoes) {
  HeapShares heap(kLimits);
  {
    ASSERT_OK_AND_ASSIGN(HeapShares::Claim a, heap.Take(1, 100, "tests"));
    EXPECT_EQ(heap.bytes(), 100U);
    HeapShares::Claim b = std::move(a);
    EXPECT_EQ(heap.bytes(), 100U);
    ASSERT_OK_AND_ASSIGN(b, heap.Take(1, 30, "tests"));
    EXPECT_EQ(heap.bytes(), 30U);
    b.Release();
    b.Release();
    EXPECT_EQ(heap.bytes(), 0U);
    ASSERT_OK_AND_ASSIGN(b, heap.Take(2, 7, "tests"));
  }
  EXPECT_EQ(heap.bytes(), 0U);
}

TEST(HeapShares, AVolumeThatTakesAllItCanLeavesTheOthersTheirs) {
  HeapShares heap(kLimits);
  std::vector<HeapShares::Claim> claims;
  EXPECT_EQ(Fill(&heap, 1, &claims), kLimits.of_one);
  for (uint64_t volume = 2; volume < 20; ++volume) {
    EXPECT_GE(Fill(&heap, volume, &claims), kLimits.of_volume);
  }
  claims.clear();
  EXPECT_EQ(heap.bytes(), 0U);
}

TEST(HeapShares, SumsThatOverflowAreRefused) {
  HeapShares heap(kLimits);
  EXPECT_CODE(kLimitExceeded, heap.Take(1, UINT64_MAX, "tests").status());
  ASSERT_OK_AND_ASSIGN(const HeapShares::Claim some, heap.Take(1, 10, "tests"));
  EXPECT_CODE(kLimitExceeded, heap.Take(1, UINT64_MAX - 5, "tests").status());
  EXPECT_OK(heap.Take(1, 0, "tests"));
}

TEST(HeapShares, ClaimsMayOutliveIt) {
  auto heap = std::make_unique<HeapShares>(kLimits);
  ASSERT_OK_AND_ASSIGN(HeapShares::Claim claim, heap->Take(1, 10, "tests"));
  heap.reset();
  claim.Release();
}

// Those who wait in one volume's queue, and what they got, in order.
class Queue {
 public:
  explicit Queue(HeapShares* heap) : heap_(heap) {}
  HeapShares::Turn Add(int who, uint64_t bytes, uint64_t volume = 1) {
    return heap_->Await(volume, bytes, [this, who](HeapShares::Claim claim) {
      order.push_back(who);
      claims.push_back(std::move(claim));
    });
  }
  std::vector<int> order;
  std::vector<HeapShares::Claim> claims;

 private:
  HeapShares* heap_;
};

TEST(HeapShares, WhoWaitsIsServedInOrderAndNobodyOvertakes) {
  int told = 0;
  HeapShares heap(kLimits, [&told] { ++told; });
  ASSERT_OK_AND_ASSIGN(HeapShares::Claim first, heap.Take(1, 250 * kMiB, "tests"));
  Queue queue(&heap);
  const HeapShares::Turn large = queue.Add(1, 90 * kMiB);
  const HeapShares::Turn small = queue.Add(2, 1);
  heap.Grant();
  EXPECT_TRUE(queue.order.empty()) << "a small one has overtaken";
  EXPECT_FALSE(heap.TakeNow(1, 1)) << "one that came later has overtaken";
  EXPECT_TRUE(heap.TakeNow(2, 1)) << "another volume has to wait";
  EXPECT_TRUE(large.waits());
  told = 0;
  first.Release();
  EXPECT_GT(told, 0);
  heap.Grant();
  EXPECT_EQ(queue.order, (std::vector{1, 2}));
  EXPECT_FALSE(large.waits());
  EXPECT_FALSE(heap.AnyWaits());
  EXPECT_EQ(heap.bytes(), 90 * kMiB + 1);
}

TEST(HeapShares, WhoLeavesTheQueueMakesWayForThoseBehind) {
  int told = 0;
  HeapShares heap(kLimits, [&told] { ++told; });
  ASSERT_OK_AND_ASSIGN(const HeapShares::Claim most, heap.Take(1, 200 * kMiB, "tests"));
  Queue queue(&heap);
  HeapShares::Turn large = queue.Add(1, 90 * kMiB);
  const HeapShares::Turn small = queue.Add(2, kMiB);
  large = {};
  EXPECT_EQ(told, 1);
  heap.Grant();
  EXPECT_EQ(queue.order, std::vector{2});
}

TEST(HeapShares, TheLargestClaimFitsHoweverManyVolumesThereAre) {
  HeapShares heap(kLimits);
  std::vector<HeapShares::Claim> claims;
  for (uint64_t volume = 2; volume < 20; ++volume) Fill(&heap, volume, &claims);
  Queue queue(&heap);
  const HeapShares::Turn turn = queue.Add(1, kLimits.of_volume);
  heap.Grant();
  EXPECT_EQ(queue.order, std::vector{1});
}

TEST(HeapShares, TurnsMayOutliveIt) {
  auto heap = std::make_unique<HeapShares>(kLimits);
  HeapShares::Turn turn = heap->Await(1, 10, [](HeapShares::Claim) {});
  heap.reset();
  EXPECT_FALSE(turn.waits());
  turn.Leave();
}

TEST(HeapShares, WhatIsGrantedMayWaitAgainAtOnce) {
  HeapShares heap(kLimits);
  std::vector<HeapShares::Turn> turns;
  int granted = 0;
  std::function<void(HeapShares::Claim)> again = [&](HeapShares::Claim) {
    if (++granted < 3) turns.push_back(heap.Await(1, 10, again));
  };
  turns.push_back(heap.Await(1, 10, again));
  for (int i = 0; i < 5; ++i) heap.Grant();
  EXPECT_EQ(granted, 3);
}

}  // namespace
}  // namespace vineyard::daemon
