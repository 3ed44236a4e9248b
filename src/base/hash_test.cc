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

// Each lane and the rest, at each of their places.
TEST(Hash, LengthOrderAndEveryByteOfLongBytesCount) {
  const auto hash = [](const std::string& text) {
    return HashLongBytes(std::as_bytes(std::span(text)));
  };
  std::set<uint64_t> seen;
  for (size_t n = 0; n <= 200; ++n) {
    EXPECT_TRUE(seen.insert(hash(std::string(n, 0))).second) << n << " zeros";
  }
  std::string text;
  for (char i = 0; i < 100; ++i) text += static_cast<char>(i + 1);
  for (size_t i = 0; i < text.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string other = text;
      other[i] = static_cast<char>(other[i] ^ (1 << bit));
      EXPECT_TRUE(seen.insert(hash(other)).second) << "byte " << i << ":" << bit;
    }
    for (size_t j = i + 1; j < text.size(); ++j) {
      std::string other = text;
      std::swap(other[i], other[j]);
      EXPECT_TRUE(seen.insert(hash(other)).second) << i << " and " << j;
    }
  }
}

TEST(Hash, ValuesOfLongBytesLieInFilesAndNeverChange) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i);
  EXPECT_EQ(HashLongBytes(std::as_bytes(std::span(text)), 7), 178082616853439666ULL);
}

TEST(Hash, SeedsGiveOtherHashes) {
  EXPECT_NE(HashBytes(std::string_view("a"), 1), HashBytes(std::string_view("a"), 2));
}

}  // namespace
}  // namespace vineyard
