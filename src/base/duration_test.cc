// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "base/duration.h"

#include <gtest/gtest.h>

namespace vineyard {
namespace {

using namespace std::chrono_literals;

TEST(ParseDuration, JunkIsRefusedAndTheMessageShowsIt) {
  for (const char* text :
       {"", "s", "5", "-1s", "1 s", "1.s", ".5s", "1m30s", "1S", "1sec", "1e3s", "1.5.5s"}) {
    const Result<std::chrono::nanoseconds> duration = ParseDuration(text);
    ASSERT_FALSE(duration.ok()) << text;
    EXPECT_EQ(duration.status().code(), StatusCode::kInvalid) << text;
    EXPECT_NE(duration.status().message().find(std::string("'") + text + "'"), std::string::npos);
  }
}

TEST(ParseDuration, OverflowIsAnErrorAndNeverWraps) {
  for (const char* text :
       {"9223372037s", "106752d", "99999999999999999999999ns", "18446744073709551617s"}) {
    const Result<std::chrono::nanoseconds> duration = ParseDuration(text);
    ASSERT_FALSE(duration.ok()) << text;
    EXPECT_NE(duration.status().message().find("too long"), std::string::npos) << text;
  }
}

TEST(ParseDuration, EachUnitIsRead) {
  EXPECT_EQ(ParseDuration("0").value(), 0ns);
  EXPECT_EQ(ParseDuration("7ns").value(), 7ns);
  EXPECT_EQ(ParseDuration("7us").value(), 7us);
  EXPECT_EQ(ParseDuration("250ms").value(), 250ms);
  EXPECT_EQ(ParseDuration("60s").value(), 60s);
  EXPECT_EQ(ParseDuration("5m").value(), 5min);
  EXPECT_EQ(ParseDuration("1h").value(), 1h);
  EXPECT_EQ(ParseDuration("2d").value(), 48h);
  EXPECT_EQ(ParseDuration("1.5s").value(), 1500ms);
  EXPECT_EQ(ParseDuration("0.3333333333333333333333333s").value(), 333333333ns);
}

}  // namespace
}  // namespace vineyard
