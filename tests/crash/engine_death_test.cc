// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The engine dies while clients are in the middle of something: they go on with the next one.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "crash/workload.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

TEST(EngineDeath, ManyRestartsLeaveNoTrail) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  ASSERT_OK(PutPattern(client, 1, kSmall, "small"));
  ASSERT_OK(PutPattern(client, 2, kLarge, "large"));
  daemon.KillEngine();
  ASSERT_OK(client.GetStatus());
  const auto held = [&] { return client.GetStatus().value().memory_held; };
  const uint64_t after_one = Settled(held);
  for (int i = 0; i < 20 * Scale(); ++i) {
    daemon.KillEngine();
    ASSERT_TRUE(HoldsPattern(client.Get("small"), 1, kSmall));
    ASSERT_TRUE(HoldsPattern(client.Get("large"), 2, kLarge));
  }
  EXPECT_EQ(Settled(held), after_one);
  EXPECT_LT(OpenDescriptors(daemon.keeper()), 64U);
}

TEST(EngineDeath, AWriterKeepsWhatItReservedAndGoesOn) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  auto large = client.CreateBlob(kTwoChunks);
  ASSERT_OK(large);
  auto small = client.CreateBlob(kSmall);
  ASSERT_OK(small);
  std::ranges::copy(Pattern(1, kTwoChunks), large->data());
  daemon.KillEngine();
  std::ranges::copy(Pattern(2, kSmall), small->data());
  auto sealed_large = client.Seal(std::move(*large));
  ASSERT_OK(sealed_large);
  daemon.KillEngine();
  auto sealed_small = client.Seal(std::move(*small));
  ASSERT_OK(sealed_small);
  EXPECT_TRUE(IsPattern(sealed_large->bytes(), 1));
  EXPECT_TRUE(IsPattern(sealed_small->bytes(), 2));
  auto again = daemon.Connect().GetBlob(sealed_large->id());
  ASSERT_OK(again);
  EXPECT_TRUE(IsPattern(again->bytes(), 1));
}

// Another engine can't tell it from a reservation of the client's, who is alive, and says nothing any more.
TEST(EngineDeath, WhatWasBeingFreedIsFreedHoweverSilentItsWriterIs) {
  TestDaemon daemon({.environment = {{"VINEYARD_CRASH_AT", "free.begin:1"}}});
  Client deleter = daemon.Connect();
  const Figures start = FiguresOf(deleter);
  Client writer = daemon.Connect();
  auto id = PutPattern(writer, 1, kLarge, "");
  ASSERT_OK(id);
  ASSERT_OK(deleter.Delete({*id}));
  Figures now;
  EXPECT_TRUE(Eventually([&] { return (now = FiguresOf(deleter)) == start; })) << now;
  EXPECT_EQ(deleter.GetStatus()->generation, 2U) << "it did not die there";
  ASSERT_OK(writer.GetStatus());
}

// As above, and somebody reads it still: it is freed once it is not read.
TEST(EngineDeath, WhatWasBeingFreedLastsForItsReaders) {
  TestDaemon daemon({.environment = {{"VINEYARD_CRASH_AT", "free.begin:1"}}});
  Client deleter = daemon.Connect();
  const Figures start = FiguresOf(deleter);
  Client writer = daemon.Connect();
  auto id = PutPattern(writer, 1, kLarge, "");
  ASSERT_OK(id);
  {
    auto object = deleter.Get(*id);
    ASSERT_OK(object);
    ASSERT_OK(deleter.Delete({*id}));
    EXPECT_EQ(deleter.GetStatus()->generation, 2U) << "it did not die there";
    EXPECT_GE(FiguresOf(deleter).usage, kLarge);
    EXPECT_TRUE(HoldsPattern(object, 1, kLarge));
  }
  Figures now;
  EXPECT_TRUE(Eventually([&] { return (now = FiguresOf(deleter)) == start; })) << now;
  ASSERT_OK(writer.GetStatus());
}

TEST(EngineDeath, AWaitForANameGoesOn) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  std::atomic<bool> waits{false};
  std::thread waiter([&] {
    Client mine = daemon.Connect();
    waits = true;
    EXPECT_TRUE(HoldsPattern(mine.Get("late", {.wait = true}), 5, kLarge));
  });
  while (!waits) std::this_thread::yield();
  EXPECT_TRUE(Eventually([&] { return FiguresOf(client).waiting == 1; }));
  daemon.KillEngine();
  EXPECT_TRUE(Eventually([&] { return FiguresOf(client).waiting == 1; }));
  EXPECT_OK(PutPattern(client, 5, kLarge, "late"));
  waiter.join();
}

TEST(EngineDeath, ManyThreadsOfOneClientGoOn) {
  TestDaemon daemon({.size = "1Gi"});
  Client client = daemon.Connect();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      uint64_t version = 0;
      const std::string name = fmt::format("thread {}", t);
      while (!stop) {
        const size_t size = version % 3 == 0 ? kLarge : kSmall;
        auto id = PutPattern(client, version + t, size, name);
        ASSERT_OK(id);
        ++version;
        auto info = client.GetName(name);
        ASSERT_OK(info);
        ASSERT_EQ(info->version, version);
        ASSERT_EQ(info->id, *id);
        ASSERT_TRUE(HoldsPattern(client.Get(name), version - 1 + t, size));
      }
    });
  }
  for (int i = 0; i < 8 * Scale(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    daemon.KillEngine();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(FiguresOf(client).objects, threads.size());
}

}  // namespace
}  // namespace vineyard::testing
