// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/heard_volumes.h"

#include <gtest/gtest.h>

namespace vineyard::store {
namespace {

using std::chrono::milliseconds;
const os::TimePoint kNow = os::TimePoint() + std::chrono::hours(1);
constexpr auto kLately = HeardVolumes::kLately;

TEST(HeardVolumes, NobodyWasHeardAtFirst) {
  const HeardVolumes heard;
  EXPECT_FALSE(heard.AnotherThan(1, kNow));
  EXPECT_FALSE(heard.AnotherThan(1, os::TimePoint()));
}

TEST(HeardVolumes, OnesOwnClientsAreNoOthers) {
  HeardVolumes heard;
  heard.Note(1, kNow);
  heard.Note(1, kNow + milliseconds(1));
  EXPECT_FALSE(heard.AnotherThan(1, kNow + milliseconds(1)));
  EXPECT_TRUE(heard.AnotherThan(2, kNow + milliseconds(1)));
}

TEST(HeardVolumes, AnotherIsRememberedHoweverOftenOneIsHeardOneself) {
  HeardVolumes heard;
  heard.Note(2, kNow);
  for (int i = 1; i < 10; ++i) heard.Note(1, kNow + milliseconds(i));
  EXPECT_TRUE(heard.AnotherThan(1, kNow + milliseconds(10)));
  EXPECT_TRUE(heard.AnotherThan(1, kNow + kLately - milliseconds(1)));
  EXPECT_FALSE(heard.AnotherThan(1, kNow + kLately));
}

TEST(HeardVolumes, OfThreeEachHasOthers) {
  HeardVolumes heard;
  for (uint64_t volume = 1; volume <= 3; ++volume) heard.Note(volume, kNow);
  for (uint64_t volume = 1; volume <= 3; ++volume) EXPECT_TRUE(heard.AnotherThan(volume, kNow));
}

TEST(HeardVolumes, IsForgottenInTime) {
  HeardVolumes heard;
  heard.Note(1, kNow);
  heard.Note(2, kNow);
  EXPECT_FALSE(heard.AnotherThan(1, kNow + kLately));
  EXPECT_FALSE(heard.AnotherThan(2, kNow + kLately));
}

}  // namespace
}  // namespace vineyard::store
