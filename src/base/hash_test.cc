// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "base/hash.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace vineyard {
namespace {

TEST(Hash, ValuesThatLieInSharedMemoryNeverChange) {
  EXPECT_EQ(Mix64(1), 0xb456bcfc34c2cb2cULL);
  EXPECT_EQ(HashBytes(std::string_view("vineyard")), HashBytes(std::string_view("vineyard")));
}

TEST(Hash, LengthAndEveryByteCount) {
  std::set<uint64_t> seen;
  for (size_t n = 0; n <= 64; ++n) {
    EXPECT_TRUE(seen.insert(HashBytes(std::string(n, '\0'))).second) << n << " zeros";
  }
  std::string text(40, 'x');
  for (size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] = 'y';
    EXPECT_TRUE(seen.insert(HashBytes(other)).second) << "byte " << i;
  }
}

TEST(Hash, SeedsGiveOtherHashes) {
  EXPECT_NE(HashBytes(std::string_view("a"), 1), HashBytes(std::string_view("a"), 2));
}

}  // namespace
}  // namespace vineyard
