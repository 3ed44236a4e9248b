// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What lives with its client: it goes with that, or a stated time later, whatever becomes of the engine.
#include <chrono>
#include <csignal>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

class Leases : public ::testing::Test {
 protected:
  /// A process whose client has put one of each, and that does nothing more.
  void StartOther() {
    Bell ready;
    other_.emplace([&] {
      Client client = daemon_.Connect();
      const auto pattern = Pattern(1, kLarge);
      ObjectBuilder large("large");
      large.AddBuffer(std::span(pattern));
      bool good =
          client.Put(ObjectBuilder("a"), {.name = "with it", .linger = milliseconds(0)}).ok();
      good &= client.Put(large, {.linger = milliseconds(0)}).ok();
      good &= client.Put(ObjectBuilder("b"), {.name = "longer", .linger = hours(1)}).ok();
      good &= client.Put(ObjectBuilder("c"), {.linger = hours(1)}).ok();
      good &= client.Put(ObjectBuilder("d"), {.name = "stays"}).ok();
      const auto kept = client.Put(ObjectBuilder("e"));
      good &= kept.ok() && client.PutName("refers", *kept, {.linger = milliseconds(0)}).ok();
      auto unsealed = client.CreateBlob(kTwoChunks);
      good &= unsealed.ok();
      ready.Ring(good ? 1 : 0);
      while (true) ::pause();
      return 0;
    });
    ready.OnlyWait();
    ASSERT_EQ(ready.Wait(), 1U);
    EXPECT_EQ(client_.GetStatus()->leases, 5U);
    EXPECT_EQ(client_.GetStatus()->names, 4U);
  }
  void ExpectAllThere() {
    EXPECT_EQ(client_.GetStatus()->objects, 6U);
    EXPECT_EQ(client_.GetStatus()->leases, 5U);
    std::map<std::string, NameInfo> names;
    const std::vector<NameInfo> listed = client_.ListNames().value();
    for (const NameInfo& info : listed) names[info.name] = info;
    ASSERT_EQ(names.size(), 4U);
    const auto pid = static_cast<uint64_t>(other_->pid());
    EXPECT_EQ(names["with it"].linger, milliseconds(0));
    EXPECT_EQ(names["with it"].client_pid, pid);
    EXPECT_EQ(names["longer"].linger, hours(1));
    EXPECT_EQ(names["longer"].ttl, std::nullopt);
    EXPECT_EQ(names["stays"].linger, std::nullopt);
    EXPECT_EQ(client_.GetName("longer")->linger, hours(1)) << "as a reader of the catalog sees it";
    EXPECT_EQ(client_.GetName("longer")->client_pid, pid);
  }
  void ExpectEnded() {
    // "longer", "stays", and the objects of "refers" and of the one that lingers without a name.
    EXPECT_TRUE(Eventually([&] {
      const InstanceStatus now = client_.GetStatus().value();
      return now.leases == 0 && now.objects == 4 && now.names == 2 && now.blobs == 0;
    }));
    EXPECT_CODE(kNotFound, client_.GetName("with it"));
    EXPECT_CODE(kNotFound, client_.GetName("refers"));
    EXPECT_OK(client_.GetName("stays"));
    const NameInfo longer = client_.GetName("longer").value();
    EXPECT_EQ(longer.linger, std::nullopt);
    EXPECT_EQ(longer.client_pid, 0U);
    ASSERT_TRUE(longer.ttl);
    EXPECT_LE(*longer.ttl, hours(1));
    EXPECT_GT(*longer.ttl, hours(0));
  }

  TestDaemon daemon_;
  Client client_ = daemon_.Connect();
  std::optional<Child> other_;
};

TEST_F(Leases, WhatLivesWithAKilledClientGoesWithItOrWhenItIsToldTo) {
  StartOther();
  ExpectAllThere();
  other_->Kill();
  ExpectEnded();
  // The time is kept, whatever engines come and go.
  const auto left = *client_.GetName("longer")->ttl;
  daemon_.KillEngine();
  EXPECT_LE(*client_.GetName("longer")->ttl, left);
  ASSERT_OK(client_.Upgrade());
  EXPECT_LE(*client_.GetName("longer")->ttl, left);
  ExpectEnded();
}

TEST_F(Leases, ALostConnectionOrAnotherEngineEndsNothing) {
  StartOther();
  daemon_.KillEngine();  // the other process does not even notice
  ExpectAllThere();
  ASSERT_OK(client_.Upgrade());
  ExpectAllThere();
  ASSERT_EQ(::kill(other_->pid(), SIGSTOP), 0);
  daemon_.KillEngine();
  ExpectAllThere();
  other_->Kill();
  ExpectEnded();
}

TEST_F(Leases, AClientThatDiesWhileNoEngineRunsIsNoticed) {
  StartOther();
  daemon_.PauseKeeper();
  daemon_.PauseEngine();
  other_->Kill();
  daemon_.KillEngine();
  daemon_.ResumeKeeper();
  ExpectEnded();
}

TEST_F(Leases, AClosedClientHasEndedThoughItsProcessLives) {
  Client other = daemon_.Connect();
  ASSERT_OK_AND_ASSIGN(const ObjectId id,
                       other.Put(ObjectBuilder("a"), {.linger = milliseconds(0)}));
  ASSERT_OK(other.Put(ObjectBuilder("b"), {.name = "longer", .linger = milliseconds(1)}));
  EXPECT_TRUE(client_.Exists(id).value());
  other.Close();
  EXPECT_TRUE(Eventually([&] {
    return !client_.Exists(id).value() &&
           client_.GetName("longer").status().Is(StatusCode::kNotFound);
  }));
  EXPECT_EQ(client_.GetStatus()->objects, 0U);
}

TEST_F(Leases, WhatWasGotBeforeStaysReadable) {
  std::optional<Client> other = daemon_.Connect();
  const auto pattern = Pattern(7, kLarge);
  ObjectBuilder builder("large");
  builder.AddBuffer(std::span(pattern));
  ASSERT_OK_AND_ASSIGN(const ObjectId id, other->Put(builder, {.linger = milliseconds(0)}));
  ASSERT_OK_AND_ASSIGN(const Object got, client_.Get(id));
  other.reset();
  EXPECT_TRUE(Eventually([&] { return !client_.Exists(id).value(); }));
  EXPECT_TRUE(IsPattern(got.buffers()[0].bytes(), 7));
}

TEST_F(Leases, ANegativeTimeIsRefused) {
  EXPECT_CODE(kInvalid, client_.Put(ObjectBuilder("x"), {.linger = milliseconds(-1)}));
  ASSERT_OK_AND_ASSIGN(const ObjectId id, client_.Put(ObjectBuilder("x")));
  EXPECT_CODE(kInvalid, client_.PutName("n", id, {.linger = milliseconds(-1)}));
  ASSERT_OK(client_.PutName("n", id, {.linger = milliseconds::max()}));
  EXPECT_GT(*client_.GetName("n")->linger, hours(24 * 365 * 99)) << "a century is all there is";
}

}  // namespace
}  // namespace vineyard::testing
