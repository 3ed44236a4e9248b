// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Memory allocated in the store, when something goes wrong: whatever fails, arrays over it hold what was
// written to them, what was stored stays as it was, and the next put works.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
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

class TroubledAllocations : public ::testing::Test {
 protected:
  static Allocation Filled(Client& client, uint64_t seed, size_t size = kTwoChunks) {
    auto made = client.Allocate(size);
    EXPECT_OK(made);
    if (!made.ok()) return {};
    std::ranges::copy(Pattern(seed, size), made->data());
    return *made;
  }
  Allocation Filled(uint64_t seed) { return Filled(client_, seed); }
  static Result<ObjectId> Put(Client& client, const Allocation& array) {
    return client.Put(ObjectBuilder("test").AddBuffer(array.bytes()));
  }
  Result<ObjectId> Put(const Allocation& array) { return Put(client_, array); }
  Placement PlacementOf(const Allocation& array) {
    const std::span<const std::byte> bytes = array.bytes();
    return client_.PlacementsOf({&bytes, 1})[0];
  }
  bool Holds(const Result<ObjectId>& id, uint64_t seed) {
    Client reader = daemon_.Connect();
    if (!id.ok()) return false;
    auto object = reader.Get(*id);
    return object.ok() && IsPattern(object->buffers()[0].bytes(), seed);
  }
  void DeleteAll() {
    const auto infos = client_.List({.limit = SIZE_MAX});
    ASSERT_OK(infos);
    std::vector<ObjectId> ids;
    for (const ObjectInfo& info : *infos) ids.push_back(info.id);
    EXPECT_OK(client_.Delete(ids));
  }
  InstanceStatus Now() { return client_.GetStatus().value(); }
  void ExpectAllIsGone(const InstanceStatus& start) {
    InstanceStatus now;
    EXPECT_TRUE(Eventually([&] {
      now = Now();
      return now.memory_usage == start.memory_usage && now.memory_lingering == 0;
    })) << now.memory_usage
        << " after " << start.memory_usage << ", lingering " << now.memory_lingering;
  }

  TestDaemon daemon_{};
  Client client_ = daemon_.Connect();
};

/// A second shared writable mapping of the same pages, as another holder of them has.
class SecondMapping {
 public:
  explicit SecondMapping(const Allocation& of)
      : size_(of.size()), at_(::mremap(of.data(), 0, size_, MREMAP_MAYMOVE)) {
    EXPECT_NE(at_, MAP_FAILED);
  }
  SecondMapping(const SecondMapping&) = delete;
  SecondMapping& operator=(const SecondMapping&) = delete;
  ~SecondMapping() { Unmap(); }
  void Unmap() {
    if (at_ != MAP_FAILED) ::munmap(at_, size_);
    at_ = MAP_FAILED;
  }

 private:
  size_t size_;
  void* at_;
};

/// A forked child that no handler knows of.
class StrayChild {
 public:
  StrayChild() : pid_(static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0))) {
    if (pid_ == 0) {
      ::alarm(250);
      while (true) ::syscall(SYS_pause);
    }
  }
  StrayChild(const StrayChild&) = delete;
  StrayChild& operator=(const StrayChild&) = delete;
  ~StrayChild() { End(); }
  void End() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

// ---- the kernel refuses

TEST_F(TroubledAllocations, WhileSomebodyElseCanWriteToItThePutCopies) {
  const InstanceStatus start = Now();
  {
    const Allocation array = Filled(1);
    SecondMapping second(array);
    const auto first = Put(array);
    EXPECT_TRUE(Holds(first, 1));
    EXPECT_EQ(PlacementOf(array), Placement::kRefused);
    EXPECT_TRUE(IsPattern(array.bytes(), 1));
    std::ranges::copy(Pattern(2, kTwoChunks), array.data());
    EXPECT_TRUE(IsPattern(array.bytes(), 2));
    EXPECT_TRUE(Holds(Put(array), 2));
    EXPECT_TRUE(Holds(first, 1));
    second.Unmap();
    EXPECT_TRUE(Holds(Put(array), 2));
    EXPECT_TRUE(IsPattern(array.bytes(), 2));
    DeleteAll();
  }
  ExpectAllIsGone(start);
}

TEST_F(TroubledAllocations, OnceItIsLetGoOfThePutCopiesNothing) {
  const Allocation array = Filled(1);
  SecondMapping second(array);
  ASSERT_OK(Put(array));
  second.Unmap();
  const uint64_t before = Now().memory_usage;
  EXPECT_TRUE(Holds(Put(array), 1));
  EXPECT_LT(Now().memory_usage, before + kLarge);
  EXPECT_EQ(PlacementOf(array), Placement::kReferred);
}

TEST_F(TroubledAllocations, AStrayChildHasNothingOfItAndKeepsNoPutFromSealing) {
  const Allocation array = Filled(1);
  StrayChild child;
  const uint64_t before = Now().memory_usage;
  EXPECT_TRUE(Holds(Put(array), 1));
  EXPECT_LT(Now().memory_usage, before + kLarge);
  EXPECT_EQ(PlacementOf(array), Placement::kReferred);
  EXPECT_TRUE(IsPattern(array.bytes(), 1));
}

TEST_F(TroubledAllocations, ABlobWhoseSealFailsLeavesItsBytesToWhoeverKeepsThem) {
  auto blob = client_.CreateBlob(kTwoChunks);
  ASSERT_OK(blob);
  std::ranges::copy(Pattern(1, kTwoChunks), blob->data());
  const std::span<std::byte> mine = blob->bytes();
  auto alive = blob->keep_alive();
  void* second = ::mremap(mine.data(), 0, kTwoChunks, MREMAP_MAYMOVE);
  ASSERT_NE(second, MAP_FAILED);
  EXPECT_CODE(kFailedPrecondition, client_.Seal(std::move(*blob)));
  EXPECT_TRUE(Eventually([&] { return Now().memory_lingering > 0; }));
  EXPECT_TRUE(IsPattern(mine, 1));
  ::munmap(second, kTwoChunks);
  alive.reset();
  EXPECT_TRUE(Eventually([&] { return Now().memory_lingering == 0; }));
}

// ---- forks

TEST_F(TroubledAllocations, AForkIsASnapshotForBothSides) {
  const Allocation array = Filled(1);
  const Allocation other = Filled(2);
  Bell written;
  Bell checked;
  Child child([&] {
    (void)written.Wait();
    if (!IsPattern(array.bytes(), 1) || !IsPattern(other.bytes(), 2)) return 1;
    std::ranges::fill(other.bytes(), std::byte{9});
    checked.Ring();
    if (!Holds(Put(array), 1)) return 2;  // with a client of its own: copied
    return 0;
  });
  checked.OnlyWait();
  std::ranges::copy(Pattern(3, kTwoChunks), array.data());
  written.Ring();
  (void)checked.Wait();
  EXPECT_TRUE(IsPattern(array.bytes(), 3));
  EXPECT_TRUE(IsPattern(other.bytes(), 2));
  // In place, though the child lives and maps it; and by copy, where it was written to since.
  EXPECT_EQ(PlacementOf(other), Placement::kInPlace);
  EXPECT_TRUE(Holds(Put(other), 2));
  EXPECT_EQ(PlacementOf(array), Placement::kChanged);
  EXPECT_TRUE(Holds(Put(array), 3));
  EXPECT_EQ(child.Wait(), 0);
}

// There is no private memory for a snapshot: a child must not get the parent's own.
TEST_F(TroubledAllocations, AForkWithoutRoomForASnapshotSharesNothing) {
  if (testing::IsInstrumented()) GTEST_SKIP() << "a sanitizer needs memory of its own at a fork";
  Child program([&] {
    Client client = daemon_.Connect();
    const Allocation array = Filled(client, 1);
    rlimit before{};
    ::getrlimit(RLIMIT_DATA, &before);
    const rlimit none{.rlim_cur = 1, .rlim_max = before.rlim_max};
    ::setrlimit(RLIMIT_DATA, &none);
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGSEGV, SIG_DFL);
      array.data()[0] ^= std::byte{1};
      array.data()[kTwoChunks - 1] ^= std::byte{1};
      ::_exit(0);
    }
    ::setrlimit(RLIMIT_DATA, &before);
    if (child < 0) return 1;
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!IsPattern(array.bytes(), 1)) return 2;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV) return 3;
    if (!Holds(Put(client, array), 1)) return 4;
    const std::span<const std::byte> bytes = array.bytes();
    if (client.PlacementsOf({&bytes, 1})[0] != Placement::kReferred) return 5;
    const pid_t next = ::fork();  // from now on children have it
    if (next == 0) ::_exit(IsPattern(array.bytes(), 1) ? 0 : 1);
    ::waitpid(next, &status, 0);
    return status == 0 ? 0 : 6;
  });
  EXPECT_EQ(program.Wait(), 0);
}

TEST_F(TroubledAllocations, AChildRefersToWhatItsParentHadPut) {
  const Allocation array = Filled(1);
  const auto id = Put(array);
  ASSERT_OK(id);
  Child child([&] {
    if (PlacementOf(array) != Placement::kReferred) return 1;
    const auto again = Put(array);
    if (!again.ok() ||
        client_.Get(*again)->buffers()[0].id() != client_.Get(*id)->buffers()[0].id())
      return 2;
    array.data()[0] ^= std::byte{1};
    if (PlacementOf(array) != Placement::kChanged) return 3;
    return Put(array).ok() ? 0 : 4;
  });
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_TRUE(IsPattern(array.bytes(), 1));
  EXPECT_TRUE(Holds(id, 1));
}

TEST_F(TroubledAllocations, AChildsArraysOutliveTheParentAndWhatTheParentFrees) {
  const InstanceStatus start = Now();
  for (const bool refused : {false, true}) {
    Bell forked;
    Bell orphaned;
    Bell outcome;
    Child parent([&] {
      Client client = daemon_.Connect();
      const Allocation kept = Filled(client, 1);
      Allocation freed = Filled(client, 2);
      std::optional<SecondMapping> second;
      if (refused) second.emplace(kept);
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::alarm(250);
        (void)orphaned.Wait();
        // The instance has taken back what its parent had reserved.
        const bool gone =
            Eventually([&] { return daemon_.Connect().GetStatus()->connections == 2; });
        const bool same = IsPattern(kept.bytes(), 1) && IsPattern(freed.bytes(), 2);
        outcome.Ring(gone && same ? 1 : 0);
        ::_exit(0);
      }
      second.reset();
      freed = {};
      (void)client.GetStatus();
      forked.Ring();
      ::pause();
      return 0;
    });
    ASSERT_TRUE(forked.Wait().has_value());
    parent.Kill();
    orphaned.Ring();
    EXPECT_EQ(outcome.Wait(), 1U) << (refused ? "refused" : "sealed");
  }
  ExpectAllIsGone(start);
}

TEST_F(TroubledAllocations, ForkingWhileOtherThreadsAllocateAndPutHarmsNeither) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = t; !stop; i += 2) {
        const Allocation array = Filled(i);
        const auto id = Put(array);
        ASSERT_OK(id);
        ASSERT_TRUE(IsPattern(array.bytes(), i));
        ASSERT_TRUE(IsPattern(client_.Get(*id)->buffers()[0].bytes(), i));
        ASSERT_OK(client_.Delete({*id}));
      }
    });
  }
  const Allocation mine = Filled(99);
  for (int i = 0; i < 20; ++i) {
    Child child([&] {
      if (!IsPattern(mine.bytes(), 99)) return 1;
      const Allocation array = Filled(7);
      return Holds(Put(array), 7) ? 0 : 2;
    });
    EXPECT_EQ(child.Wait(), 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(Eventually([&] { return Now().memory_lingering == 0; }));
}

// ---- the instance dies

TEST_F(TroubledAllocations, AnEngineKilledBetweenAllocationAndPutLosesNothing) {
  const InstanceStatus start = Now();
  {
    Allocation array = Filled(1);
    const Allocation unused = Filled(2);
    daemon_.KillEngine();
    const auto first = Put(array);
    EXPECT_TRUE(Holds(first, 1));
    EXPECT_EQ(PlacementOf(array), Placement::kReferred) << "it was put in place";
    daemon_.KillEngine();
    const auto second = Put(array);
    EXPECT_TRUE(Holds(second, 1));
    EXPECT_TRUE(IsPattern(unused.bytes(), 2));
    ASSERT_OK(client_.Delete({*first, *second}));
    daemon_.KillEngine();
    EXPECT_TRUE(IsPattern(array.bytes(), 1));
    EXPECT_TRUE(Holds(Put(array), 1)) << "what it was put as is deleted: it is copied";
    DeleteAll();
  }
  ExpectAllIsGone(start);
}

TEST_F(TroubledAllocations, EnginesKilledWhileArraysArePutLoseNothing) {
  const InstanceStatus start = Now();
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> puts{0};
  std::thread writer([&] {
    while (!stop) {
      const Allocation array = Filled(puts);
      const auto id = Put(array);
      ASSERT_OK(id);
      ASSERT_TRUE(IsPattern(array.bytes(), puts));
      ASSERT_TRUE(Holds(id, puts));
      ASSERT_OK(client_.Delete({*id}));
      ++puts;
    }
  });
  for (uint64_t kill = 1; kill <= 5; ++kill) {
    EXPECT_TRUE(Eventually([&] { return puts >= 3 * kill; }));
    daemon_.KillEngine();
  }
  stop = true;
  writer.join();
  ExpectAllIsGone(start);
}

TEST_F(TroubledAllocations, ArraysOutliveTheInstanceAndGoToTheNextByCopy) {
  const Allocation put = Filled(1);
  const Allocation fresh = Filled(2);
  ASSERT_OK(Put(put));
  daemon_.KillKeeper();
  EXPECT_TRUE(IsPattern(put.bytes(), 1));
  EXPECT_TRUE(IsPattern(fresh.bytes(), 2));
  EXPECT_FALSE(Put(fresh).ok());
  EXPECT_TRUE(IsPattern(fresh.bytes(), 2));
  daemon_.Start();
  EXPECT_TRUE(Holds(Put(put), 1));
  EXPECT_TRUE(Holds(Put(fresh), 2));
  fresh.data()[5] ^= std::byte{1};
  EXPECT_EQ(PlacementOf(put), Placement::kElsewhere);
}

// ---- the client goes

TEST_F(TroubledAllocations, ArraysOutliveTheirClientAndOthersPutThemByCopy) {
  const InstanceStatus start = Now();
  {
    Client other = daemon_.Connect();
    const Allocation fresh = Filled(other, 1);
    const Allocation put = Filled(other, 2);
    const auto id = Put(other, put);
    ASSERT_OK(id);
    other.Close();
    EXPECT_TRUE(Eventually([&] { return Now().connections == 1; }));
    EXPECT_CODE(kFailedPrecondition, Put(other, fresh));
    EXPECT_TRUE(IsPattern(fresh.bytes(), 1));
    EXPECT_TRUE(Eventually([&] { return Now().memory_lingering > 0; })) << "counted, not emptied";
    EXPECT_TRUE(IsPattern(fresh.bytes(), 1));
    fresh.data()[0] ^= std::byte{1};
    fresh.data()[0] ^= std::byte{1};
    const auto copied = Put(fresh);
    EXPECT_TRUE(Holds(copied, 1));
    EXPECT_EQ(PlacementOf(fresh), Placement::kElsewhere);
    EXPECT_EQ(PlacementOf(put), Placement::kReferred) << "the same volume";
    daemon_.KillEngine();  // the next one knows of no client that has reserved it
    ASSERT_OK(client_.GetStatus());
    EXPECT_TRUE(IsPattern(fresh.bytes(), 1));
    EXPECT_TRUE(IsPattern(put.bytes(), 2));
    ASSERT_OK(client_.Delete({*id, *copied}));
  }
  ExpectAllIsGone(start);
}

TEST_F(TroubledAllocations, AKilledClientKeepsNothing) {
  const InstanceStatus start = Now();
  Bell ready;
  Child writer([&] {
    Client mine = daemon_.Connect();
    const Allocation unused = Filled(mine, 1);
    const Allocation put = Filled(mine, 2);
    ready.Ring(Put(mine, put)->value());
    ::pause();
    return 0;
  });
  const auto id = ready.Wait();
  ASSERT_TRUE(id.has_value());
  writer.Kill();
  EXPECT_TRUE(Holds(ObjectId(*id), 2)) << "what it has put stays";
  ASSERT_OK(client_.Delete({ObjectId(*id)}));
  ExpectAllIsGone(start);
}

// ---- the put fails for another reason

TEST_F(TroubledAllocations, APutThatFailsLeavesTheMemoryToTheNext) {
  const InstanceStatus start = Now();
  {
    const Allocation array = Filled(1);
    const auto conflict =
        client_.Put(ObjectBuilder("test").AddBuffer(array.bytes()), {.name = "n", .if_version = 7});
    EXPECT_CODE(kConflict, conflict);
    EXPECT_CODE(
        kNotFound,
        client_.Put(
            ObjectBuilder("test").AddBuffer(array.bytes()).AddMember("m", ObjectId(12345))));
    EXPECT_TRUE(IsPattern(array.bytes(), 1));
    const uint64_t before = Now().memory_usage;
    const auto id = Put(array);
    EXPECT_TRUE(Holds(id, 1));
    EXPECT_LT(Now().memory_usage, before + kLarge) << "in place";
    ASSERT_OK(client_.Delete({*id}));
  }
  ExpectAllIsGone(start);
}

TEST_F(TroubledAllocations, WhatWasDeletedIsPutAgainByCopy) {
  const Allocation array = Filled(1);
  const auto first = Put(array);
  ASSERT_OK(first);
  ASSERT_OK(client_.Delete({*first}));
  EXPECT_TRUE(Holds(Put(array), 1));
}

TEST_F(TroubledAllocations, AnotherVolumeGetsACopy) {
  ASSERT_OK(client_.CreateVolume("other", daemon_.folder() + "/other", 0));
  Client other = Client::Connect(daemon_.folder() + "/other/vineyard.sock").value();
  const Allocation array = Filled(1);
  ASSERT_OK(Put(array));
  const auto there = Put(other, array);
  ASSERT_OK(there);
  EXPECT_TRUE(IsPattern(other.Get(*there)->buffers()[0].bytes(), 1));
  const Allocation away = Filled(other, 2);
  ASSERT_OK(client_.RemoveVolume("other"));
  EXPECT_TRUE(IsPattern(away.bytes(), 2));
  EXPECT_TRUE(Holds(Put(away), 2));
}

}  // namespace
}  // namespace vineyard
