// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/request_counts.h"

#include <gtest/gtest.h>

#include "daemon/request_log.h"

namespace vineyard::daemon {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

TEST(RequestCounts, EachTimeIsInTheBucketThatItIsBelow) {
  EXPECT_EQ(RequestCounts::BucketOf(nanoseconds(-5)), 0U);
  EXPECT_EQ(RequestCounts::BucketOf(nanoseconds(999)), 0U);
  EXPECT_EQ(RequestCounts::BucketOf(microseconds(1)), 1U);
  EXPECT_EQ(RequestCounts::BucketOf(microseconds(2)), 2U);
  EXPECT_EQ(RequestCounts::BucketOf(microseconds(3)), 2U);
  EXPECT_EQ(RequestCounts::BucketOf(microseconds(4)), 3U);
  EXPECT_EQ(RequestCounts::BucketOf(std::chrono::hours(100)), RequestCounts::kBuckets - 1);
}

TEST(RequestCounts, WhatIsNoRequestCountsAsNone) {
  RequestCounts counts;
  counts.Note(static_cast<fb::RequestBody>(255), microseconds(1), StatusCode::kNotSupported);
  EXPECT_EQ(counts.Find(fb::RequestBody::NONE)->failed, 1U);
  EXPECT_EQ(counts.Find(fb::RequestBody::Put), nullptr);
}

TEST(RequestLog, TheOldestAreForgotten) {
  RequestLog log;
  EXPECT_EQ(log.FirstAfter(0), 1U);
  EXPECT_EQ(log.FirstAfter(99), 1U);
  for (uint64_t i = 1; i <= RequestLog::kKept + 10; ++i) log.Add({.request_id = i});
  EXPECT_EQ(log.last(), RequestLog::kKept + 10);
  EXPECT_EQ(log.FirstAfter(0), 11U);
  EXPECT_EQ(log.FirstAfter(100), 101U);
  EXPECT_EQ(log.FirstAfter(uint64_t{1} << 60), log.last() + 1);
  for (uint64_t i = 11; i <= log.last(); ++i) EXPECT_EQ(log.At(i).request_id, i);
}

}  // namespace
}  // namespace vineyard::daemon
