// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Transfers that tell how far they are, and are called off.
#include <algorithm>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using testing::IsPattern;
using testing::Pattern;
using testing::TestDaemon;

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kSize = 150 * kMiB;

class Progressing : public ::testing::Test {
 protected:
  Progressing() : client_(daemon_.Connect()) {}

  // Notes what it is told, and goes on while less than `until` is done.
  Progress Note(uint64_t until = UINT64_MAX) {
    reports_.clear();
    return [this, until](uint64_t done, uint64_t total) {
      // Who said once that it is enough is not asked again.
      EXPECT_TRUE(reports_.empty() || reports_.back().first < until);
      reports_.emplace_back(done, total);
      return done < until;
    };
  }

  TestDaemon daemon_;
  Client client_;
  std::vector<std::pair<uint64_t, uint64_t>> reports_;
};

TEST_F(Progressing, APutReportsFromNothingToAllOfIt) {
  const auto one = Pattern(1, kSize);
  const auto other = Pattern(2, 1000);  // a gap lies between them, which does not count
  auto id = client_.Put(ObjectBuilder("x").AddBuffer(other).AddBuffer(one), {.progress = Note()});
  ASSERT_OK(id);
  const uint64_t total = kSize + 1000;
  EXPECT_EQ(reports_.front(), std::pair(uint64_t{0}, total));
  EXPECT_EQ(reports_.back(), std::pair(total, total));
  EXPECT_GE(reports_.size(), 2U);
  EXPECT_TRUE(std::ranges::is_sorted(reports_));
  auto got = client_.Get(*id);
  ASSERT_OK(got);
  EXPECT_TRUE(IsPattern(got->buffers()[1].bytes(), 1));
}

TEST_F(Progressing, APutReportsOnTheWay) {
  const auto bytes = Pattern(1, kSize);
  // How often depends on which thread copies what.
  EXPECT_TRUE(testing::Eventually([&] {
    reports_.clear();
    auto id = client_.Put(ObjectBuilder("x").AddBuffer(bytes), {.progress = Note()});
    return id.ok() && client_.Delete({*id}).ok() && reports_.size() > 2;
  }));
}

TEST_F(Progressing, APutCalledOffLeavesNothing) {
  const auto bytes = Pattern(1, kSize);
  for (const uint64_t until : {uint64_t{0}, uint64_t{64 * kMiB}, uint64_t{kSize}}) {
    EXPECT_CODE(kCancelled, client_.Put(ObjectBuilder("x").AddBuffer(bytes),
                                        {.name = "x", .progress = Note(until)}));
  }
  EXPECT_CODE(kCancelled, client_.Put(ObjectBuilder("x").AddBuffer(std::span(bytes).first(10)),
                                      {.name = "x", .progress = Note(0)}));
  EXPECT_CODE(kNotFound, client_.GetName("x"));
  auto status = client_.GetStatus();
  ASSERT_OK(status);
  EXPECT_EQ(status->objects, 0U);
  EXPECT_OK(client_.Put(ObjectBuilder("x").AddBuffer(bytes)));  // it fits only once
}

TEST_F(Progressing, ACopyIsWholeOrCalledOff) {
  auto id = client_.Put(ObjectBuilder("x").AddBuffer(Pattern(3, kSize)));
  ASSERT_OK(id);
  auto got = client_.Get(*id);
  ASSERT_OK(got);
  std::vector<std::byte> copy(kSize);
  const std::span<std::byte> place(copy);
  EXPECT_OK(
      CopyBytes(got->buffers(), std::span(&place, 1), {.progress = Note(), .interrupted = {}}));
  EXPECT_TRUE(IsPattern(copy, 3));
  EXPECT_EQ(reports_.back(), std::pair(uint64_t{kSize}, uint64_t{kSize}));
  EXPECT_CODE(kCancelled, CopyBytes(got->buffers(), std::span(&place, 1),
                                    {.progress = Note(64 * kMiB), .interrupted = {}}));
}

}  // namespace
}  // namespace vineyard
