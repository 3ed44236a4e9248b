// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Who may have memory, who waits for it, and when it is free again.
#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::AllOf;
using testing::Bell;
using testing::Child;
using testing::Eventually;
using ::testing::HasSubstr;
using testing::HoldsPattern;
using testing::IsPattern;
using testing::Pattern;
using testing::PutPattern;
using testing::TestDaemon;

constexpr size_t kMiB = size_t{1} << 20;

class Memory : public ::testing::Test {
 protected:
  Memory() : daemon_({.size = "64Mi"}), client_(daemon_.Connect()) {}
  InstanceStatus Now() {
    auto status = client_.GetStatus();
    EXPECT_OK(status);
    return status.ok() ? *status : InstanceStatus();
  }
  TestDaemon daemon_;
  Client client_;
};

TEST_F(Memory, WhatCanNeverFitIsRefusedAtOnceWithFreeAndLimit) {
  // An hour: whoever waits is found by the watchdog.
  const auto names_both =
      AllOf(HasSubstr("65 MiB"), HasSubstr("limit is 64 MiB"), HasSubstr("free"));
  auto blob = client_.CreateBlob(65 * kMiB, {.timeout = hours(1)});
  EXPECT_CODE(kOutOfMemory, blob);
  EXPECT_THAT(blob.status().message(), names_both);
  const auto bytes = Pattern(1, 65 * kMiB);
  auto put = client_.Put(ObjectBuilder("x").AddBuffer(bytes), {.timeout = hours(1)});
  EXPECT_CODE(kOutOfMemory, put);
  EXPECT_THAT(put.status().message(), names_both);
  EXPECT_CODE(kOutOfMemory, client_.CreateBlob(UINT64_MAX, {.timeout = hours(1)}));
  EXPECT_CODE(kOutOfMemory, client_.CreateBlob(uint64_t{1} << 62, {.timeout = hours(1)}));
  EXPECT_EQ(Now().waiting, 0U);
  EXPECT_TRUE(HoldsPattern(client_.Get(*PutPattern(client_, 1, 20 * kMiB)), 1, 20 * kMiB));
}

TEST_F(Memory, WhatDoesNotFitNowWaitsUntilItsDeadlineAndHearsWhoHoldsTheRest) {
  Bell reserved;
  Child holder([&] {
    Client mine = daemon_.Connect();
    auto blob = mine.CreateBlob(20 * kMiB);
    reserved.Ring(blob.ok() ? 1 : 0);
    ::pause();
    return 0;
  });
  ASSERT_EQ(reserved.Wait(), 1U);
  auto object = PutPattern(client_, 1, 20 * kMiB);
  ASSERT_OK(object);
  auto blob = client_.CreateBlob(30 * kMiB, {.timeout = milliseconds(150)});
  EXPECT_CODE(kOutOfMemory, blob);
  const std::string why = blob.status().message();
  EXPECT_THAT(why, HasSubstr("30 MiB"));
  EXPECT_THAT(why, HasSubstr("of 64 MiB"));
  EXPECT_THAT(why, HasSubstr("20 MiB in large objects"));
  EXPECT_THAT(why, HasSubstr("20 MiB reserved and not sealed"));
  EXPECT_THAT(why, HasSubstr(fmt::format("(pid {})", holder.pid())));
  // The same of one that is deleted and still mapped.
  auto mapped = client_.Get(*object);
  ASSERT_OK(mapped);
  ASSERT_OK(client_.Delete({*object}));
  blob = client_.CreateBlob(30 * kMiB, {.timeout = milliseconds(150)});
  EXPECT_CODE(kOutOfMemory, blob);
  EXPECT_THAT(blob.status().message(), HasSubstr("20 MiB deleted but still mapped"));
  EXPECT_THAT(blob.status().message(), HasSubstr(fmt::format("(pid {})", ::getpid())));
  EXPECT_EQ(Now().waiting, 0U);
}

TEST_F(Memory, AWaitEndsWhenSomebodyDeletes) {
  auto object = PutPattern(client_, 1, 50 * kMiB);
  ASSERT_OK(object);
  std::thread writer([&] {
    auto id = PutPattern(client_, 2, 40 * kMiB);
    ASSERT_OK(id);
    EXPECT_TRUE(HoldsPattern(client_.Get(*id), 2, 40 * kMiB));
  });
  EXPECT_TRUE(Eventually([&] { return Now().waiting == 1; }));
  ASSERT_OK(client_.Delete({*object}));
  writer.join();
}

TEST_F(Memory, AWaitEndsWhenTheLastReaderLetsGo) {
  auto object = PutPattern(client_, 1, 50 * kMiB);
  ASSERT_OK(object);
  auto mapped = std::make_unique<Result<Object>>(client_.Get(*object));
  ASSERT_OK(*mapped);
  ASSERT_OK(client_.Delete({*object}));
  std::thread writer([&] { EXPECT_OK(PutPattern(client_, 2, 40 * kMiB)); });
  EXPECT_TRUE(Eventually([&] { return Now().waiting == 1; }));
  EXPECT_TRUE(IsPattern((*mapped)->buffers()[0].bytes(), 1));
  mapped.reset();
  writer.join();
}

TEST_F(Memory, AWaitEndsWithTheClientThatWaits) {
  auto object = PutPattern(client_, 1, 50 * kMiB);
  ASSERT_OK(object);
  Child waiter([&] {
    Client mine = daemon_.Connect();
    return PutPattern(mine, 2, 40 * kMiB).ok() ? 0 : 1;
  });
  EXPECT_TRUE(Eventually([&] { return Now().waiting == 1; }));
  waiter.Kill();
  EXPECT_TRUE(Eventually([&] { return Now().waiting == 0; }));
}

TEST_F(Memory, SmallObjectsWaitAndAreRefusedLikeLargeOnes) {
  const uint64_t at_start = Now().memory_usage;
  std::vector<ObjectId> ids;
  Status full;
  while (full.ok()) {
    auto id = [&] {
      const auto bytes = Pattern(1, 200'000);
      return client_.Put(ObjectBuilder("x").AddBuffer(bytes), {.timeout = milliseconds(20)});
    }();
    full = id.status();
    if (id.ok()) ids.push_back(*id);
    ASSERT_LT(ids.size(), 1000U);
  }
  EXPECT_EQ(full.code(), StatusCode::kOutOfMemory);
  EXPECT_THAT(full.message(), HasSubstr("of 64 MiB"));
  EXPECT_GT(ids.size(), 200U);
  EXPECT_OK(client_.Get(ids.back()));
  ASSERT_OK(client_.Delete(ids));
  EXPECT_EQ(Now().memory_usage, at_start);
  EXPECT_OK(PutPattern(client_, 2, 40 * kMiB)) << "the arenas are given back";
}

TEST_F(Memory, UsageReturnsExactlyToItsStart) {
  const InstanceStatus start = Now();
  for (int round = 0; round < 5; ++round) {
    std::vector<ObjectId> ids;
    for (const size_t size : {size_t{0}, size_t{1}, size_t{3000}, size_t{256} << 10,
                              (size_t{256} << 10) + 1, 3 * kMiB + 7}) {
      auto id = PutPattern(client_, size, size, fmt::format("{}", size));
      ASSERT_OK(id);
      ids.push_back(*id);
      auto blob = client_.CreateBlob(size);
      ASSERT_OK(blob);
      if (round % 2 == 0) continue;  // given back
      auto sealed = client_.Seal(std::move(*blob));
      ASSERT_OK(sealed);
      ids.push_back(sealed->id());
    }
    EXPECT_GT(Now().memory_usage, start.memory_usage);
    ASSERT_OK(client_.Delete(ids));
    EXPECT_TRUE(Eventually([&] { return Now().memory_usage == start.memory_usage; }))
        << Now().memory_usage << " after " << start.memory_usage;
  }
  InstanceStatus now;
  EXPECT_TRUE(Eventually([&] {
    now = Now();
    return now.memory_lingering == 0 && now.objects == 0 && now.blobs == 0 && now.names == 0;
  }));
}

TEST_F(Memory, WhatIsDeletedButMappedIsCountedUntilItIsNot) {
  const InstanceStatus start = Now();
  auto id = PutPattern(client_, 1, 8 * kMiB);
  ASSERT_OK(id);
  Bell mapped;
  Child reader([&] {
    Client mine = daemon_.Connect();
    auto object = mine.Get(*id);
    mapped.Ring(HoldsPattern(object, 1, 8 * kMiB) ? 1 : 0);
    ::pause();
    return 0;
  });
  ASSERT_EQ(mapped.Wait(), 1U);
  {
    auto object = client_.Get(*id);
    ASSERT_OK(object);
    ASSERT_OK(client_.Delete({*id}));
    EXPECT_EQ(Now().memory_usage, start.memory_usage);
    EXPECT_TRUE(Eventually([&] { return Now().memory_lingering == 8 * kMiB; }));
    reader.Kill();
    EXPECT_TRUE(Eventually([&] { return Now().connections == 1; }));
    EXPECT_EQ(Now().memory_lingering, 8 * kMiB) << "this process has it mapped still";
    EXPECT_TRUE(IsPattern(object->buffers()[0].bytes(), 1));
  }
  EXPECT_TRUE(Eventually([&] { return Now().memory_lingering == 0; }));
  EXPECT_TRUE(Eventually([&] { return Now().memory_held <= start.memory_held + kMiB; }));
}

TEST_F(Memory, AReaderKeepsItsBytesWhateverHappensToTheObjectAndTheInstance) {
  Client reader = daemon_.Connect();
  for (const size_t size : {size_t{1000}, 4 * kMiB + 100}) {
    auto id = PutPattern(client_, 1, size, "n");
    ASSERT_OK(id);
    auto first = reader.Get("n");
    ASSERT_OK(first);
    const Blob kept = first->buffers()[0];
    ASSERT_OK(PutPattern(client_, 2, size, "n"));
    EXPECT_TRUE(IsPattern(kept.bytes(), 1));
    auto second = reader.Get("n");
    EXPECT_TRUE(HoldsPattern(second, 2, size));
    ASSERT_OK(client_.Delete({second->id()}));
    for (uint64_t i = 0; i < 8; ++i) ASSERT_OK(PutPattern(client_, 100 + i, size, "n"));
    EXPECT_TRUE(IsPattern(kept.bytes(), 1));
    EXPECT_TRUE(HoldsPattern(second, 2, size));
    auto last = reader.Get("n");
    daemon_.KillEngine();
    EXPECT_TRUE(IsPattern(kept.bytes(), 1));
    EXPECT_TRUE(HoldsPattern(last, 107, size));
    EXPECT_EQ(daemon_.Stop(), 0);
    EXPECT_TRUE(IsPattern(kept.bytes(), 1));
    EXPECT_TRUE(HoldsPattern(second, 2, size));
    EXPECT_TRUE(HoldsPattern(last, 107, size));
    daemon_.Start();
  }
}

TEST_F(Memory, WhatAWriterDoesAfterTheSealStaysItsOwn) {
  auto blob = client_.CreateBlob(3 * kMiB);
  ASSERT_OK(blob);
  std::ranges::copy(Pattern(1, 3 * kMiB), blob->data());
  std::byte* mine = blob->data();
  const auto alive = blob->keep_alive();
  auto sealed = client_.Seal(std::move(*blob));
  ASSERT_OK(sealed);
  EXPECT_TRUE(IsPattern({mine, 3 * kMiB}, 1));
  std::fill_n(mine, 3 * kMiB, std::byte{7});
  EXPECT_TRUE(IsPattern(sealed->bytes(), 1));
  EXPECT_TRUE(IsPattern(daemon_.Connect().GetBlob(sealed->id())->bytes(), 1));
  EXPECT_EQ(mine[100], std::byte{7});
}

}  // namespace
}  // namespace vineyard
