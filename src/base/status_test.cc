// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "vineyard/status.h"

#include <gtest/gtest.h>

namespace vineyard {
namespace {

Result<int> Half(int n) {
  if (n % 2 != 0) return Status::Invalid("odd: " + std::to_string(n));
  return n / 2;
}

Result<int> Quarter(int n) {
  VY_ASSIGN_OR_RETURN(int half, Half(n));
  return Half(half);
}

Status CheckEven(int n) {
  VY_RETURN_IF_ERROR(Half(n).status());
  return Status::OK();
}

TEST(Status, OkIsEmptyAndFailuresSayWhat) {
  EXPECT_TRUE(Status().ok());
  EXPECT_EQ(Status().ToString(), "ok");
  const Status s = Status::NotFound("no name 'x'");
  EXPECT_EQ(s.ToString(), "not found: no name 'x'");
  EXPECT_EQ(s.WithContext("get").message(), "get: no name 'x'");
  Status copy = s;
  EXPECT_EQ(copy.code(), StatusCode::kNotFound);
}

TEST(Result, ErrorsTravelThroughTheMacros) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).status().message(), "odd: 3");
  EXPECT_TRUE(CheckEven(2).ok());
  EXPECT_EQ(CheckEven(3).code(), StatusCode::kInvalid);
}

TEST(ResultDeathTest, ValueOfAFailureIsABrokenContract) {
  EXPECT_DEATH((void)Half(1).value(), "odd: 1");
}

TEST(Status, EveryCodeHasAName) {
  for (int code = 0; code <= static_cast<int>(StatusCode::kProtocol); ++code) {
    EXPECT_NE(StatusCodeName(static_cast<StatusCode>(code)), "unknown code") << code;
  }
}

}  // namespace
}  // namespace vineyard
