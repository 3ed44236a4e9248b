// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/extent.h"

#include <numeric>

#include "base/testing.h"
#include "os/mapping.h"
#include "os/memfd.h"

namespace vineyard::store {
namespace {

constexpr uint64_t kMiddlePage = uint64_t{64} << 10;
constexpr uint64_t kMi = uint64_t{1} << 20;

TEST(Extent, NothingNeedsNoChunks) { EXPECT_TRUE(PlanChunks(0).empty()); }

TEST(Extent, ChunksHoldTheSizeAndWasteLessThanATwelfth) {
  for (const uint64_t size : {uint64_t{1}, uint64_t{4096}, uint64_t{4097}, 2 * kMi - 1, 2 * kMi,
                              2 * kMi + 1, 100 * kMi, 1024 * kMi, 5000 * kMi + 17}) {
    const std::vector<uint64_t> sizes = PlanChunks(size);
    const uint64_t sum = std::accumulate(sizes.begin(), sizes.end(), uint64_t{0});
    EXPECT_GE(sum, size);
    EXPECT_LE(sum, size + std::max(os::PageSize(), size / 12));
    EXPECT_LT(sum, size + std::max(os::PageSize(), kMiddlePage));
    // All but the last begin and end where huge pages do.
    for (size_t i = 0; i + 1 < sizes.size(); ++i) EXPECT_EQ(sizes[i] % (2 * kMi), 0u);
  }
}

TEST(Extent, EvenTheLargestHasFewChunks) {
  constexpr uint64_t kGi = uint64_t{1} << 30;
  EXPECT_EQ(PlanChunks(64 * kMi).size(), 1u);
  EXPECT_EQ(PlanChunks(kGi).size(), 4u);
  EXPECT_LE(PlanChunks(kGi - 1).size(), 3u + 7 + 1);
  EXPECT_LE(PlanChunks(8 * kGi - 1).size(), 31u + 7 + 1);
  EXPECT_EQ(PlanChunks(8 * kGi).size(), 8u);
  EXPECT_LE(PlanChunks(1024 * kGi).size(), 1024u);
}

TEST(Extent, ShortChunksAreOfWholeMiddlePagesWhereThatWastesLittle) {
  EXPECT_EQ(PlanChunks(300 << 10), std::vector<uint64_t>{320 << 10});
  EXPECT_EQ(PlanChunks(kMi), std::vector<uint64_t>{kMi});
  EXPECT_EQ(PlanChunks(kMi + 1), std::vector<uint64_t>{kMi + kMiddlePage});
  EXPECT_EQ(PlanChunks(260 << 10), std::vector<uint64_t>{260 << 10});
  EXPECT_EQ(PlanChunks(2 * kMi - 1), std::vector<uint64_t>{2 * kMi});
}

TEST(Extent, MakesOnlyWhatIsMissing) {
  ASSERT_OK_AND_ASSIGN(std::vector<Chunk> chunks, MakeChunks(std::vector<uint64_t>{4096, 8192}));
  const uint64_t kept = os::FileIdentity(chunks[1].fd).value();
  chunks[0].fd.Reset();
  ASSERT_OK(MakeMissing(chunks));
  EXPECT_EQ(os::BytesPresent(chunks[0].fd).value(), 4096u);
  EXPECT_EQ(os::FileIdentity(chunks[1].fd).value(), kept);
}

TEST(Extent, ChunksMadeApartAreThereAsWell) {
  ASSERT_OK_AND_ASSIGN(const auto toucher, os::PageToucher::Start());
  ASSERT_OK_AND_ASSIGN(const auto chunks,
                       MakeChunksApart(std::vector<uint64_t>{4096, 2 * kMi}, *toucher));
  ASSERT_EQ(chunks.size(), 2u);
  for (const Chunk& chunk : chunks) {
    EXPECT_EQ(os::BytesPresent(chunk.fd).value(), chunk.size);
    EXPECT_TRUE(os::HasFixedSize(chunk.fd));
  }
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

TEST(Extent, ChunksAreWholeHoweverOthersAreInTheWay) {
  ASSERT_OK_AND_ASSIGN(const auto chunks, MakeChunks(PlanChunks(9 * kMi), [] { return true; }));
  uint64_t total = 0;
  for (const Chunk& chunk : chunks) {
    EXPECT_EQ(os::BytesPresent(chunk.fd).value(), chunk.size);
    total += chunk.size;
  }
  EXPECT_GE(total, 9 * kMi);
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
