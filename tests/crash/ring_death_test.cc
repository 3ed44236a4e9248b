// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Engines that die or stop, and clients that fork, close and give up, while requests are in the ring.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "crash/workload.h"
#include "os/processor.h"
#include "testing/raw_ring.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

using std::chrono::milliseconds;

class RingDeath : public ::testing::Test {
 protected:
  void SetUp() override {
    if (os::UsableProcessors() < 2) GTEST_SKIP() << "no rings on one processor";
  }
  // So many in a row are a burst, unless this process is held up; then the next may be.
  static bool ComesIntoABurst(Client& client) {
    return Eventually([&] {
      for (uint64_t i = 0; i < 32; ++i) EXPECT_OK(PutPattern(client, i, 100, "burst"));
      return MappedRings(::getpid()) > 0;
    });
  }
  TestDaemon daemon_;
};

TEST_F(RingDeath, AnEngineKilledWhileRequestsAreInTheRingAnswersEachOnce) {
  Client client = daemon_.Connect();
  ASSERT_TRUE(ComesIntoABurst(client));
  std::atomic<bool> stop{false};
  std::thread killing([&] {
    for (int i = 0; i < 5 * Scale(); ++i) {
      std::this_thread::sleep_for(milliseconds(40));
      daemon_.KillEngine();
    }
    stop = true;
  });
  const auto bytes = Pattern(1, 100);
  std::vector<ObjectBuilder> builders;
  for (int i = 0; i < 50; ++i) builders.emplace_back("test").AddBuffer(bytes);
  uint64_t version = 0;
  while (!stop) {
    // Each takes effect once, or the version would tell.
    for (int i = 0; i < 20; ++i, ++version) ASSERT_OK(PutPattern(client, 1, 100, "once"));
    ASSERT_EQ(client.GetName("once").value().version, version);
    const std::vector<std::string> names(builders.size(), "once");
    for (const auto& id : client.PutMany(builders, names)) ASSERT_OK(id);
    version += builders.size();
    ASSERT_EQ(client.GetName("once").value().version, version);
  }
  killing.join();
  EXPECT_TRUE(ComesIntoABurst(client));
}

TEST_F(RingDeath, AChildForkedDuringABurstHasNoRingAndGoesOn) {
  Client client = daemon_.Connect();
  ASSERT_TRUE(ComesIntoABurst(client));
  std::atomic<bool> stop{false};
  std::thread burst([&] {
    while (!stop) ASSERT_OK(PutPattern(client, 1, 100, "of the parent"));
  });
  for (int i = 0; i < 20; ++i) {
    Child child([&] {
      if (MappedRings(::getpid()) != 0) return 1;
      for (int n = 0; n < 40; ++n) {
        if (!PutPattern(client, 2, 100, "of the child").ok()) return 2;
      }
      return HoldsPattern(client.Get("of the child"), 2, 100) ? 0 : 3;
    });
    EXPECT_EQ(child.Wait(), 0);
  }
  stop = true;
  burst.join();
  EXPECT_TRUE(HoldsPattern(client.Get("of the parent"), 1, 100));
}

// More than the ring holds, for an engine that takes nothing.
class FullRing : public RingDeath {
 protected:
  static constexpr size_t kCount = 10;
  FullRing() {
    for (size_t i = 0; i < kCount; ++i) builders_.emplace_back("test").AddBuffer(bytes_);
  }
  const std::vector<std::byte> bytes_ = Pattern(1, size_t{20} << 10);
  std::vector<ObjectBuilder> builders_;
};

TEST_F(FullRing, TheDeadlineEndsTheWaitForRoom) {
  Client client = daemon_.Connect();
  ASSERT_TRUE(ComesIntoABurst(client));
  daemon_.PauseEngine();
  for (const auto& id : client.PutMany(builders_, {}, {.timeout = milliseconds(100)})) {
    EXPECT_CODE(kDeadlineExceeded, id);
  }
  daemon_.ResumeEngine();
  EXPECT_OK(PutPattern(client, 2, 100, "after"));
  EXPECT_TRUE(HoldsPattern(client.Get("after"), 2, 100));
  EXPECT_TRUE(ComesIntoABurst(client));
}

TEST_F(FullRing, AnInterruptEndsTheWaitForRoom) {
  std::atomic<bool> interrupt{false};
  auto client = Client::Connect(
      ConnectOptions{.socket = daemon_.socket(), .interrupted = [&] { return interrupt.load(); }});
  ASSERT_OK(client);
  ASSERT_TRUE(ComesIntoABurst(*client));
  daemon_.PauseEngine();
  interrupt = true;
  for (const auto& id : client->PutMany(builders_)) EXPECT_CODE(kCancelled, id);
  interrupt = false;
  daemon_.ResumeEngine();
  EXPECT_OK(PutPattern(*client, 2, 100));
}

TEST_F(FullRing, ClosingFromAnotherThreadEndsTheWaitForRoom) {
  Client client = daemon_.Connect();
  ASSERT_TRUE(ComesIntoABurst(client));
  daemon_.PauseEngine();
  std::thread waiting([&] {
    for (const auto& id : client.PutMany(builders_)) EXPECT_FALSE(id.ok());
  });
  std::this_thread::sleep_for(milliseconds(50));
  client.Close();
  waiting.join();
  daemon_.ResumeEngine();
  Client other = daemon_.Connect();
  EXPECT_OK(PutPattern(other, 2, 100));
}

TEST_F(RingDeath, ClosingDuringABurstEndsIt) {
  for (int i = 0; i < 10; ++i) {
    Client client = daemon_.Connect();
    std::atomic<uint64_t> put{0};
    std::thread burst([&] {
      while (PutPattern(client, 1, 100, "burst").ok()) ++put;
    });
    while (put < 50) std::this_thread::yield();
    client.Close();
    burst.join();
  }
  Client client = daemon_.Connect();
  EXPECT_TRUE(Eventually([&] { return client.GetStatus()->connections == 1; }));
  EXPECT_TRUE(HoldsPattern(client.Get("burst"), 1, 100));
}

}  // namespace
}  // namespace vineyard::testing
