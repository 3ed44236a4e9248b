// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "base/edit_distance.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace vineyard {
namespace {

constexpr std::array<std::string_view, 4> kKnown = {"size", "socket", "socket_mode", "log_level"};

TEST(NearestWord, AWordLikeNoOtherHasNone) {
  EXPECT_EQ(NearestWord("frobnicate", kKnown), std::nullopt);
  EXPECT_EQ(NearestWord("", kKnown), std::nullopt);
  EXPECT_EQ(NearestWord("x", kKnown), std::nullopt);
  EXPECT_EQ(NearestWord(std::string(100000, 's'), kKnown), std::nullopt);
}

TEST(NearestWord, SlipsOfTheFingerAreUnderstood) {
  EXPECT_EQ(NearestWord("sise", kKnown), "size");
  EXPECT_EQ(NearestWord("szie", kKnown), "size");
  EXPECT_EQ(NearestWord("sockt", kKnown), "socket");
  EXPECT_EQ(NearestWord("socket_mod", kKnown), "socket_mode");
  EXPECT_EQ(NearestWord("loglevel", kKnown), "log_level");
}

TEST(EditDistance, CountsTheLettersThatDiffer) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("abc", ""), 3u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("abc", "abc"), 0u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("ab", "ba"), 1u);
}

}  // namespace
}  // namespace vineyard
