// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Clients that are killed: what they had published stays, what they had not is freed.
#include <unistd.h>

#include <algorithm>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/memfd.h"
#include "testing/raw_client.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// What a victim does until it is killed. It rings when it has got there.
int DieHalfWay(const std::string& socket, int how, const Bell& there) {
  const auto stay = [&] {
    there.Ring();
    ::pause();
    return 0;
  };
  if (how == 0) {
    // Sealed, as the last step before it is published.
    RawClient raw(socket, FreshToken());
    const auto reserved = raw.Ask(MakeFrame(fb::RequestBody::Reserve, [](Builder& b) {
      return fb::CreateReserve(b, kMiB + 1, 60'000).Union();
    }));
    if (!reserved || reserved->fds.empty() || !os::SealForever(reserved->fds[0]).ok()) return 1;
    return stay();
  }
  auto connected = Client::Connect(socket);
  if (!connected.ok()) return 2;
  Client client = std::move(*connected);
  auto first = client.CreateBlob(how == 1 ? 100 : 3 * kMiB);
  if (!first.ok()) return 3;
  std::ranges::fill(first->bytes(), std::byte{1});
  if (how == 2) return stay();
  auto second = client.CreateBlob(kMiB);
  return second.ok() ? stay() : 4;
}

TEST(ClientDeath, FiveHundredTimesBetweenReserveAndSealLeavesNothing) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  ASSERT_OK(PutPattern(client, 1, kMiB, "stays"));
  const InstanceStatus start = client.GetStatus().value();
  const size_t engine_fds = Settled([&] { return OpenDescriptors(daemon.engine()); });
  const size_t keeper_fds = Settled([&] { return OpenDescriptors(daemon.keeper()); });
  const int rounds = 500 * Scale();
  constexpr int kAtOnce = 5;
  for (int i = 0; i < rounds; i += kAtOnce) {
    Bell there;
    std::vector<Child> victims;
    for (int n = 0; n < kAtOnce; ++n) {
      victims.emplace_back([&] { return DieHalfWay(daemon.socket(), n % 4, there); });
    }
    for (int n = 0; n < kAtOnce; ++n) ASSERT_TRUE(there.Wait().has_value());
    for (Child& victim : victims) victim.Kill();
  }
  InstanceStatus now;
  EXPECT_TRUE(Eventually([&] {
    now = client.GetStatus().value();
    return now.memory_usage == start.memory_usage && now.memory_held <= start.memory_held &&
           now.memory_lingering == 0 && now.connections == start.connections;
  })) << fmt::format("usage {} of {}, held {} of {}, lingering {}, connections {}",
                     now.memory_usage, start.memory_usage, now.memory_held, start.memory_held,
                     now.memory_lingering, now.connections);
  EXPECT_EQ(now.generation, 1U);
  EXPECT_TRUE(Eventually([&] { return OpenDescriptors(daemon.engine()) <= engine_fds; }));
  EXPECT_TRUE(Eventually([&] { return OpenDescriptors(daemon.keeper()) <= keeper_fds; }));
  EXPECT_TRUE(HoldsPattern(client.Get("stays"), 1, kMiB));
}

TEST(ClientDeath, AtAnyInstantLeavesOnlyWhatWasPublished) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  const uint64_t start = client.GetStatus().value().memory_usage;
  std::mt19937 random(3);
  for (int i = 0; i < 40 * Scale(); ++i) {
    Child victim([&] {
      Client mine = daemon.Connect();
      for (uint64_t n = 0;; ++n) {
        if (!PutPattern(mine, 5, n % 3 == 0 ? 1000 : kMiB, "n").ok()) return 1;
      }
    });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 30'000));
    victim.Kill();
    auto object = client.Get("n");
    if (object.status().Is(StatusCode::kNotFound)) continue;
    ASSERT_OK(object);
    EXPECT_TRUE(IsPattern(object->buffers()[0].bytes(), 5));
    EXPECT_LE(client.GetStatus().value().objects, 1U);
  }
  EXPECT_TRUE(HoldsPattern(client.Get(*PutPattern(client, 6, 10, "n")), 6, 10));
  ASSERT_OK(client.DropName("n"));
  EXPECT_TRUE(Eventually([&] { return client.GetStatus().value().memory_usage == start; }));
}

TEST(ClientDeath, WhileTheEngineIsDeadIsNoticedByTheNextOne) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  const uint64_t start = client.GetStatus().value().memory_usage;
  Bell there;
  Child victim([&] { return DieHalfWay(daemon.socket(), 3, there); });
  Child survivor([&] { return DieHalfWay(daemon.socket(), 2, there); });
  ASSERT_TRUE(there.Wait());
  ASSERT_TRUE(there.Wait());
  daemon.PauseKeeper();
  daemon.KillEngine();
  victim.Kill();
  daemon.ResumeKeeper();
  EXPECT_TRUE(Eventually([&] {
    return client.GetStatus().value().memory_usage == start + 3 * kMiB;
  })) << "what the other one has reserved, which has not been heard of since";
  survivor.Kill();
  EXPECT_TRUE(Eventually([&] { return client.GetStatus().value().memory_usage == start; }));
}

TEST(ClientDeath, ADisconnectAloneFreesNothing) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  const uint64_t start = client.GetStatus().value().memory_usage;
  const Token token = FreshToken();
  const auto reserve = MakeFrame(fb::RequestBody::Reserve, [](Builder& b) {
    return fb::CreateReserve(b, kMiB, 1000).Union();
  });
  uint64_t blob = 0;
  {
    RawClient raw(daemon.socket(), token);
    const auto reserved = raw.Ask(reserve);
    ASSERT_TRUE(reserved);
    blob = reserved->body().body_as_Reserved()->extent()->blob();
  }
  EXPECT_TRUE(Eventually([&] { return client.GetStatus().value().connections == 1; }));
  EXPECT_EQ(client.GetStatus().value().memory_usage, start + kMiB);
  // Reconnected, it claims nothing: then it is given back.
  RawClient again(daemon.socket(), token);
  EXPECT_NE(blob, 0U);
  EXPECT_TRUE(Eventually([&] { return client.GetStatus().value().memory_usage == start; }));
}

}  // namespace
}  // namespace vineyard::testing
