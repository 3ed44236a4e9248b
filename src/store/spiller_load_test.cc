// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Who waits for what lies on the disk: what it gets, when, and who must not wait for whom.
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

#include <gmock/gmock.h>

#include "store/test_spilling.h"

namespace vineyard::store {
namespace {

using ::testing::HasSubstr;

os::TimePoint Past() { return os::Clock::now() - std::chrono::seconds(1); }

// ---- who waits

TEST_F(SpillingTest, SeveralWhoAskAreOneRead) {
  const ObjectId blob = Put(1);
  ASSERT_OK(Evict({blob}));
  std::vector<Outcome> outcomes(3);
  for (Outcome& outcome : outcomes) {
    spiller().Load(std::vector{blob}, kNever, outcome.Callback());
  }
  Run();
  for (const Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome.calls, 1);
    EXPECT_OK(outcome.status);
  }
  EXPECT_EQ(machine_->disk().reads, 1);
}

// Though they are made piece by piece while it is read, and its last chunk is longer than its data.
TEST_F(SpillingTest, WhatCameBackHasAllItsPages) {
  const uint64_t size = 3 * kMi + 300'000;
  const ObjectId blob = Put(1, size);
  const uint64_t pages = extent(blob).pages;
  ASSERT_GT(pages, size);
  ASSERT_OK(Evict({blob}));
  ASSERT_OK(Load({blob}));
  uint64_t present = 0;
  for (const Chunk& chunk : extent(blob).chunks) {
    struct stat info{};
    ASSERT_EQ(::fstat(chunk.fd.get(), &info), 0);
    present += static_cast<uint64_t>(info.st_blocks) * 512;
  }
  EXPECT_GE(present, pages);
}

TEST_F(SpillingTest, ALoadMakesRoomForItself) {
  std::vector<ObjectId> blobs;
  for (uint64_t i = 0; i < 7; ++i) blobs.push_back(Put(i));
  ASSERT_OK(Evict({blobs[0], blobs[1]}));
  Put(7);
  Put(8);
  ASSERT_OK(Load({blobs[0], blobs[1]}));
  EXPECT_TRUE(IsInMemory(extent(blobs[0])) && IsInMemory(extent(blobs[1])));
  EXPECT_LE(store().budget().held(), store().budget().limit());
}

TEST_F(SpillingTest, WhoGivesUpWaitingForMemoryLeavesNothingBehind) {
  const ObjectId blob = Put(1, 8 * kMi);
  ASSERT_OK(Evict({blob}));
  const ObjectId other = Put(2, 10 * kMi);
  const Reader reader = Open(other);
  Outcome outcome;
  const uint64_t ticket = spiller().Load(std::vector{blob}, kNever, outcome.Callback());
  Run();
  EXPECT_EQ(outcome.calls, 0);
  EXPECT_TRUE(store().IsWaiting(ticket));
  EXPECT_NE(extent(blob).asked_by, 0u);
  store().CancelReserve(ticket);
  EXPECT_EQ(outcome.calls, 0);
  EXPECT_EQ(StateOf(blob), ExtentState::kSpilled);
  EXPECT_EQ(store().budget().waiting(), 0u);
  EXPECT_EQ(extent(blob).held, 0u);
  EXPECT_EQ(extent(blob).asked_by, 0u);
}

TEST_F(SpillingTest, ALoadWithoutMemoryEndsAtItsDeadline) {
  const ObjectId blob = Put(1, 8 * kMi);
  ASSERT_OK(Evict({blob}));
  const ObjectId other = Put(2, 10 * kMi);
  Outcome outcome;
  {
    const Reader reader = Open(other);
    spiller().Load(std::vector{blob}, os::Clock::now() + std::chrono::hours(1), outcome.Callback());
    Run();
    store().Tick(os::Clock::now() + std::chrono::hours(2));
  }
  EXPECT_CODE(kOutOfMemory, outcome.status);
  EXPECT_EQ(store().budget().waiting(), 0u);
  ExpectBytes(blob, 1, 8 * kMi);
}

TEST_F(SpillingTest, ALoadThatIsReadWhenItsTimeIsUpSaysSo) {
  const ObjectId blob = Put(1);
  ASSERT_OK(Evict({blob}));
  machine_->disk().Pause();
  Outcome outcome;
  spiller().Load(std::vector{blob}, os::Clock::now() + std::chrono::hours(1), outcome.Callback());
  Run();
  store().Tick(os::Clock::now() + std::chrono::hours(2));
  EXPECT_CODE(kDeadlineExceeded, outcome.status);
  machine_->disk().Resume();
  Run();
  EXPECT_EQ(outcome.calls, 1);
  EXPECT_TRUE(IsInMemory(extent(blob)));
}

TEST_F(SpillingTest, WhatCanNeverFitIsRefusedAtOnce) {
  const ObjectId blob = Put(1, 8 * kMi);
  ASSERT_OK(Evict({blob}));
  StoreOptions options = Options(4 * kMi);
  extent(blob).pages = 64 * kMi;
  EXPECT_CODE(kOutOfMemory, Load({blob}));
  extent(blob).pages = 8 * kMi;
  ExpectBytes(blob, 1, 8 * kMi);
}

// Numpy's allocator has other memory if there is none here: nothing is written for it.
TEST_F(SpillingTest, WhoDoesNotWaitMakesNoDiskWork) {
  const ObjectId first = Put(1, 8 * kMi);
  Put(2, 6 * kMi);
  Status status;
  store().Reserve(volume(), client_, 8 * kMi, Past(),
                  [&](Result<Extent*> r) { status = r.status(); });
  store().Tick(os::Clock::now());
  Run();
  EXPECT_CODE(kOutOfMemory, status);
  EXPECT_EQ(machine_->disk().writes, 0);

  ASSERT_OK(Evict({first}));
  ASSERT_OK(Load({first}));
  Result<Extent*> made = Status::Internal("no answer");
  store().Reserve(volume(), client_, 8 * kMi, Past(),
                  [&](Result<Extent*> r) { made = std::move(r); });
  Run();
  EXPECT_OK(made);  // the copy was dropped for it
  EXPECT_EQ(machine_->disk().writes, 1);
}

// ---- several who want more together than there is

class LoadingTogether : public SpillingTest {
 protected:
  static constexpr uint64_t kPart = 5 * kMi;

  // Two parts fit, and no third.
  void SetUp() override {
    SpillingTest::SetUp();
    Begin(Options(13 * kMi));
  }
  /// Objects of two parts each: the first part of each in memory as far as they fit, the second on the disk.
  std::vector<std::vector<ObjectId>> PutPairs(uint64_t count) {
    std::vector<std::vector<ObjectId>> pairs(count);
    for (uint64_t i = 0; i < count; ++i) {
      pairs[i] = {Put(2 * i, kPart), Put(2 * i + 1, kPart)};
      EXPECT_OK(Evict(pairs[i]));
    }
    for (const auto& pair : pairs) EXPECT_OK(Load({pair[0]}));
    return pairs;
  }
  std::vector<Reader> OpenFirsts(const std::vector<std::vector<ObjectId>>& pairs) {
    std::vector<Reader> readers;
    for (const auto& pair : pairs) readers.push_back(Open(pair[0]));
    return readers;
  }
  /// A load whose extents were all in memory when it was told so.
  struct Whole {
    Outcome outcome;
    bool together = false;
  };
  uint64_t LoadWhole(const std::vector<ObjectId>& blobs, Whole& whole) {
    return spiller().Load(blobs, kNever, [this, blobs, &whole](Status status) {
      whole.together =
          std::ranges::all_of(blobs, [this](ObjectId blob) { return IsInMemory(extent(blob)); });
      whole.outcome.Callback()(std::move(status));
    });
  }
  /// All that comes of time alone.
  void RunOn() {
    for (int i = 0; i < 20; ++i) {
      Run();
      store().Tick(os::Clock::now() + std::chrono::hours(++hours_));
    }
    Run();
  }

 private:
  int hours_ = 0;
};

TEST_F(LoadingTogether, TwoThatCrossBothGetAllTheyWant) {
  const auto pairs = PutPairs(2);
  for (int round = 0; round < 10; ++round) {
    Whole first;
    Whole second;
    {
      const std::vector<Reader> readers = OpenFirsts(pairs);  // until both wait
      LoadWhole(pairs[0], first);
      LoadWhole(pairs[1], second);
      Run();
    }
    RunOn();
    for (const Whole* whole : {&first, &second}) {
      EXPECT_EQ(whole->outcome.calls, 1);
      EXPECT_OK(whole->outcome.status);
      EXPECT_TRUE(whole->together);
    }
    ASSERT_EQ(store().budget().waiting(), 0u);
    // As at first, for the next round.
    ASSERT_OK(Evict({pairs[0][1], pairs[1][1]}));
    for (const auto& pair : pairs) ASSERT_OK(Load({pair[0]}));
  }
  for (uint64_t i = 0; i < 4; ++i) ExpectBytes(pairs[i / 2][i % 2], i, kPart);
}

TEST_F(LoadingTogether, ALoadDoesNotHoldWhatAPutBeforeItWaitsFor) {
  const auto pairs = PutPairs(1);
  Result<Extent*> made = Status::Internal("no answer");
  Whole whole;
  {
    const std::vector<Reader> readers = OpenFirsts(pairs);  // until both wait
    store().Reserve(volume(), client_, 12 * kMi, kNever,
                    [&](Result<Extent*> r) { made = std::move(r); });
    LoadWhole(pairs[0], whole);
    Run();
  }
  RunOn();
  ASSERT_OK(made);
  EXPECT_EQ(whole.outcome.calls, 0);
  store().Abort(**made);
  RunOn();
  EXPECT_EQ(whole.outcome.calls, 1);
  EXPECT_OK(whole.outcome.status);
  EXPECT_TRUE(whole.together);
}

TEST_F(LoadingTogether, WhatTheFirstInTheLineHasInMemoryStaysThere) {
  const auto pairs = PutPairs(1);
  const ObjectId other = Put(10, 6 * kMi);
  ASSERT_TRUE(IsInMemory(extent(pairs[0][0])));
  std::optional<Reader> reader(Open(other));
  Whole whole;
  LoadWhole(pairs[0], whole);
  RunOn();
  EXPECT_EQ(whole.outcome.calls, 0);
  EXPECT_EQ(StateOf(pairs[0][0]), ExtentState::kSealed);
  EXPECT_CODE(kFailedPrecondition, Evict({pairs[0][0]}));
  reader.reset();
  RunOn();
  EXPECT_OK(whole.outcome.status);
  EXPECT_TRUE(whole.together);
  ExpectBytes(other, 10, 6 * kMi);
}

TEST_F(LoadingTogether, PartsThatNeverFitTogetherAreRefusedAtOnceWithFigures) {
  std::vector<ObjectId> parts;
  for (uint64_t i = 0; i < 3; ++i) {
    parts.push_back(Put(i, kPart));
    ASSERT_OK(Evict({parts.back()}));
  }
  Outcome outcome;
  EXPECT_FALSE(store().IsWaiting(spiller().Load(parts, kNever, outcome.Callback())));
  EXPECT_EQ(outcome.calls, 1);
  EXPECT_CODE(kOutOfMemory, outcome.status);
  EXPECT_THAT(outcome.status.message(), HasSubstr("3 blobs are wanted in memory together"));
  EXPECT_THAT(outcome.status.message(), HasSubstr("15 MiB"));
  EXPECT_THAT(outcome.status.message(), HasSubstr("13 MiB"));
  for (const ObjectId part : parts) {
    EXPECT_EQ(StateOf(part), ExtentState::kSpilled);
    EXPECT_EQ(extent(part).held, 0u);
  }
  for (uint64_t i = 0; i < 3; ++i) ExpectBytes(parts[i], i, kPart);
}

TEST_F(LoadingTogether, WhenTheFirstGivesUpTheNextAsksInItsPlace) {
  const auto pairs = PutPairs(1);
  const ObjectId other = Put(10, 6 * kMi);
  ASSERT_OK(Evict({pairs[0][0]}));
  std::optional<Reader> reader(Open(other));
  Whole first;
  Whole second;
  Whole third;
  const uint64_t ticket = LoadWhole(pairs[0], first);
  LoadWhole(pairs[0], second);
  LoadWhole({pairs[0][1]}, third);
  EXPECT_EQ(store().budget().Wanted(os::Clock::now()), 2 * kPart) << "once";
  store().CancelReserve(ticket);
  EXPECT_EQ(store().budget().Wanted(os::Clock::now()), 2 * kPart);
  reader.reset();
  RunOn();
  EXPECT_EQ(first.outcome.calls, 0);
  EXPECT_TRUE(second.together && third.together);
  EXPECT_EQ(machine_->disk().reads, 1 + 2) << "once for both, after PutPairs";
  EXPECT_EQ(store().budget().waiting(), 0u);
}

TEST_F(LoadingTogether, AnyLoadsAndPutsAmongEachOtherAllEnd) {
  std::mt19937_64 random(11);
  std::vector<ObjectId> blobs;
  for (uint64_t i = 0; i < 8; ++i) blobs.push_back(Put(i, 1 * kMi + random() % (3 * kMi)));
  for (int round = 0; round < 60; ++round) {
    std::vector<Whole> wholes(6);
    std::vector<Result<Extent*>> made(2, Status::Internal("no answer"));
    std::vector<uint64_t> tickets;
    if (round % 3 == 0) machine_->disk().Pause();
    for (size_t i = 0; i < wholes.size(); ++i) {
      std::vector<ObjectId> some;
      for (uint64_t n = 1 + random() % 2; n > 0; --n) some.push_back(blobs[random() % 8]);
      tickets.push_back(LoadWhole(some, wholes[i]));
      if (i % 3 == 0) {
        store().Reserve(volume(), client_, kMi + random() % (10 * kMi), kNever,
                        [&, i](Result<Extent*> r) {
                          made[i / 3] = std::move(r);
                          if (made[i / 3].ok()) store().Abort(**made[i / 3]);
                        });
      }
      if (random() % 4 == 0) Run();
    }
    const size_t given_up = random() % wholes.size();
    const bool gives_up = wholes[given_up].outcome.calls == 0;
    store().CancelReserve(tickets[given_up]);
    if (random() % 4 == 0) {
      spiller().Evict(std::vector{blobs[random() % 8]}, kNever, [](const Status&) {});
    }
    machine_->disk().Resume();
    RunOn();
    for (size_t i = 0; i < wholes.size(); ++i) {
      EXPECT_EQ(wholes[i].outcome.calls, gives_up && i == given_up ? 0 : 1) << round << ":" << i;
      if (wholes[i].outcome.calls > 0) {
        EXPECT_OK(wholes[i].outcome.status);
      }
      EXPECT_EQ(wholes[i].together, wholes[i].outcome.calls > 0);
    }
    for (const auto& one : made) EXPECT_OK(one);
    for (const ObjectId blob : blobs) {
      EXPECT_EQ(extent(blob).held, 0u);
      EXPECT_EQ(extent(blob).asked_by, 0u);
    }
    ASSERT_EQ(store().budget().waiting(), 0u) << "round " << round;
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
}

// ---- in turns

TEST_F(SpillingTest, ThoseWhoWaitForOneExtentAreToldSomeInATurn) {
  constexpr int kMany = 500;
  const ObjectId blob = Put(1);
  ASSERT_OK(Evict({blob}));
  int told = 0;
  for (int i = 0; i < kMany; ++i) {
    spiller().Load(std::vector{blob}, kNever, [&](const Status& status) {
      EXPECT_OK(status);
      EXPECT_TRUE(IsInMemory(extent(blob)));
      ++told;
    });
  }
  int most = 0;
  for (int before = 0; machine_->Step(); before = told) {
    most = std::max(most, told - before);
  }
  EXPECT_EQ(told, kMany);
  EXPECT_LE(most, 64);
  EXPECT_EQ(extent(blob).held, 0u);
}

TEST_F(SpillingTest, WhoHasBeenAnsweredInWordsOnlyMayStillGiveUp) {
  const ObjectId blob = Put(1);
  ASSERT_OK(Evict({blob}));
  std::vector<Outcome> outcomes(100);
  std::vector<uint64_t> tickets;
  tickets.reserve(outcomes.size());
  for (Outcome& outcome : outcomes) {
    tickets.push_back(spiller().Load(std::vector{blob}, kNever, outcome.Callback()));
  }
  while (outcomes[0].calls == 0 && machine_->Step()) {
  }
  ASSERT_EQ(outcomes[99].calls, 0) << "its turn has not come";
  EXPECT_TRUE(store().IsWaiting(tickets[99]));
  store().CancelReserve(tickets[99]);
  Run();
  EXPECT_EQ(outcomes[98].calls, 1);
  EXPECT_EQ(outcomes[99].calls, 0);
  EXPECT_EQ(extent(blob).held, 0u);
}

}  // namespace
}  // namespace vineyard::store
