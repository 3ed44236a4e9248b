// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/heap_shares.h"

#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"

namespace vineyard::daemon {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

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
  HeapShares heap;
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
  HeapShares heap;
  std::vector<HeapShares::Claim> claims;
  EXPECT_EQ(Fill(&heap, 1, &claims), HeapShares::kAll / 4);
  for (uint64_t volume = 2; volume < 20; ++volume) {
    EXPECT_GE(Fill(&heap, volume, &claims), HeapShares::kOfVolume);
  }
  claims.clear();
  EXPECT_EQ(heap.bytes(), 0U);
}

TEST(HeapShares, SumsThatOverflowAreRefused) {
  HeapShares heap;
  EXPECT_CODE(kLimitExceeded, heap.Take(1, UINT64_MAX, "tests").status());
  ASSERT_OK_AND_ASSIGN(const HeapShares::Claim some, heap.Take(1, 10, "tests"));
  EXPECT_CODE(kLimitExceeded, heap.Take(1, UINT64_MAX - 5, "tests").status());
  EXPECT_OK(heap.Take(1, 0, "tests"));
}

TEST(HeapShares, ClaimsMayOutliveIt) {
  auto heap = std::make_unique<HeapShares>();
  ASSERT_OK_AND_ASSIGN(HeapShares::Claim claim, heap->Take(1, 10, "tests"));
  heap.reset();
  claim.Release();
}

}  // namespace
}  // namespace vineyard::daemon
