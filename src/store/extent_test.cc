// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/extent.h"

#include <numeric>

#include "base/testing.h"
#include "os/mapping.h"
#include "os/memfd.h"

namespace vineyard::store {
namespace {

constexpr uint64_t kMi = uint64_t{1} << 20;

TEST(Extent, NothingNeedsNoChunks) { EXPECT_TRUE(PlanChunks(0).empty()); }

TEST(Extent, ChunksHoldTheSizeAndWasteLessThanAPage) {
  for (const uint64_t size : {uint64_t{1}, uint64_t{4096}, uint64_t{4097}, 2 * kMi - 1, 2 * kMi,
                              2 * kMi + 1, 100 * kMi, 1024 * kMi, 5000 * kMi + 17}) {
    const std::vector<uint64_t> sizes = PlanChunks(size);
    const uint64_t sum = std::accumulate(sizes.begin(), sizes.end(), uint64_t{0});
    EXPECT_GE(sum, size);
    EXPECT_LT(sum, size + os::PageSize());
    // All but the last begin and end where huge pages do.
    for (size_t i = 0; i + 1 < sizes.size(); ++i) EXPECT_EQ(sizes[i] % (2 * kMi), 0u);
  }
}

TEST(Extent, EvenTheLargestHasFewChunks) {
  EXPECT_LE(PlanChunks((uint64_t{1} << 30) - 1).size(), 7u + 7 + 7 + 1);
  EXPECT_LE(PlanChunks(uint64_t{1} << 40).size(), 1024u);
}

TEST(Extent, ChunksAreZeroAndPresent) {
  const std::vector<uint64_t> sizes = PlanChunks(3 * kMi);
  ASSERT_OK_AND_ASSIGN(const auto chunks, MakeChunks(sizes));
  ASSERT_EQ(chunks.size(), 2u);
  for (const Chunk& chunk : chunks) {
    EXPECT_TRUE(os::HasFixedSize(chunk.fd));
    EXPECT_FALSE(os::IsHeldElsewhere(chunk.fd).value());
    ASSERT_OK_AND_ASSIGN(const auto mapping,
                         os::Mapping::Open(chunk.fd, chunk.size, os::Access::kRead));
    for (uint64_t i = 0; i < chunk.size; i += 512) ASSERT_EQ(mapping.data()[i], std::byte{0});
  }
}

TEST(Extent, IsSealedOnlyWhenEveryChunkIs) {
  Extent extent;
  extent.chunks = std::move(MakeChunks(std::vector<uint64_t>{4096, 4096})).value();
  EXPECT_CODE(kFailedPrecondition, CheckSealed(extent));
  ASSERT_OK(os::SealForever(extent.chunks[0].fd));
  EXPECT_CODE(kFailedPrecondition, CheckSealed(extent));
  ASSERT_OK(os::SealForever(extent.chunks[1].fd));
  EXPECT_OK(CheckSealed(extent));
}

TEST(Extent, IsHeldWhileAnyChunkIs) {
  os::IgnoreLeaseSignals();
  Extent extent;
  extent.chunks = std::move(MakeChunks(std::vector<uint64_t>{4096, 4096})).value();
  EXPECT_FALSE(IsHeldElsewhere(extent));
  {
    ASSERT_OK_AND_ASSIGN(const auto other, os::Reopen(extent.chunks[1].fd, os::Access::kRead));
    EXPECT_TRUE(IsHeldElsewhere(extent));
  }
  EXPECT_FALSE(IsHeldElsewhere(extent));
}

TEST(Extent, InDoubtItCountsAsHeld) {
  Extent extent;
  extent.chunks.emplace_back();
  EXPECT_TRUE(IsHeldElsewhere(extent));
}

}  // namespace
}  // namespace vineyard::store
