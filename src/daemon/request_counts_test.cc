// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/request_counts.h"

#include <optional>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/request_log.h"

namespace vineyard::daemon {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

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

std::vector<uint64_t> SequencesAfter(const RequestLog& log, uint64_t after) {
  std::vector<uint64_t> found;
  log.ForEachAfter(after, [&found](const AnsweredRequest& request) {
    found.push_back(request.sequence);
    return true;
  });
  return found;
}

// So that those before are in no ring but their own.
void AddQuickOnes(RequestLog& log) {
  for (size_t i = 0; i < RequestLog::kKept; ++i) log.Add({.took = microseconds(999)});
}

TEST(RequestLog, TheOldestAreForgotten) {
  RequestLog log;
  EXPECT_THAT(SequencesAfter(log, 0), IsEmpty());
  EXPECT_THAT(SequencesAfter(log, 99), IsEmpty());
  for (uint64_t i = 1; i <= RequestLog::kKept + 10; ++i) log.Add({.request_id = i});
  EXPECT_EQ(log.last(), RequestLog::kKept + 10);
  EXPECT_EQ(SequencesAfter(log, 0).front(), 11U);
  EXPECT_EQ(SequencesAfter(log, 100).front(), 101U);
  EXPECT_THAT(SequencesAfter(log, log.last()), IsEmpty());
  uint64_t next = 11;
  log.ForEachAfter(0, [&next](const AnsweredRequest& request) {
    EXPECT_EQ(request.sequence, next);
    EXPECT_EQ(request.request_id, next++);
    return true;
  });
  EXPECT_EQ(next, log.last() + 1);
}

TEST(RequestLog, TheSlowAndTheFailedAreRememberedLonger) {
  RequestLog log;
  log.Add({.took = milliseconds(3)});
  log.Add({.took = microseconds(999)});
  log.Add({.took = microseconds(1), .code = StatusCode::kNotFound});
  log.Add({.took = seconds(100), .code = StatusCode::kDeadlineExceeded});
  AddQuickOnes(log);
  const std::vector<uint64_t> all = SequencesAfter(log, 0);
  ASSERT_EQ(all.size(), RequestLog::kKept + 3);
  EXPECT_EQ(std::vector(all.begin(), all.begin() + 4), std::vector<uint64_t>({1, 3, 4, 5}));
  EXPECT_EQ(SequencesAfter(log, 3).front(), 4U);
  std::vector<uint64_t> first;
  log.ForEachAfter(0, [&first](const AnsweredRequest& request) {
    first.push_back(request.sequence);
    return first.size() < 2;
  });
  EXPECT_THAT(first, ElementsAre(1, 3)) << "and as long as they are wanted";
}

TEST(RequestLog, ManyOfOneKindPushOutNoneOfAnother) {
  RequestLog log;
  log.Add({.took = milliseconds(20)});
  log.Add({.took = milliseconds(5000)});
  log.Add({.code = StatusCode::kOutOfMemory});
  for (size_t i = 0; i < 2 * RequestLog::kKeptOfSlow; ++i) log.Add({.took = milliseconds(2)});
  for (size_t i = 0; i < 2 * RequestLog::kKeptOfFailed; ++i) {
    log.Add({.code = StatusCode::kNotFound});
  }
  AddQuickOnes(log);
  const std::vector<uint64_t> all = SequencesAfter(log, 0);
  EXPECT_EQ(all.size(),
            3 + RequestLog::kKeptOfSlow + RequestLog::kKeptOfFailed + RequestLog::kKept);
  EXPECT_EQ(std::vector(all.begin(), all.begin() + 3), std::vector<uint64_t>({1, 2, 3}));
}

TEST(RequestLog, ClassesOfSlownessAreFourTimesAsLong) {
  EXPECT_EQ(RequestLog::ClassOf(microseconds(999)), std::nullopt);
  EXPECT_EQ(RequestLog::ClassOf(milliseconds(1)), 0U);
  EXPECT_EQ(RequestLog::ClassOf(nanoseconds(milliseconds(4)) - nanoseconds(1)), 0U);
  EXPECT_EQ(RequestLog::ClassOf(milliseconds(4)), 1U);
  EXPECT_EQ(RequestLog::ClassOf(milliseconds(16)), 2U);
  EXPECT_EQ(RequestLog::ClassOf(std::chrono::hours(100)), RequestLog::kClasses - 1);
}

}  // namespace
}  // namespace vineyard::daemon
