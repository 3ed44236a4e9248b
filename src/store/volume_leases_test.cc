// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What lives with a client, and how much longer.
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/process.h"
#include "store/test_volume.h"

namespace vineyard::store {
namespace {

using std::chrono::hours;
using std::chrono::nanoseconds;

class Leases : public VolumeTest {
 protected:
  ObjectId PutOf(uint64_t client, const TestObject& object) {
    auto answer = machine_.Put(client, object);
    EXPECT_OK(answer);
    return answer.ok() ? ObjectId(answer->id) : ObjectId();
  }
  uint64_t AddDeadClient() { return machine_.AddClient(Machine::EndedProcess()); }
  /// What the engine does as long as there is something.
  void Tick(os::TimePoint now = os::Clock::now()) {
    for (auto next = volume().NextNameEnd(); next && *next <= now; next = volume().NextNameEnd()) {
      volume().DropEnded(now);
    }
  }
  void Forget(uint64_t client) {
    machine_.store().ForgetClient(client);
    Tick();
  }

  uint64_t other_ = machine_.AddClient();
};

TEST_F(Leases, WhatLivesWithAClientGoesWithItAndNothingElse) {
  const ObjectId named = PutOf(other_, {.bytes = "1", .name = "n", .linger = nanoseconds(0)});
  const ObjectId large = PutOf(other_, {.bytes = "2", .large = true, .linger = nanoseconds(0)});
  const ObjectId plain = PutOf(other_, {.bytes = "3"});
  const ObjectId mine = PutId({.bytes = "4", .name = "mine", .linger = nanoseconds(0)});
  EXPECT_EQ(volume().leases(), 3U);
  EXPECT_EQ(volume().names_given(), 2U) << "what has no name is given none";
  Forget(other_);
  EXPECT_FALSE(Exists(named));
  EXPECT_FALSE(Exists(large));
  EXPECT_EQ(volume().FindName("n"), nullptr);
  EXPECT_TRUE(Exists(plain));
  EXPECT_TRUE(Exists(mine));
  EXPECT_EQ(volume().leases(), 1U);
  Forget(client_);
  EXPECT_FALSE(Exists(mine));
  EXPECT_EQ(volume().leases(), 0U);
}

TEST_F(Leases, WhatLingersHasATimeOfItsOwnOnceItsClientHasEnded) {
  const os::TimePoint before = os::Clock::now();
  const ObjectId named = PutOf(other_, {.bytes = "1", .name = "n", .linger = hours(1)});
  const ObjectId unnamed = PutOf(other_, {.bytes = "2", .linger = hours(2)});
  EXPECT_EQ(volume().NextNameEnd(), std::nullopt) << "its client lives";
  Forget(other_);
  EXPECT_EQ(volume().leases(), 0U);
  EXPECT_EQ(volume().FindName("n")->version, 1U);
  const auto ends = volume().NextNameEnd();
  ASSERT_TRUE(ends);
  EXPECT_GE(*ends, before + hours(1));
  EXPECT_LE(*ends, os::Clock::now() + hours(1));
  for (int i = 0; i < 3; ++i) {
    machine_.Restart();
    EXPECT_EQ(volume().NextNameEnd(), ends) << "the time is kept, whatever engines do";
  }
  Tick(*ends);
  EXPECT_FALSE(Exists(named));
  EXPECT_TRUE(Exists(unnamed));
  Tick(*ends + hours(1));
  EXPECT_FALSE(Exists(unnamed));
}

TEST_F(Leases, AClientThatLivesKeepsItsOwnAcrossEngines) {
  const ObjectId id = PutOf(other_, {.bytes = "1", .name = "n", .linger = nanoseconds(0)});
  PutOf(other_, {.bytes = "2", .linger = hours(1)});
  for (int i = 0; i < 3; ++i) {
    machine_.Restart();
    while (volume().MoveSome(1)) {
    }
    Tick();
    EXPECT_TRUE(Exists(id));
    EXPECT_EQ(volume().leases(), 2U);
    EXPECT_EQ(volume().FindName("n")->client, other_);
    EXPECT_EQ(volume().LingerOf("n", *volume().FindName("n")), nanoseconds(0));
  }
  Forget(other_);
  EXPECT_FALSE(Exists(id));
}

TEST_F(Leases, AClientThatDiedWhileNoEngineRanIsNoticed) {
  const uint64_t dead = AddDeadClient();
  const ObjectId gone = PutOf(dead, {.bytes = "1", .linger = nanoseconds(0)});
  const ObjectId lingers = PutOf(dead, {.bytes = "2", .name = "n", .linger = hours(1)});
  machine_.Restart();
  Tick();
  EXPECT_FALSE(Exists(gone));
  EXPECT_TRUE(Exists(lingers));
  const auto ends = volume().NextNameEnd();
  ASSERT_TRUE(ends);
  machine_.Restart();
  EXPECT_EQ(volume().NextNameEnd(), ends);
}

// Its number in the records is nobody else's.
TEST_F(Leases, ANewClientIsNotTakenForOneThatIsGone) {
  const uint64_t dead = AddDeadClient();
  const ObjectId id = PutOf(dead, {.bytes = "1", .name = "n", .linger = nanoseconds(0)});
  machine_.Restart();
  const uint64_t fresh = machine_.AddClient();
  EXPECT_GT(fresh, dead);
  const ObjectId of_fresh = PutOf(fresh, {.bytes = "2", .linger = nanoseconds(0)});
  Tick();
  EXPECT_FALSE(Exists(id));
  EXPECT_TRUE(Exists(of_fresh));
}

TEST_F(Leases, PointingANameAnywhereSetsItsTermAnew) {
  const ObjectId first = PutOf(other_, {.bytes = "1", .name = "n", .linger = nanoseconds(0)});
  const ObjectId kept = PutId({.bytes = "2"});
  ASSERT_OK(PutName("n", kept));
  EXPECT_FALSE(Exists(first));
  EXPECT_EQ(volume().leases(), 0U);
  ASSERT_OK(volume().PutName(machine_.NextRequest(client_), "n", kept, {.linger = hours(1)}));
  ASSERT_OK(volume().PutName(machine_.NextRequest(other_), "n", kept, {.linger = nanoseconds(0)}));
  EXPECT_EQ(volume().leases(), 1U);
  Forget(client_);
  EXPECT_NE(volume().FindName("n"), nullptr) << "it lives with the other one now";
  client_ = machine_.AddClient();
  ASSERT_OK(DropName("n"));
  EXPECT_EQ(volume().leases(), 0U);
  Forget(other_);
  EXPECT_TRUE(Exists(kept));
}

TEST_F(Leases, WhatAnotherNameOrObjectRefersToOutlivesTheClient) {
  const ObjectId named = PutOf(other_, {.bytes = "1", .linger = nanoseconds(0)});
  const ObjectId part = PutOf(other_, {.bytes = "2", .linger = nanoseconds(0)});
  ASSERT_OK(PutName("kept", named));
  const ObjectId whole = PutId({.members = {part}});
  Forget(other_);
  EXPECT_TRUE(Exists(named));
  EXPECT_TRUE(Exists(part));
  ASSERT_OK(DropName("kept"));
  EXPECT_FALSE(Exists(named)) << "nobody else owns it";
  ASSERT_OK(Delete(whole));
  EXPECT_FALSE(Exists(part));
}

TEST_F(Leases, AnExplicitDeleteEndsItToo) {
  const ObjectId id = PutOf(other_, {.bytes = "1", .linger = hours(1)});
  ASSERT_OK(Delete(id));
  EXPECT_EQ(volume().leases(), 0U);
  EXPECT_TRUE(volume().names().empty());
  Forget(other_);
}

TEST_F(Leases, WhicheverOfTwoTimesComesFirstCounts) {
  const os::TimePoint now = os::Clock::now();
  const ObjectId soon =
      PutOf(other_, {.bytes = "1", .name_ends = now + hours(1), .linger = hours(2)});
  const ObjectId later =
      PutOf(other_, {.bytes = "2", .name_ends = now + hours(9), .linger = hours(3)});
  Forget(other_);
  Tick(now + hours(1));
  EXPECT_FALSE(Exists(soon));
  EXPECT_TRUE(Exists(later));
  Tick(os::Clock::now() + hours(3));
  EXPECT_FALSE(Exists(later));
}

TEST_F(Leases, AnObjectWithoutANameMayHaveATimeToo) {
  const auto at = [](int seconds) { return os::TimePoint(std::chrono::seconds(seconds)); };
  const ObjectId id = PutId({.bytes = "1", .name_ends = at(10)});
  EXPECT_EQ(volume().names_given(), 0U);
  machine_.Restart();
  Tick(at(9));
  EXPECT_TRUE(Exists(id));
  Tick(at(10));
  EXPECT_FALSE(Exists(id));
}

TEST_F(Leases, AChunkOfAStreamHasNone) {
  const ObjectId stream = PutId({.bytes = "s"});
  ASSERT_OK(volume().CreateStream(machine_.NextRequest(client_), stream, 4, 1));
  ASSERT_OK(volume().OpenStream(machine_.NextRequest(client_), stream, true));
  EXPECT_CODE(kInvalid, Put({.bytes = "1", .stream = stream, .linger = nanoseconds(0)}));
}

TEST_F(Leases, HiddenNamesCanBeNeitherGivenNorDropped) {
  const ObjectId id = PutOf(other_, {.bytes = "1", .linger = nanoseconds(0)});
  const std::string hidden = volume().names().begin()->first;
  EXPECT_CODE(kInvalid, PutName(hidden, id));
  EXPECT_CODE(kInvalid, DropName(hidden));
  EXPECT_CODE(kInvalid, Put({.bytes = "2", .name = hidden}));
}

// Others' requests come in between.
TEST_F(Leases, ManyEndSomeAtATime) {
  constexpr size_t kMany = 1000;
  for (size_t i = 0; i < kMany; ++i) {
    PutOf(other_, {.bytes = "x", .linger = i % 2 == 0 ? nanoseconds(0) : nanoseconds(1)});
  }
  machine_.store().ForgetClient(other_);
  size_t rounds = 0;
  const os::TimePoint later = os::Clock::now() + hours(1);
  for (auto next = volume().NextNameEnd(); next; next = volume().NextNameEnd()) {
    const size_t before = volume().leases() + volume().objects();
    EXPECT_LE(*next, later);
    volume().DropEnded(later);
    EXPECT_LE(before - volume().leases() - volume().objects(), 600U);
    ++rounds;
  }
  EXPECT_GT(rounds, 4U);
  EXPECT_EQ(volume().objects(), 0U);
}

TEST_F(Leases, AnEngineThatDiesWhileItEndsThemIsFollowedByOneThatGoesOn) {
  for (const char* point : {"record.written", "commit.before", "commit.published",
                            "commit.between_changes", "commit.applied", "commit.cleared"}) {
    const uint64_t dead = AddDeadClient();
    const ObjectId gone = PutOf(dead, {.bytes = "1", .linger = nanoseconds(0)});
    const ObjectId lingers = PutOf(dead, {.bytes = "2", .name = "n", .linger = hours(1)});
    EXPECT_TRUE(machine_.CrashIn(point, [&] { Forget(dead); }));
    machine_.Restart();
    Tick();
    EXPECT_FALSE(Exists(gone)) << point;
    EXPECT_TRUE(Exists(lingers)) << point;
    EXPECT_EQ(volume().leases(), 0U) << point;
    EXPECT_TRUE(volume().NextNameEnd()) << point;
    machine_.CheckConsistent();
    client_ = machine_.AddClient();
    ASSERT_OK(DropName("n"));
  }
}

}  // namespace
}  // namespace vineyard::store
