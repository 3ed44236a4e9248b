// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// An Allocator: whatever happens to the instance, the process and its children, blocks are memory that
// holds what was written to it; and whoever reads what was put sees nothing else.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using testing::Bell;
using testing::Child;
using testing::Eventually;
using testing::IsPattern;
using testing::kLarge;
using testing::kTwoChunks;
using testing::Pattern;
using testing::TestDaemon;

class Allocators : public ::testing::Test {
 protected:
  static Allocator Make(Client& client, AllocatorOptions options = {}) {
    options.without_huge_pages = true;
    auto made = client.MakeAllocator(options);
    EXPECT_OK(made);
    return made.ok() ? *made : Allocator();
  }
  /// Fails the test where there is none.
  std::span<std::byte> Block(size_t size, AllocatedBytes content = AllocatedBytes::kAny) {
    auto* block = static_cast<std::byte*>(allocator_.Allocate(size, content));
    EXPECT_NE(block, nullptr);
    return {block, block ? size : 0};
  }
  std::span<std::byte> Filled(uint64_t seed, size_t size = kTwoChunks) {
    const std::span<std::byte> block = Block(size);
    std::ranges::copy(Pattern(seed, block.size()), block.data());
    return block;
  }
  static Result<ObjectId> Put(Client& client, std::span<const std::byte> bytes) {
    return client.Put(ObjectBuilder("test").AddBuffer(bytes));
  }
  Result<ObjectId> Put(std::span<const std::byte> bytes) { return Put(client_, bytes); }
  Placement PlacementOf(std::span<const std::byte> bytes) {
    return client_.PlacementsOf({&bytes, 1})[0];
  }
  bool Holds(const Result<ObjectId>& id, uint64_t seed) {
    if (!id.ok()) return false;
    auto object = daemon_.Connect().Get(*id);
    return object.ok() && IsPattern(object->buffers()[0].bytes(), seed);
  }
  /// All that there is, of `more_than` blocks at least: one is refused, too, where the instance is slow to answer.
  static std::vector<std::byte*> TakeAll(const Allocator& allocator, size_t size,
                                         size_t more_than) {
    std::vector<std::byte*> blocks;
    EXPECT_TRUE(Eventually([&] {
      while (void* block = allocator.Allocate(size)) {
        blocks.push_back(static_cast<std::byte*>(block));
      }
      return blocks.size() > more_than;
    }));
    return blocks;
  }
  InstanceStatus Now() { return client_.GetStatus().value(); }
  bool ReturnsTo(const InstanceStatus& start) {
    return Eventually([&] {
      const InstanceStatus now = Now();
      return now.memory_usage == start.memory_usage && now.memory_lingering == 0;
    });
  }

  TestDaemon daemon_{};
  Client client_ = daemon_.Connect();
  Allocator allocator_ = Make(client_);
};

bool IsZero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

// ---- blocks

TEST_F(Allocators, BelowTheThresholdAndBeyondTheLimitTheyHaveNothing) {
  EXPECT_EQ(allocator_.Allocate((uint64_t{1} << 20) - 1), nullptr);
  EXPECT_EQ(allocator_.Allocate(0), nullptr);
  EXPECT_EQ(allocator_.Allocate(SIZE_MAX), nullptr);
  EXPECT_EQ(allocator_.Allocate(SIZE_MAX / 2), nullptr);
  EXPECT_EQ(Allocator().Allocate(kTwoChunks), nullptr);
  EXPECT_EQ(allocator_.statistics().allocations, 0U);
  const Allocator bounded = Make(client_, {.limit = 2 * kTwoChunks});
  void* first = bounded.Allocate(kTwoChunks);
  void* second = bounded.Allocate(kTwoChunks);
  ASSERT_TRUE(first != nullptr && second != nullptr);
  EXPECT_EQ(bounded.Allocate(kLarge), nullptr);
  EXPECT_TRUE(Allocator::Free(first));
  // What is kept makes room for another size.
  void* other = bounded.Allocate(kLarge);
  EXPECT_NE(other, nullptr);
  EXPECT_EQ(bounded.statistics().bytes_idle, 0U);
  EXPECT_TRUE(Allocator::Free(second));
  EXPECT_TRUE(Allocator::Free(other));
}

TEST_F(Allocators, WithHugePagesMissingTheySayWhatToDoUnlessForced) {
  const std::string missing = Allocator::MissingHugePages();
  const auto made = client_.MakeAllocator();
  EXPECT_EQ(made.ok(), missing.empty());
  if (!made.ok()) {
    EXPECT_CODE(kFailedPrecondition, made);
  }
}

TEST_F(Allocators, OtherPeoplesMemoryIsNotTheirs) {
  const std::vector<std::byte> other(kTwoChunks);
  const std::span<std::byte> block = Filled(1);
  size_t size = 7;
  EXPECT_FALSE(Allocator::Free(nullptr));
  EXPECT_FALSE(Allocator::Free(const_cast<std::byte*>(other.data())));
  EXPECT_FALSE(Allocator::Free(block.data() + 4096)) << "within a block is not its beginning";
  EXPECT_FALSE(Allocator::Resize(block.data() + 4096, 5, &size));
  EXPECT_EQ(size, 0U);
  auto array = client_.Allocate(kTwoChunks);
  EXPECT_FALSE(Allocator::Free(array->data())) << "it has an owner";
  EXPECT_FALSE(Allocator::Resize(array->data(), kLarge, &size));
  EXPECT_TRUE(IsPattern(block, 1));
  EXPECT_TRUE(Allocator::Free(block.data()));
  EXPECT_FALSE(Allocator::Free(block.data()));
}

TEST_F(Allocators, FreedMemoryIsUsedAgainWarm) {
  const InstanceStatus start = Now();
  const std::span<std::byte> first = Filled(1);
  EXPECT_TRUE(Allocator::Free(first.data()));
  EXPECT_EQ(allocator_.statistics().bytes_idle, kTwoChunks);
  const std::span<std::byte> second = Block(kTwoChunks - 5000);
  EXPECT_EQ(second.data(), first.data());
  const auto left = Pattern(1, kTwoChunks);
  EXPECT_TRUE(std::ranges::equal(second, std::span(left).first(second.size())))
      << "no page of it was touched";
  EXPECT_EQ(allocator_.statistics().reused, 1U);
  const std::span<std::byte> third = Block(kTwoChunks);
  EXPECT_NE(third.data(), second.data());
  EXPECT_TRUE(Allocator::Free(second.data()));
  EXPECT_NE(Block(kTwoChunks / 2).data(), second.data()) << "it would waste half";
  EXPECT_EQ(Block(kTwoChunks, AllocatedBytes::kZero).data(), second.data());
  EXPECT_TRUE(IsZero(second));
  for (void* block : {second.data(), third.data()}) EXPECT_TRUE(Allocator::Free(block));
  allocator_.GiveBackIdle();
  EXPECT_EQ(allocator_.statistics().bytes_idle, 0U);
  EXPECT_TRUE(Eventually([&] { return Now().memory_usage < start.memory_usage + kTwoChunks; }));
}

TEST_F(Allocators, WhatIsNotUsedAgainGoesBackByItself) {
  const InstanceStatus start = Now();
  EXPECT_TRUE(Allocator::Free(Filled(1).data()));
  EXPECT_GT(allocator_.statistics().bytes_idle, 0U);
  EXPECT_TRUE(Eventually([&] { return allocator_.statistics().bytes_idle == 0; }));
  EXPECT_TRUE(Eventually([&] { return Now().memory_overhead == start.memory_overhead; }));
  EXPECT_TRUE(Allocator::Free(Filled(1).data())) << "and is there again";
}

TEST_F(Allocators, WhatIsKeptIsNoUsedMemoryAndGoesToWhoeverNeedsIt) {
  const InstanceStatus start = Now();
  Bell kept;
  Child keeper([&] {
    Client client = daemon_.Connect();
    const Allocator greedy = Make(client, {.limit = UINT64_MAX});
    for (std::byte* block : TakeAll(greedy, size_t{16} << 20, 10)) Allocator::Free(block);
    kept.Ring(greedy.statistics().bytes_idle);
    ::pause();
    return 0;
  });
  const auto idle = kept.Wait();
  ASSERT_TRUE(idle && *idle > (uint64_t{160} << 20));
  ::kill(keeper.pid(), SIGSTOP);  // it gives nothing back by itself
  EXPECT_EQ(Now().memory_usage, start.memory_usage);
  EXPECT_GE(Now().memory_overhead, start.memory_overhead + *idle);
  const auto needed = client_.Allocate(uint64_t{200} << 20);
  ASSERT_OK(needed);
  EXPECT_TRUE(IsZero(needed->bytes()));
}

TEST_F(Allocators, WhatWasTakenFromThemIsNotGivenOutAgain) {
  const InstanceStatus start = Now();
  const Allocator greedy = Make(client_, {.limit = UINT64_MAX});
  std::vector<std::byte*> blocks = TakeAll(greedy, size_t{16} << 20, 10);
  for (std::byte* block : blocks) EXPECT_TRUE(Allocator::Free(block));
  auto taken = client_.Allocate(uint64_t{200} << 20);
  ASSERT_OK(taken);
  taken = Allocation();
  EXPECT_TRUE(ReturnsTo(start));
  blocks = TakeAll(greedy, size_t{16} << 20, 10);
  EXPECT_GE(Now().memory_usage, start.memory_usage + blocks.size() * (uint64_t{16} << 20))
      << "the instance knows of all";
  for (std::byte* block : blocks) {
    const size_t seed = static_cast<size_t>(block - blocks[0]);
    std::ranges::copy(Pattern(seed, kLarge), block);
    EXPECT_TRUE(IsPattern({block, kLarge}, seed));
    EXPECT_TRUE(Allocator::Free(block));
  }
}

TEST_F(Allocators, AVolumesQuotaIsMadeRoomInToo) {
  const uint64_t quota = uint64_t{40} << 20;
  ASSERT_OK(client_.CreateVolume("small", daemon_.folder() + "/small", quota));
  Client small = Client::Connect(daemon_.folder() + "/small/vineyard.sock").value();
  const Allocator greedy = Make(small, {.limit = UINT64_MAX});
  const std::vector<std::byte*> blocks = TakeAll(greedy, size_t{8} << 20, 2);
  for (void* block : blocks) EXPECT_TRUE(Allocator::Free(block));
  EXPECT_OK(small.Allocate(uint64_t{30} << 20, {.timeout = std::chrono::milliseconds(0)}));
}

TEST_F(Allocators, BlocksGrowAndShrinkWhereTheyLieUntilTheyAreSealed) {
  const std::span<std::byte> block = Filled(1);
  size_t size = 0;
  EXPECT_FALSE(Allocator::Resize(block.data(), kTwoChunks + 1, &size));
  EXPECT_EQ(size, kTwoChunks);
  EXPECT_FALSE(Allocator::Resize(block.data(), 0, &size));
  EXPECT_FALSE(Allocator::Resize(block.data(), kTwoChunks / 2 - 1, &size)) << "it would waste half";
  EXPECT_TRUE(Allocator::Resize(block.data(), kTwoChunks - 5000, &size));
  EXPECT_EQ(size, kTwoChunks);
  EXPECT_EQ(PlacementOf(block), Placement::kOwn) << "it is that long no more";
  const auto shorter = block.first(kTwoChunks - 5000);
  const auto id = Put(shorter);
  ASSERT_OK(id);
  const auto object = daemon_.Connect().Get(*id);
  EXPECT_TRUE(std::ranges::equal(object->buffers()[0].bytes(), shorter));
  EXPECT_TRUE(IsZero({object->buffers()[0].data() + shorter.size(), 5000}));
  EXPECT_FALSE(Allocator::Resize(block.data(), kTwoChunks, &size));
  EXPECT_FALSE(Allocator::Resize(block.data(), shorter.size() - 1, &size));
  EXPECT_EQ(size, shorter.size());
  EXPECT_TRUE(Allocator::Free(block.data()));
}

TEST_F(Allocators, ThousandsOfThemLiveAndWhatIsTooManyIsDeclined) {
  const Allocator many = Make(client_, {.threshold = 4096});
  std::set<void*> blocks;
  for (int i = 0; i < 3000; ++i) {
    void* block = many.Allocate(5000);
    if (block != nullptr) blocks.insert(block);
  }
  EXPECT_GT(blocks.size(), 100U);
  EXPECT_EQ(blocks.size() + many.statistics().declined, 3000U);
  for (void* block : blocks) EXPECT_TRUE(Allocator::Free(block));
}

// ---- puts

TEST_F(Allocators, APutTakesNoMoreMemoryWhicheverClientPuts) {
  Client other = daemon_.Connect();
  for (Client* by : {&client_, &other}) {
    const std::span<std::byte> block = Filled(1);
    const uint64_t before = Now().memory_usage;
    const auto id = Put(*by, block);
    EXPECT_LT(Now().memory_usage, before + kLarge);
    std::ranges::copy(Pattern(2, block.size()), block.data());
    EXPECT_TRUE(Holds(id, 1));
    EXPECT_TRUE(IsPattern(block, 2));
    EXPECT_TRUE(Allocator::Free(block.data()));
    EXPECT_TRUE(Holds(id, 1));
  }
  EXPECT_EQ(allocator_.statistics().reused, 0U) << "what was stored is not given out again";
  EXPECT_EQ(allocator_.statistics().bytes_used, 0U);
}

TEST_F(Allocators, OnePutPublishesBlocksOfManyClients) {
  Client other = daemon_.Connect();
  const Allocator theirs = Make(other);
  const std::span<std::byte> mine = Filled(1);
  const std::span<std::byte> second{static_cast<std::byte*>(theirs.Allocate(kLarge)), kLarge};
  ASSERT_NE(second.data(), nullptr);
  std::ranges::copy(Pattern(2, kLarge), second.data());
  auto array = client_.Allocate(kLarge);
  std::ranges::copy(Pattern(3, kLarge), array->data());
  const uint64_t before = Now().memory_usage;
  const auto id = client_.Put(
      ObjectBuilder("test").AddBuffer(mine).AddBuffer(second).AddBuffer(array->bytes()));
  ASSERT_OK(id);
  EXPECT_LT(Now().memory_usage, before + kLarge);
  const auto object = daemon_.Connect().Get(*id);
  for (uint64_t i = 0; i < 3; ++i) EXPECT_TRUE(IsPattern(object->buffers()[i].bytes(), i + 1));
  for (void* block : {mine.data(), second.data()}) EXPECT_TRUE(Allocator::Free(block));
}

TEST_F(Allocators, ReadersSeeNothingOfWhatTheMemoryHeldBefore) {
  constexpr std::byte kSecret{0xa5};
  const std::span<std::byte> first = Block(kTwoChunks);
  std::ranges::fill(first, kSecret);
  EXPECT_TRUE(Allocator::Free(first.data()));
  const std::span<std::byte> block = Filled(1, kTwoChunks - 300'000);
  ASSERT_EQ(block.data(), first.data());
  const auto id = Put(block);
  ASSERT_OK(id);
  const auto object = daemon_.Connect().Get(*id);
  const Blob& blob = object->buffers()[0];
  EXPECT_TRUE(IsPattern(blob.bytes(), 1));
  EXPECT_TRUE(IsZero({blob.data() + blob.size(), kTwoChunks - blob.size()}))
      << "the pages of the extent behind the blob are mapped by its readers";
  EXPECT_TRUE(Allocator::Free(block.data()));
}

TEST_F(Allocators, WhatWasFreedWhileItIsStoredStaysStored) {
  const InstanceStatus start = Now();
  const std::span<std::byte> block = Filled(1);
  const auto id = Put(block);
  EXPECT_TRUE(Allocator::Free(block.data()));
  for (uint64_t seed = 2; seed < 20; ++seed) EXPECT_TRUE(Allocator::Free(Filled(seed).data()));
  EXPECT_TRUE(Holds(id, 1));
  ASSERT_OK(client_.Delete({*id}));
  allocator_.GiveBackIdle();
  EXPECT_TRUE(ReturnsTo(start));
}

TEST_F(Allocators, ThreadsAllocatePutAndFreeAtOnce) {
  const InstanceStatus start = Now();
  std::vector<std::thread> threads;
  for (uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      for (uint64_t i = 0; i < 40; ++i) {
        const uint64_t seed = thread * 1000 + i;
        const std::span<std::byte> block = Filled(seed, kLarge + i * 1000);
        if (i % 4 == 0) {
          const auto id = Put(block);
          ASSERT_TRUE(Holds(id, seed));
          ASSERT_OK(client_.Delete({*id}));
        }
        ASSERT_TRUE(IsPattern(block, seed));
        ASSERT_TRUE(Allocator::Free(block.data()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(allocator_.statistics().reused, 0U);
  allocator_.GiveBackIdle();
  EXPECT_TRUE(ReturnsTo(start));
}

// ---- forks

TEST_F(Allocators, AForkIsASnapshotAndIdleMemoryIsTheParentsAlone) {
  const InstanceStatus start = Now();
  const std::span<std::byte> block = Filled(1);
  const std::span<std::byte> idle = Filled(2, kLarge);
  EXPECT_TRUE(Allocator::Free(idle.data()));
  Bell written;
  Child child([&] {
    if (!written.Wait()) return 9;
    if (!IsPattern(block, 1)) return 1;
    std::ranges::copy(Pattern(4, block.size()), block.data());
    if (allocator_.statistics().bytes_idle != 0) return 2;
    const std::span<std::byte> own = Filled(5, kLarge);
    const auto ids = std::pair(Put(block), Put(own));
    if (!Holds(ids.first, 4) || !Holds(ids.second, 5)) return 3;
    if (!Allocator::Free(block.data()) || !Allocator::Free(own.data())) return 4;
    const std::span<std::byte> second = Filled(6, kLarge);
    if (!Allocator::Free(second.data()) || allocator_.statistics().bytes_idle != kLarge) return 5;
    return client_.Delete({*ids.first, *ids.second}).ok() ? 0 : 6;
  });
  std::ranges::copy(Pattern(3, block.size()), block.data());
  const std::span<std::byte> reused = Filled(7, kLarge);
  EXPECT_EQ(reused.data(), idle.data()) << "the parent's idle memory is warm still";
  written.Ring();
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_TRUE(IsPattern(block, 3));
  EXPECT_TRUE(IsPattern(reused, 7));
  EXPECT_TRUE(Holds(Put(reused), 7));
  for (void* freed : {block.data(), reused.data()}) EXPECT_TRUE(Allocator::Free(freed));
  ASSERT_OK(client_.Delete({client_.List({.limit = SIZE_MAX})->at(0).id}));
  EXPECT_TRUE(ReturnsTo(start));
}

TEST_F(Allocators, ForkingWhileOthersAllocateHarmsNobody) {
  const InstanceStatus start = Now();
  std::atomic<bool> stop{false};
  std::thread worker([&] {
    for (uint64_t seed = 0; !stop; ++seed) {
      const std::span<std::byte> block = Filled(seed, kLarge + seed % 7 * 1000);
      ASSERT_TRUE(IsPattern(block, seed));
      ASSERT_TRUE(Allocator::Free(block.data()));
    }
  });
  for (uint64_t i = 0; i < 20; ++i) {
    Child child([&] {
      const std::span<std::byte> block = Filled(i);
      return IsPattern(block, i) && Allocator::Free(block.data()) ? 0 : 1;
    });
    EXPECT_EQ(child.Wait(), 0);
  }
  stop = true;
  worker.join();
  allocator_.GiveBackIdle();
  EXPECT_TRUE(ReturnsTo(start));
}

// ---- the instance and the client go

TEST_F(Allocators, WithoutAnAnswerTheyHaveNothing) {
  const std::span<std::byte> block = Filled(1);
  const std::span<std::byte> idle = Filled(2, kLarge);
  EXPECT_TRUE(Allocator::Free(idle.data()));
  daemon_.PauseEngine();
  EXPECT_EQ(allocator_.Allocate(kTwoChunks), nullptr) << "asked, and not answered";
  EXPECT_EQ(allocator_.Allocate(kTwoChunks), nullptr) << "not asked";
  EXPECT_EQ(Block(kLarge).data(), idle.data()) << "there is an idle one";
  EXPECT_TRUE(IsPattern(block, 1));
  EXPECT_TRUE(Allocator::Free(idle.data()));
  daemon_.ResumeEngine();
  EXPECT_TRUE(Eventually([&] {
    void* again = allocator_.Allocate(kTwoChunks);
    return again != nullptr && Allocator::Free(again);
  }));
  EXPECT_TRUE(Holds(Put(block), 1));
  EXPECT_TRUE(Allocator::Free(block.data()));
}

TEST_F(Allocators, BlocksOutliveEnginesAndAreStillPutWithoutACopy) {
  const std::span<std::byte> block = Filled(1);
  EXPECT_TRUE(Allocator::Free(Filled(2, kLarge).data()));
  daemon_.KillEngine();
  ASSERT_OK(client_.GetStatus());
  const uint64_t before = Now().memory_usage;
  EXPECT_TRUE(Holds(Put(block), 1));
  EXPECT_LT(Now().memory_usage, before + kLarge);
  const std::span<std::byte> idle = Filled(3, kLarge);
  EXPECT_TRUE(Holds(Put(idle), 3));
  EXPECT_TRUE(Allocator::Free(block.data()));
  EXPECT_TRUE(Allocator::Free(idle.data()));
}

TEST_F(Allocators, BlocksOutliveTheInstance) {
  const std::span<std::byte> put = Filled(1);
  const std::span<std::byte> fresh = Filled(2);
  ASSERT_OK(Put(put));
  EXPECT_TRUE(Allocator::Free(Filled(3, kLarge).data()));
  daemon_.KillKeeper();
  EXPECT_EQ(allocator_.Allocate(2 * kTwoChunks), nullptr);
  const std::span<std::byte> idle = Filled(4, kLarge);
  EXPECT_TRUE(IsPattern(put, 1));
  EXPECT_TRUE(IsPattern(fresh, 2));
  daemon_.Start();
  for (const auto& [block, seed] : {std::pair(put, 1), std::pair(fresh, 2), std::pair(idle, 4)}) {
    EXPECT_TRUE(Holds(Put(block), static_cast<uint64_t>(seed)));
    EXPECT_TRUE(Allocator::Free(block.data()));
  }
}

TEST_F(Allocators, BlocksOutliveTheirClientWhichGivesOutNoMore) {
  const InstanceStatus start = Now();
  auto other = std::make_unique<Client>(daemon_.Connect());
  allocator_ = Make(*other);
  const std::span<std::byte> block = Filled(1);
  EXPECT_TRUE(Allocator::Free(Filled(2, kLarge).data()));
  other.reset();
  EXPECT_EQ(allocator_.Allocate(kLarge), nullptr);
  EXPECT_EQ(allocator_.statistics().bytes_idle, 0U);
  const auto id = Put(block);
  EXPECT_TRUE(Holds(id, 1));
  EXPECT_TRUE(Allocator::Free(block.data()));
  ASSERT_OK(client_.Delete({*id}));
  EXPECT_TRUE(ReturnsTo(start));
}

TEST_F(Allocators, AnotherVolumeGetsACopy) {
  ASSERT_OK(client_.CreateVolume("other", daemon_.folder() + "/other", 0));
  Client other = Client::Connect(daemon_.folder() + "/other/vineyard.sock").value();
  const std::span<std::byte> block = Filled(1);
  const std::span<const std::byte> bytes = block;
  EXPECT_EQ(other.PlacementsOf({&bytes, 1})[0], Placement::kElsewhere);
  const auto id = Put(other, block);
  ASSERT_OK(id);
  EXPECT_TRUE(IsPattern(other.Get(*id)->buffers()[0].bytes(), 1));
  EXPECT_TRUE(Holds(Put(block), 1));
  EXPECT_TRUE(Allocator::Free(block.data()));
}

}  // namespace
}  // namespace vineyard
