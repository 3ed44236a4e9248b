// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/copy.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "client/copy_crew.h"
#include "client/stream_copy.h"

// A child of a process with threads may start its own, as a Python program's does; the thread sanitizer
// would end it.
extern "C" const char* __tsan_default_options();  // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }

namespace vineyard::client {
namespace {

constexpr size_t kMi = size_t{1} << 20;

std::vector<std::byte> Random(size_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

TEST(StreamCopy, CopiesEverySizeAtEveryAlignmentAndNothingBeside) {
  const std::vector<std::byte> from = Random(1024, 1);
  for (size_t size = 0; size < 600; size += 1 + size / 40) {
    for (size_t at = 0; at < 66; at += 3) {
      for (const size_t source : {size_t{0}, size_t{5}, size_t{32}}) {
        std::vector<std::byte> to(1024, std::byte{0xee});
        StreamCopy(to.data() + at, from.data() + source, size);
        ASSERT_EQ(std::memcmp(to.data() + at, from.data() + source, size), 0) << size << " " << at;
        const auto untouched = [](std::byte b) { return b == std::byte{0xee}; };
        const auto end = to.begin() + static_cast<ptrdiff_t>(at);
        ASSERT_TRUE(std::all_of(to.begin(), end, untouched));
        ASSERT_TRUE(std::all_of(end + static_cast<ptrdiff_t>(size), to.end(), untouched));
      }
    }
  }
}

// The threads' shares are whole pages: whatever does not divide must be in one of them too.
TEST(CopyAll, CopiesTheLastBytesHoweverManyThreadsShareThem) {
  for (const size_t pages : {4 * kMi, 6 * kMi, 8 * kMi, 16 * kMi}) {
    for (const size_t more : std::initializer_list<size_t>{0, 1, 2, 3, 4, 5, 4095}) {
      const std::vector<std::byte> from(pages + more, std::byte{0x5a});
      std::vector<std::byte> to(from.size());
      const CopyJob job{to.data(), from};
      ASSERT_OK(CopyAll({&job, 1}));
      EXPECT_TRUE(to == from) << pages << " + " << more;
    }
  }
}

TEST(CopyAll, CopiesJobsOfEverySizeWholly) {
  for (const size_t large : {size_t{0}, size_t{100}, 5 * kMi + 3, 37 * kMi + 77}) {
    const std::vector<std::vector<std::byte>> from = {Random(large, 1), Random(0, 2),
                                                      Random(large / 3 + 1, 3), Random(7, 4)};
    std::vector<std::vector<std::byte>> to;
    std::vector<CopyJob> jobs;
    for (const auto& bytes : from) to.emplace_back(bytes.size() + 1, std::byte{0xee});
    for (size_t i = 0; i < from.size(); ++i) jobs.push_back({to[i].data(), from[i]});
    ASSERT_OK(CopyAll(jobs));
    for (size_t i = 0; i < from.size(); ++i) {
      EXPECT_EQ(to[i].back(), std::byte{0xee});
      to[i].pop_back();
      EXPECT_EQ(to[i], from[i]) << large << " " << i;
    }
  }
}

TEST(CopyAll, IsWholeWhenManyThreadsCopyAtOnce) {
  const std::vector<std::byte> from = Random(9 * kMi, 1);
  std::vector<std::thread> threads;
  std::atomic<int> equal{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        std::vector<std::byte> to(from.size());
        const CopyJob job{to.data(), from};
        if (CopyAll({&job, 1}).ok() && to == from) ++equal;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(equal, 40);
}

TEST(CopyAll, StopsWhereItIsCalledOff) {
  const std::vector<std::byte> from(200 * kMi, std::byte{1});
  std::vector<std::byte> to(from.size());
  const CopyJob job{to.data(), from};
  EXPECT_CODE(kCancelled, CopyAll({&job, 1}, {.progress = [](uint64_t, uint64_t) { return false; },
                                              .interrupted = {}}));
}

TEST(CopyAll, AForkedChildHasHelpersOfItsOwn) {
  const std::vector<std::byte> from = Random(20 * kMi, 1);
  std::vector<std::byte> to(from.size());
  const CopyJob job{to.data(), from};
  ASSERT_OK(CopyAll({&job, 1}));  // the parent's are at hand
  std::fill(to.begin(), to.end(), std::byte{0});
  const pid_t child = ::fork();
  if (child == 0) ::_exit(CopyAll({&job, 1}).ok() && to == from ? 0 : 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_OK(CopyAll({&job, 1}));
  EXPECT_EQ(to, from);
}

TEST(CopyCrew, EachNumberIsCalledAtMostOnceAndAllHaveReturned) {
  for (int round = 0; round < 200; ++round) {
    std::vector<std::atomic<int>> calls(4);
    std::atomic<int> within{0};
    RunWithCrew(calls.size(), [&](size_t i) {
      ++within;
      ++calls[i];
      --within;
    });
    EXPECT_EQ(within, 0);
    EXPECT_EQ(calls[0], 1);
    for (const auto& c : calls) EXPECT_LE(c, 1);
  }
}

TEST(CopyCrew, OneThatIsBusyLeavesAllToTheCaller) {
  RunWithCrew(2, [](size_t outer) {
    if (outer != 0) return;
    std::vector<size_t> inner;
    RunWithCrew(3, [&](size_t i) { inner.push_back(i); });
    EXPECT_EQ(inner, std::vector<size_t>{0});
  });
}

}  // namespace
}  // namespace vineyard::client
