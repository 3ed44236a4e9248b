// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Memory allocated in the store: what its puts copy, and what they never change.
#include <algorithm>
#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using testing::Eventually;
using testing::IsPattern;
using testing::kLarge;
using testing::kSmall;
using testing::kTwoChunks;
using testing::Pattern;
using testing::TestDaemon;

class Allocations : public ::testing::Test {
 protected:
  Allocation Filled(uint64_t seed, size_t size) {
    auto made = client_.Allocate(size);
    EXPECT_OK(made);
    if (!made.ok()) return {};
    std::ranges::copy(Pattern(seed, size), made->data());
    return *made;
  }
  Result<ObjectId> Put(std::span<const std::byte> bytes, const PutOptions& options = {}) {
    return client_.Put(ObjectBuilder("test").AddBuffer(bytes), options);
  }
  ObjectId BlobOf(ObjectId id) { return client_.Get(id)->info().buffers[0].blob; }
  /// As another client sees it.
  bool Holds(ObjectId id, uint64_t seed) {
    Client reader = daemon_.Connect();
    auto object = reader.Get(id);
    return object.ok() && IsPattern(object->buffers()[0].bytes(), seed);
  }
  Placement PlacementOf(std::span<const std::byte> bytes, Copying copying = Copying::kAuto) {
    return client_.PlacementsOf({&bytes, 1}, copying)[0];
  }
  InstanceStatus Now() { return client_.GetStatus().value(); }

  TestDaemon daemon_{};
  Client client_ = daemon_.Connect();
};

TEST_F(Allocations, APutTakesNoMoreMemoryAndChangesNothingForTheWriter) {
  for (const size_t size : {kLarge, kTwoChunks, kTwoChunks + 1234}) {
    const Allocation array = Filled(1, size);
    const uint64_t before = Now().memory_usage;
    EXPECT_EQ(PlacementOf(array.bytes()), Placement::kInPlace);
    auto id = Put(array.bytes());
    ASSERT_OK(id);
    EXPECT_LT(Now().memory_usage, before + kSmall) << "only a record more";
    EXPECT_TRUE(IsPattern(array.bytes(), 1));
    EXPECT_TRUE(Holds(*id, 1));
    std::ranges::copy(Pattern(2, size), array.data());
    EXPECT_TRUE(IsPattern(array.bytes(), 2));
    EXPECT_TRUE(Holds(*id, 1));
  }
}

TEST_F(Allocations, UnchangedMemoryIsReferredToAndChangedMemoryCopied) {
  const Allocation array = Filled(1, kTwoChunks);
  const ObjectId first = Put(array.bytes()).value();
  EXPECT_EQ(PlacementOf(array.bytes()), Placement::kReferred);
  const ObjectId second = Put(array.bytes()).value();
  EXPECT_EQ(BlobOf(first), BlobOf(second));
  ASSERT_OK(client_.Delete({first}));
  EXPECT_TRUE(Holds(second, 1));
  array.data()[kTwoChunks / 2] ^= std::byte{1};
  EXPECT_EQ(PlacementOf(array.bytes()), Placement::kChanged);
  const ObjectId third = Put(array.bytes()).value();
  EXPECT_NE(BlobOf(third), BlobOf(second));
  EXPECT_TRUE(Holds(second, 1));
  array.data()[kTwoChunks / 2] ^= std::byte{1};
  EXPECT_FALSE(Holds(third, 1));
  EXPECT_EQ(PlacementOf(array.bytes().first(kTwoChunks / 2 - kLarge / 2)), Placement::kSmallPart);
  std::ranges::copy(Pattern(4, kTwoChunks), array.data());
  const ObjectId fourth = Put(array.bytes()).value();
  EXPECT_TRUE(Holds(fourth, 4));
  EXPECT_TRUE(Holds(second, 1));
}

TEST_F(Allocations, SmallPartsAreCopiedAndLargeOnesNot) {
  const Allocation array = Filled(1, kTwoChunks);
  const auto bytes = array.bytes();
  const std::span<const std::byte> small = bytes.subspan(5, kTwoChunks / 2 - 1);
  const std::span<const std::byte> large = bytes.subspan(5, kTwoChunks / 2);
  EXPECT_EQ(PlacementOf(small), Placement::kSmallPart);
  EXPECT_EQ(PlacementOf(large), Placement::kInPlace);
  // The same bytes twice are no more of it; two parts are.
  EXPECT_THAT(client_.PlacementsOf(std::vector{small, small}),
              ElementsAre(Placement::kSmallPart, Placement::kSmallPart));
  const std::span<const std::byte> rest = bytes.last(100);
  EXPECT_THAT(client_.PlacementsOf(std::vector{small, rest}),
              ElementsAre(Placement::kInPlace, Placement::kInPlace));
  const auto put = Put(small);
  ASSERT_OK(put);
  EXPECT_LT(client_.GetBlob(BlobOf(*put))->size(), kTwoChunks);
  auto both = client_.Put(ObjectBuilder("test").AddBuffer(large).AddBuffer(rest));
  ASSERT_OK(both);
  std::ranges::fill(bytes, std::byte{0});
  const auto object = daemon_.Connect().Get(*both);
  const auto expected = Pattern(1, kTwoChunks);
  EXPECT_TRUE(std::ranges::equal(object->buffers()[0].bytes(),
                                 std::span(expected).subspan(5, kTwoChunks / 2)));
  EXPECT_TRUE(std::ranges::equal(object->buffers()[1].bytes(), std::span(expected).last(100)));
  EXPECT_EQ(object->buffers()[0].id(), object->buffers()[1].id());
}

TEST_F(Allocations, OthersSeeZerosBehindTheAllocation) {
  constexpr size_t kOdd = kLarge + 100;
  const Allocation array = Filled(1, kOdd);
  array.data()[kOdd + 50] = std::byte{7};  // of the same page
  const ObjectId id = Put(array.bytes()).value();
  const auto object = daemon_.Connect().Get(id);
  ASSERT_EQ(object->buffers()[0].size(), kOdd);
  EXPECT_EQ(object->buffers()[0].data()[kOdd + 50], std::byte{0});
}

TEST_F(Allocations, OnePutPublishesManyWithOrdinaryMemoryBetween) {
  const Allocation a = Filled(1, kLarge);
  const Allocation b = Filled(2, kTwoChunks);
  const auto own = Pattern(3, kLarge);
  const auto small = Pattern(4, kSmall);
  const uint64_t before = Now().memory_usage;
  auto id = client_.Put(ObjectBuilder("test")
                            .AddBuffer(a.bytes())
                            .AddBuffer(own)
                            .AddBuffer(b.bytes())
                            .AddBuffer(small)
                            .AddBuffer(a.bytes()));
  ASSERT_OK(id);
  EXPECT_LT(Now().memory_usage, before + 2 * kLarge);
  const auto object = daemon_.Connect().Get(*id);
  ASSERT_EQ(object->buffers().size(), 5U);
  const uint64_t seeds[] = {1, 3, 2, 4, 1};
  for (size_t i = 0; i < 5; ++i) EXPECT_TRUE(IsPattern(object->buffers()[i].bytes(), seeds[i]));
}

TEST_F(Allocations, ManyPutsAtOnceFindTheirMemory) {
  const Allocation a = Filled(1, kLarge);
  const auto small = Pattern(2, kSmall);
  const std::vector<ObjectBuilder> builders{ObjectBuilder("a").AddBuffer(a.bytes()),
                                            ObjectBuilder("b").AddBuffer(small),
                                            ObjectBuilder("c").AddBuffer(a.bytes())};
  const auto ids = client_.PutMany(builders);
  for (const auto& id : ids) ASSERT_OK(id);
  EXPECT_EQ(BlobOf(*ids[0]), BlobOf(*ids[2]));
  EXPECT_TRUE(Holds(*ids[0], 1));
  EXPECT_TRUE(Holds(*ids[1], 2));
  EXPECT_TRUE(Holds(*ids[2], 1));
}

TEST_F(Allocations, SmallOnesAndNoneAreOrdinaryMemory) {
  const uint64_t before = Now().memory_usage;
  for (const size_t size : {size_t{0}, size_t{1}, kSmall, client_.inline_max()}) {
    const Allocation array = Filled(1, size);
    EXPECT_EQ(array.size(), size);
    EXPECT_EQ(Now().memory_usage, before);
    EXPECT_EQ(PlacementOf(array.bytes()), Placement::kOwn);
    auto id = Put(array.bytes());
    ASSERT_OK(id);
    EXPECT_TRUE(Holds(*id, 1));
    ASSERT_OK(client_.Delete({*id}));
  }
  const Allocation array = Filled(1, client_.inline_max() + 1);
  EXPECT_EQ(PlacementOf(array.bytes()), Placement::kInPlace);
}

TEST_F(Allocations, WhatDoesNotFitIsRefusedOrWaits) {
  auto never = client_.Allocate(uint64_t{1} << 40, {.timeout = hours(1)});
  EXPECT_CODE(kOutOfMemory, never);
  EXPECT_THAT(never.status().message(), ::testing::HasSubstr("limit is 256 MiB"));
  EXPECT_CODE(kOutOfMemory, client_.Allocate(UINT64_MAX, {.timeout = hours(1)}));
  auto most = std::make_unique<Allocation>(client_.Allocate(200 * kLarge).value());
  auto late = client_.Allocate(100 * kLarge, {.timeout = milliseconds(100)});
  EXPECT_CODE(kOutOfMemory, late);
  EXPECT_THAT(late.status().message(), ::testing::HasSubstr("reserved and not sealed"));
  std::thread waiter([&] { EXPECT_OK(client_.Allocate(100 * kLarge)); });
  EXPECT_TRUE(Eventually([&] { return Now().waiting == 1; }));
  most.reset();
  waiter.join();
}

TEST_F(Allocations, UsageReturnsExactlyToItsStart) {
  const InstanceStatus start = Now();
  for (int round = 0; round < 3; ++round) {
    const Allocation unused = Filled(1, kTwoChunks);
    Allocation put = Filled(2, kTwoChunks);
    const ObjectId id = Put(put.bytes()).value();
    const ObjectId again = Put(put.bytes()).value();
    ASSERT_OK(client_.Delete({id}));
    if (round == 1) put = {};
    ASSERT_OK(client_.Delete({again}));
    if (round == 0) {
      EXPECT_GT(Now().memory_lingering, 0U) << "deleted, and still an array";
    }
  }
  InstanceStatus now;
  EXPECT_TRUE(Eventually([&] {
    now = Now();
    return now.memory_usage == start.memory_usage && now.memory_lingering == 0 && now.blobs == 0 &&
           now.objects == 0;
  })) << now.memory_usage
      << " after " << start.memory_usage << ", lingering " << now.memory_lingering;
}

TEST_F(Allocations, ThreadsThatPutTheSameMemoryShareOneBlob) {
  const Allocation array = Filled(1, 8 * kLarge);
  constexpr size_t kThreads = 8;
  std::vector<Result<ObjectId>> ids(kThreads, Status::Internal(""));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] { ids[i] = Put(array.bytes()); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& id : ids) {
    ASSERT_OK(id);
    EXPECT_EQ(BlobOf(*id), BlobOf(*ids[0]));
    EXPECT_TRUE(Holds(*id, 1));
  }
}

TEST_F(Allocations, ThreadsThatPutTwoInEitherOrderDoNotWaitForEachOther) {
  for (int round = 0; round < 20; ++round) {
    const Allocation a = Filled(1, kLarge);
    const Allocation b = Filled(2, kLarge);
    const auto put = [&](const Allocation& x, const Allocation& y) {
      EXPECT_OK(client_.Put(ObjectBuilder("t").AddBuffer(x.bytes()).AddBuffer(y.bytes())));
    };
    std::thread other([&] { put(b, a); });
    put(a, b);
    other.join();
  }
}

// Each word only grows. What is stored must be what was there at one moment, or between two, and never
// change; and no write may be lost.
TEST_F(Allocations, AThreadThatWritesWhileAnotherPutsLosesNothingAndChangesNoStoredByte) {
  for (int round = 0; round < 20; ++round) {
    const Allocation array = client_.Allocate(kTwoChunks).value();
    std::ranges::fill(array.bytes(), std::byte{0});
    auto* words = reinterpret_cast<uint64_t*>(array.data());
    constexpr size_t kWords = kTwoChunks / sizeof(uint64_t);
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> rounds{0};
    std::thread writer([&] {
      while (!stop) {
        for (size_t i = 0; i < kWords; i += 64) {
          std::atomic_ref(words[i]).fetch_add(1, std::memory_order_relaxed);
        }
        ++rounds;
      }
    });
    while (rounds == 0) std::this_thread::yield();
    auto id = Put(array.bytes());
    ASSERT_OK(id);
    const Object object = client_.Get(*id).value();
    const auto stored = object.buffers()[0].bytes();
    const std::vector<std::byte> at_first(stored.begin(), stored.end());
    const uint64_t seen = rounds;
    while (rounds < seen + 2) std::this_thread::yield();
    stop = true;
    writer.join();
    EXPECT_TRUE(std::ranges::equal(stored, at_first));
    const auto* kept = reinterpret_cast<const uint64_t*>(at_first.data());
    size_t lost = 0;
    for (size_t i = 0; i < kWords; i += 64) lost += words[i] != rounds || kept[i] > rounds ? 1 : 0;
    EXPECT_EQ(lost, 0U);
  }
}

TEST_F(Allocations, TheOwnerMayChooseAndItsHabitTeachesTheDefault) {
  const auto put_and_rewrite = [&](Copying copying) {
    const Allocation array = Filled(1, kLarge);
    const ObjectId first = Put(array.bytes(), {.copying = copying}).value();
    std::ranges::copy(Pattern(2, kLarge), array.data());
    const ObjectId second = Put(array.bytes(), {.copying = copying}).value();
    EXPECT_TRUE(Holds(first, 1));
    EXPECT_TRUE(Holds(second, 2));
  };
  put_and_rewrite(Copying::kForce);
  EXPECT_EQ(PlacementOf(Filled(1, kLarge).bytes(), Copying::kForce), Placement::kForced);
  EXPECT_EQ(PlacementOf(Filled(1, kLarge).bytes()), Placement::kInPlace);
  put_and_rewrite(Copying::kAuto);
  EXPECT_EQ(PlacementOf(Filled(1, kLarge).bytes()), Placement::kHabit);
  EXPECT_EQ(PlacementOf(Filled(1, kLarge).bytes(), Copying::kAvoid), Placement::kInPlace);
  // Some are copied, then one is put in place again, and is found unchanged.
  int copied = 0;
  while (PlacementOf(Filled(1, kLarge).bytes()) == Placement::kHabit) {
    const Allocation array = Filled(1, kLarge);
    ASSERT_OK(Put(array.bytes()));
    ASSERT_LT(++copied, 1000);
  }
  EXPECT_GT(copied, 1);
}

}  // namespace
}  // namespace vineyard
