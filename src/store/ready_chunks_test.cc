// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/ready_chunks.h"

#include <gtest/gtest.h>

#include "os/memfd.h"

namespace vineyard::store {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(ReadyChunks, HoldWhatWasAskedForInWholeChunks) {
  auto ready = ReadyChunks::Make(64 * kMiB + 100);
  ASSERT_TRUE(ready.ok()) << ready.status().ToString();
  EXPECT_EQ((*ready)->bytes(), 64 * kMiB);
}

TEST(ReadyChunks, GiveReadyOnesWithTheirPagesPresent) {
  auto ready = ReadyChunks::Make(64 * kMiB);
  ASSERT_TRUE(ready.ok()) << ready.status().ToString();
  auto chunks = (*ready)->Take(PlanChunks(18 * kMiB, ReadyChunks::kLargest));
  ASSERT_TRUE(chunks.ok()) << chunks.status().ToString();
  ASSERT_EQ(chunks->size(), 2U);
  for (const Chunk& chunk : *chunks) {
    EXPECT_EQ(os::BytesPresent(chunk.fd).value(), chunk.size);
  }
  EXPECT_EQ((*ready)->bytes(), 46 * kMiB);
}

TEST(ReadyChunks, MakeSizesTheyDoNotHaveFromAsMuchGivenUp) {
  auto ready = ReadyChunks::Make(64 * kMiB);
  ASSERT_TRUE(ready.ok()) << ready.status().ToString();
  const uint64_t odd = 3 * os::PageSize();
  auto chunks = (*ready)->Take(std::vector<uint64_t>{odd, 16 * kMiB});
  ASSERT_TRUE(chunks.ok()) << chunks.status().ToString();
  EXPECT_EQ((*chunks)[0].size, odd);
  EXPECT_EQ((*chunks)[1].size, 16 * kMiB);
  EXPECT_LE((*ready)->bytes() + odd + 16 * kMiB, 64 * kMiB);
}

TEST(ReadyChunks, RefillWhatWasClosed) {
  auto ready = ReadyChunks::Make(32 * kMiB);
  ASSERT_TRUE(ready.ok()) << ready.status().ToString();
  {
    auto chunks = (*ready)->Take(PlanChunks(32 * kMiB, ReadyChunks::kLargest));
    ASSERT_TRUE(chunks.ok()) << chunks.status().ToString();
    EXPECT_EQ((*ready)->bytes(), 0U);
  }
  (*ready)->Refill(32 * kMiB);
  EXPECT_EQ((*ready)->bytes(), 32 * kMiB);
}

TEST(ReadyChunks, NothingIsReadyWhereNothingIsLeftAndExtentsAreMadeAllTheSame) {
  auto ready = ReadyChunks::Make(0);
  ASSERT_TRUE(ready.ok()) << ready.status().ToString();
  auto chunks = (*ready)->Take(PlanChunks(5 * kMiB, ReadyChunks::kLargest));
  ASSERT_TRUE(chunks.ok()) << chunks.status().ToString();
  EXPECT_EQ(chunks->size(), 3U);
}

}  // namespace
}  // namespace vineyard::store
