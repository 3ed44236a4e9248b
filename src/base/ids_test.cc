// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "vineyard/ids.h"

#include <gtest/gtest.h>

namespace vineyard {
namespace {

TEST(ObjectId, TextFormGoesThereAndBack) {
  const ObjectId id(0x8000123456789abcULL);
  EXPECT_EQ(id.ToString(), "o8000123456789abc");
  EXPECT_EQ(ObjectId::Parse(id.ToString()), id);
  EXPECT_TRUE(id.is_blob());
  EXPECT_EQ(id.owner_of_blob().own_blob(), id);
}

TEST(ObjectId, AnythingElseIsNoId) {
  for (const char* text : {"", "o", "o123", "x8000123456789abc", "o8000123456789ab-",
                           "o8000123456789abcd", " o8000123456789abc", "o-000123456789abc"}) {
    EXPECT_EQ(ObjectId::Parse(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace vineyard
