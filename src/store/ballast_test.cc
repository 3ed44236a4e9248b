// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/ballast.h"

#include <gtest/gtest.h>

namespace vineyard::store {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(Ballast, HoldsWhatItWasAskedForFromTheStart) {
  auto ballast = Ballast::Make(32 * kMiB);
  ASSERT_TRUE(ballast.ok()) << ballast.status().ToString();
  EXPECT_EQ((*ballast)->PagesHeld(), 32 * kMiB);
}

TEST(Ballast, YieldsPagesForAnExtentAndRecoversThemAfterwards) {
  auto ballast = Ballast::Make(32 * kMiB);
  ASSERT_TRUE(ballast.ok()) << ballast.status().ToString();
  (*ballast)->Yield(10 * kMiB);
  EXPECT_EQ((*ballast)->PagesHeld(), 22 * kMiB);
  (*ballast)->Recover(10 * kMiB);
  EXPECT_EQ((*ballast)->PagesHeld(), 32 * kMiB);
}

TEST(Ballast, GivesNoMoreThanItHasAndTakesNoMoreThanItWasAskedFor) {
  auto ballast = Ballast::Make(4 * kMiB);
  ASSERT_TRUE(ballast.ok()) << ballast.status().ToString();
  (*ballast)->Yield(100 * kMiB);
  EXPECT_EQ((*ballast)->PagesHeld(), 0U);
  (*ballast)->Recover(100 * kMiB);
  EXPECT_EQ((*ballast)->PagesHeld(), 4 * kMiB);
}

}  // namespace
}  // namespace vineyard::store
