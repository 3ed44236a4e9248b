// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests: assertions on Status and Result.
//
//   ASSERT_OK(socket.Close());
//   ASSERT_OK_AND_ASSIGN(const UniqueFd fd, CreateMemfd("x", 4096));
//   EXPECT_CODE(kNotFound, volume.Find("x"));
#pragma once

#include <ostream>
#include <utility>

#include <gtest/gtest.h>

#include "vineyard/status.h"

namespace vineyard {

inline std::ostream& operator<<(std::ostream& out, StatusCode code) {
  return out << StatusCodeName(code);
}

namespace testing_internal {

inline Status StatusOf(Status status) { return status; }
template <typename T>
Status StatusOf(const Result<T>& result) {
  return result.status();
}
inline ::testing::AssertionResult IsOk(const char* expression, const Status& status) {
  if (status.ok()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << expression << "\n  failed: " << status.ToString();
}

}  // namespace testing_internal
}  // namespace vineyard

#define ASSERT_OK(expr)                                   \
  ASSERT_PRED_FORMAT1(::vineyard::testing_internal::IsOk, \
                      ::vineyard::testing_internal::StatusOf(expr))
#define EXPECT_OK(expr)                                   \
  EXPECT_PRED_FORMAT1(::vineyard::testing_internal::IsOk, \
                      ::vineyard::testing_internal::StatusOf(expr))

#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  VY_ASSERT_OK_AND_ASSIGN_IMPL(VY_CONCAT(vy_test_result_, __LINE__), lhs, expr)
#define VY_ASSERT_OK_AND_ASSIGN_IMPL(result, lhs, expr) \
  auto result = (expr);                                 \
  ASSERT_OK(result);                                    \
  lhs = std::move(result).value()

/// `code` is the name of a StatusCode, such as kNotFound; `expr` a Status or a Result.
#define EXPECT_CODE(code_name, expr) \
  EXPECT_EQ(::vineyard::testing_internal::StatusOf(expr).code(), ::vineyard::StatusCode::code_name)
