// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "spill/crew.h"

#include <functional>
#include <future>
#include <latch>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "spill/format.h"

namespace vineyard::spill {
namespace {

// A job of pieces that do what the test says.
class Counting : public Job {
 public:
  Counting(uint64_t pieces, std::function<Status(uint64_t)> piece)
      : pieces_(pieces), piece_(std::move(piece)) {}
  Status Wait() { return ended_.get_future().get(); }
  int begun = 0;
  int ended = 0;

 private:
  Result<uint64_t> Begin() override {
    ++begun;
    return pieces_;
  }
  Status Do(uint64_t piece, std::span<std::byte> scratch) override {
    if (scratch.size() != kBlock) return Status::Internal("no scratch");
    return piece_(piece);
  }
  void End(Status status) override {
    ++ended;
    ended_.set_value(std::move(status));
  }

  const uint64_t pieces_;
  const std::function<Status(uint64_t)> piece_;
  std::promise<Status> ended_;
};

std::shared_ptr<Counting> MakeJob(uint64_t pieces, std::function<Status(uint64_t)> piece) {
  return std::make_shared<Counting>(pieces, std::move(piece));
}

TEST(SpillCrew, EveryPieceIsDoneOnceAndTheEndIsToldOnce) {
  const auto crew = Crew::Start({.threads = 4}).value();
  for (const Urgency urgency : {Urgency::kRead, Urgency::kWrite, Urgency::kCheck}) {
    for (const uint64_t pieces : {0U, 1U, 2U, 100U}) {
      std::mutex mutex;
      std::multiset<uint64_t> done;
      const auto job = MakeJob(pieces, [&](uint64_t piece) {
        const std::lock_guard lock(mutex);
        done.insert(piece);
        return Status();
      });
      crew->Add(job, urgency);
      ASSERT_OK(job->Wait());
      ASSERT_EQ(done.size(), pieces);
      for (uint64_t i = 0; i < pieces; ++i) EXPECT_EQ(done.count(i), 1U);
      EXPECT_EQ(job->begun, 1);
      EXPECT_EQ(job->ended, 1);
    }
  }
}

TEST(SpillCrew, AFailureEndsTheJobAndTheFirstPiecesIsTold) {
  const auto crew = Crew::Start({.threads = 4}).value();
  std::atomic<int> done = 0;
  const auto job = MakeJob(100'000, [&](uint64_t piece) {
    ++done;
    return piece < 10 ? Status() : Status::IOError(std::to_string(piece));
  });
  crew->Add(job, Urgency::kWrite);
  const Status status = job->Wait();
  EXPECT_CODE(kIOError, status);
  EXPECT_EQ(status.message(), "10");
  EXPECT_LT(done.load(), 100);
}

TEST(SpillCrew, ASmallJobDoesNotWaitBehindALargeOne) {
  const auto crew = Crew::Start({.threads = 2}).value();
  std::atomic<bool> stop = false;
  const auto large =
      MakeJob(~uint64_t{0}, [&](uint64_t) { return stop ? Status::Cancelled("") : Status(); });
  crew->Add(large, Urgency::kWrite);
  const auto small = MakeJob(3, [](uint64_t) { return Status(); });
  crew->Add(small, Urgency::kWrite);
  EXPECT_OK(small->Wait());
  stop = true;
  EXPECT_CODE(kCancelled, large->Wait());
}

TEST(SpillCrew, NeitherReadingNorWritingNorCheckingIsKeptOutByTheOthers) {
  const auto crew = Crew::Start({.threads = 2}).value();
  std::atomic<bool> stop = false;
  const auto endless = [&](uint64_t) { return stop ? Status::Cancelled("") : Status(); };
  const auto reading = MakeJob(~uint64_t{0}, endless);
  crew->Add(reading, Urgency::kRead);
  const auto write = MakeJob(100, [](uint64_t) { return Status(); });
  crew->Add(write, Urgency::kWrite);
  EXPECT_OK(write->Wait());
  const auto writing = MakeJob(~uint64_t{0}, endless);
  crew->Add(writing, Urgency::kWrite);
  const auto read = MakeJob(100, [](uint64_t) { return Status(); });
  crew->Add(read, Urgency::kRead);
  EXPECT_OK(read->Wait());
  stop = true;
  EXPECT_CODE(kCancelled, reading->Wait());
  EXPECT_CODE(kCancelled, writing->Wait());
}

TEST(SpillCrew, CheckingTakesOneThreadAtMost) {
  const auto crew = Crew::Start({.threads = 4}).value();
  std::atomic<int> now = 0;
  std::atomic<int> most = 0;
  const auto piece = [&](uint64_t) {
    int here = ++now;
    int before = most;
    while (here > before && !most.compare_exchange_weak(before, here)) {
    }
    --now;
    return Status();
  };
  const auto first = MakeJob(2000, piece);
  const auto second = MakeJob(2000, piece);
  crew->Add(first, Urgency::kCheck);
  crew->Add(second, Urgency::kCheck);
  EXPECT_OK(first->Wait());
  EXPECT_OK(second->Wait());
  EXPECT_EQ(most.load(), 1);
}

TEST(SpillCrew, WhatIsCalledOffEndsWhetherItHasBegunOrNot) {
  const auto crew = Crew::Start({.threads = 2}).value();
  std::latch inside(1);
  std::latch go(1);
  const auto begun = MakeJob(~uint64_t{0}, [&](uint64_t piece) {
    if (piece == 0) {
      inside.count_down();
      go.wait();
    }
    return Status();
  });
  crew->Add(begun, Urgency::kWrite);
  inside.wait();
  begun->Cancel();
  const auto never = MakeJob(1000, [](uint64_t) { return Status(); });
  never->Cancel();
  crew->Add(never, Urgency::kWrite);
  EXPECT_CODE(kCancelled, never->Wait());
  EXPECT_EQ(never->begun, 0);
  go.count_down();
  EXPECT_CODE(kCancelled, begun->Wait());
}

TEST(SpillCrew, TheEndOfTheCrewCallsEverythingOff) {
  auto crew = Crew::Start({.threads = 3}).value();
  std::vector<std::shared_ptr<Counting>> jobs;
  for (int i = 0; i < 60; ++i) {
    jobs.push_back(MakeJob(~uint64_t{0}, [](uint64_t) { return Status(); }));
    crew->Add(jobs.back(), static_cast<Urgency>(i % 3));
  }
  crew.reset();
  for (const auto& job : jobs) {
    EXPECT_EQ(job->ended, 1);
    EXPECT_CODE(kCancelled, job->Wait());
  }
}

}  // namespace
}  // namespace vineyard::spill
