// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Memory that is made ahead of need: who sees it, who gets it, and what becomes of it.
#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/process.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using testing::Eventually;
using testing::HoldsPattern;
using testing::PutPattern;
using testing::TestDaemon;

constexpr uint64_t kMiB = uint64_t{1} << 20;

class ReadyMemory : public ::testing::Test {
 protected:
  InstanceStatus Now() {
    auto status = client_.GetStatus();
    EXPECT_OK(status);
    return status.ok() ? *status : InstanceStatus();
  }
  bool BecomesReady(uint64_t bytes) {
    return Eventually([&] { return Now().memory_ready >= bytes; });
  }
  /// The process that touches pages for the engine.
  static pid_t Toucher(pid_t engine) {
    std::ifstream children("/proc/" + std::to_string(engine) + "/task/" + std::to_string(engine) +
                           "/children");
    pid_t pid = 0;
    children >> pid;
    return pid;
  }

  TestDaemon daemon_{{.size = "64Mi"}};
  Client client_ = daemon_.Connect();
};

TEST_F(ReadyMemory, IsMadeForWhatWasPutLatelyAndCountedApart) {
  const InstanceStatus start = Now();
  EXPECT_EQ(start.memory_ready, 0U);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(client_, seed, 5 * kMiB));
    EXPECT_TRUE(BecomesReady(5 * kMiB));
    EXPECT_GE(Now().memory_usage, start.memory_usage + 5 * kMiB);
    EXPECT_LT(Now().memory_usage, start.memory_usage + 6 * kMiB);
    EXPECT_TRUE(HoldsPattern(client_.Get(id), seed, 5 * kMiB));
    ASSERT_OK(client_.Delete(std::vector{id}));
    EXPECT_TRUE(Eventually([&] { return Now().memory_usage == start.memory_usage; }));
  }
  const InstanceStatus end = Now();
  EXPECT_LE(end.memory_held + end.memory_ready, end.instance_limit);
}

TEST_F(ReadyMemory, IsThereForWhoeverNeedsAllOfTheMemory) {
  ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(client_, 1, 20 * kMiB));
  EXPECT_TRUE(BecomesReady(16 * kMiB));
  ASSERT_OK(client_.Delete(std::vector{id}));
  for (uint64_t seed = 2; seed < 6; ++seed) {
    ASSERT_OK_AND_ASSIGN(const ObjectId all, PutPattern(client_, seed, 60 * kMiB));
    const InstanceStatus now = Now();
    EXPECT_LE(now.memory_held + now.memory_ready, now.instance_limit);
    EXPECT_TRUE(HoldsPattern(client_.Get(all), seed, 60 * kMiB));
    ASSERT_OK(client_.Delete(std::vector{all}));
  }
}

TEST_F(ReadyMemory, GoesWithTheEngineAndWhatIsStoredStays) {
  ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(client_, 1, 5 * kMiB));
  EXPECT_TRUE(BecomesReady(5 * kMiB));
  const pid_t toucher = Toucher(daemon_.engine());
  ASSERT_GT(toucher, 0);
  EXPECT_EQ(os::ProcessName(toucher), "vineyard-pages");
  ASSERT_OK_AND_ASSIGN(const os::UniqueFd ended, os::OpenPidFd(toucher));
  daemon_.KillEngine();
  EXPECT_TRUE(Eventually([&] { return os::HasEnded(ended); }));
  EXPECT_TRUE(HoldsPattern(client_.Get(id), 1, 5 * kMiB));
  EXPECT_EQ(Now().memory_ready, 0U);
  ASSERT_OK(PutPattern(client_, 2, 5 * kMiB));
  EXPECT_TRUE(BecomesReady(5 * kMiB));
}

TEST_F(ReadyMemory, IsMissedByNobodyWhereItsProcessHasDied) {
  const pid_t toucher = Toucher(daemon_.engine());
  ASSERT_GT(toucher, 0);
  ASSERT_OK_AND_ASSIGN(const os::UniqueFd ended, os::OpenPidFd(toucher));
  ::kill(toucher, SIGKILL);
  EXPECT_TRUE(Eventually([&] { return os::HasEnded(ended); }));
  for (uint64_t seed = 0; seed < 5; ++seed) {
    ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(client_, seed, 20 * kMiB));
    EXPECT_TRUE(HoldsPattern(client_.Get(id), seed, 20 * kMiB));
    ASSERT_OK(client_.Delete(std::vector{id}));
  }
  EXPECT_TRUE(Eventually([&] { return Now().memory_ready == 0; }));
}

TEST(ReservedMemory, IsReadyAtOnceAndAgainWhenItIsGivenBack) {
  TestDaemon daemon({.size = "64Mi", .flags = {"--reserve_memory"}});
  Client client = daemon.Connect();
  const uint64_t ready = client.GetStatus()->memory_ready;
  EXPECT_GE(ready, 60 * kMiB);
  ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(client, 1, 20 * kMiB));
  EXPECT_LE(client.GetStatus()->memory_ready, ready - 20 * kMiB);
  ASSERT_OK(client.Delete(std::vector{id}));
  EXPECT_TRUE(Eventually([&] { return client.GetStatus()->memory_ready == ready; }))
      << client.GetStatus()->memory_ready << " of " << ready;
}

}  // namespace
}  // namespace vineyard
