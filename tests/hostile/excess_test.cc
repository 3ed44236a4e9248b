// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Too much of anything: what one client piles up is bounded, and holds up nobody else.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "hostile/hostile.h"
#include "os/fd.h"

namespace vineyard::testing {
namespace {

TEST_F(Hostile, AReaderThatNeverDrainsItsSocketHoldsUpNobody) {
  const size_t size = size_t{200} << 10;
  auto id = PutPattern(client_, 9, size);
  ASSERT_OK(id);
  RawClient raw = Raw();
  const Bytes get = MakeFrame(fb::RequestBody::Get, [&](Builder& b) {
    return fb::CreateGet(b, id->value(), 0, false, 0, false).Union();
  });
  const pid_t engine = daemon_.engine();
  const uint64_t before = ResidentBytes(engine);
  // Until neither side takes any more.
  uint64_t sent = 0;
  for (int quiet = 0; quiet < 20;) {
    const size_t now = raw.SendSome(get);
    if (now == 0) {
      ++quiet;
      ASSERT_TRUE(HoldsPattern(client_.Get("large"), 2, kLarge));
      ASSERT_OK(client_.GetStatus());
    } else {
      ASSERT_EQ(now, get.size());
      ++sent;
      quiet = 0;
    }
  }
  ExpectUnharmed();
  if (!IsInstrumented()) {
    EXPECT_LT(ResidentBytes(engine), before + (uint64_t{64} << 20));
  }
  // Late, but all there.
  for (uint64_t i = 0; i < sent; ++i) {
    const auto reply = raw.Receive();
    ASSERT_TRUE(reply);
    ASSERT_EQ(reply->code(), StatusCode::kOk);
  }
}

struct Descriptors {
  uint64_t all = 0;
  uint64_t sockets = 0;  // each connection, and each volume, has two of its socket
};

Descriptors DescriptorsOf(pid_t pid) {
  Descriptors count;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone);
    ++count.all;
    if (target.string().starts_with("socket:")) ++count.sockets;
  }
  return count;
}

// Each of these clients asks for thousands of descriptors, and reads none. What the kernel lets lie unread is for all
// of the user's processes together.
TEST_F(Hostile, DescriptorsThatNobodyTakesKeepNobodyFromTheirs) {
  std::vector<uint64_t> blobs;
  for (uint64_t i = 0; i < 200; ++i) {
    ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(client_, i, size_t{300} << 10));
    blobs.push_back(id.own_blob().value());
  }
  const Bytes open = MakeFrame(fb::RequestBody::OpenExtents, [&](Builder& b) {
    return fb::CreateOpenExtents(b, b.CreateVector(blobs)).Union();
  });
  const auto ask_in_vain = [&](std::vector<RawClient>* greedy, int clients) {
    for (int i = 0; i < clients; ++i) {
      RawClient& raw = greedy->emplace_back(Raw());
      for (int j = 0; j < 100; ++j) raw.SendSome(open);
    }
  };
  const Descriptors before =
      DescriptorsOf(daemon_.engine());  // then one more volume listens, with one client
  std::vector<RawClient> greedy;
  ask_in_vain(&greedy, 120);
  // Those who say that they have nothing more to ask are closed here, unread: they count all the same.
  for (RawClient& raw : greedy) raw.EndSending();
  ask_in_vain(&greedy, 10);
  ExpectUnharmed();
  // Answers that wait have theirs open here.
  constexpr uint64_t kOfConnection = 4;
  EXPECT_LE(DescriptorsOf(daemon_.engine()).all,
            before.all + kOfConnection * greedy.size() + os::FdLimit() / 8);
  const std::string path = daemon_.folder() + "/other";
  ASSERT_OK(client_.CreateVolume("other", path, 0));
  ASSERT_OK_AND_ASSIGN(Client other, Client::Connect(path + "/vineyard.sock"));
  for (uint64_t i = 0; i < 20; ++i) {
    ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(other, i, kLarge));
    EXPECT_TRUE(HoldsPattern(other.Get(id), i, kLarge));
  }
  greedy.clear();
  EXPECT_TRUE(
      Eventually([&] { return DescriptorsOf(daemon_.engine()).sockets == before.sockets + 4; }));
  ExpectUnharmed();
}

// The answer to its wait, which its own put ends, is what shows that it has gone: in the midst of the put.
TEST_F(Hostile, AClientMayDieBeforeItsOwnPutIsCarriedOut) {
  Bell connected;
  Bell go;
  Bell sent;
  Child victim([&] {
    RawClient raw = Raw();
    const auto reserved = raw.Ask(ReserveFrame(100));
    if (!reserved || reserved->body().body_as_Reserved() == nullptr) return 1;
    const uint64_t blob = reserved->body().body_as_Reserved()->extent()->blob();
    Bytes frames = GetByNameFrame("mine", true, 2);
    const Bytes put = PutFrame({.name = "mine", .reservation = blob}, {.id = 3, .payload = {}});
    frames.insert(frames.end(), put.begin(), put.end());
    connected.Ring();
    if (!go.Wait()) return 2;
    if (!raw.Send(frames)) return 3;
    sent.Ring();
    ::pause();
    return 0;
  });
  ASSERT_TRUE(connected.Wait());
  daemon_.PauseEngine();
  go.Ring();
  ASSERT_TRUE(sent.Wait());
  victim.Kill();
  daemon_.ResumeEngine();
  ASSERT_OK(client_.Get("mine", {.wait = true}));
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus()->connections == 1; }));
  ExpectUnharmed();
}

TEST_F(Hostile, WaitsDoNotPileUpWithoutEnd) {
  RawClient raw = Raw();
  constexpr int kMany = 20'000;
  Bytes frames;
  for (uint64_t i = 1; i <= kMany; ++i) {
    const Bytes frame = GetByNameFrame("nobody puts this", true, i);
    frames.insert(frames.end(), frame.begin(), frame.end());
  }
  const Bytes last = StatusFrame(kMany + 1);
  frames.insert(frames.end(), last.begin(), last.end());
  ASSERT_TRUE(raw.Send(frames));
  uint64_t refused = 0;
  while (true) {
    const auto reply = raw.Receive();
    ASSERT_TRUE(reply);
    if (reply->id == kMany + 1) break;
    EXPECT_EQ(reply->code(), StatusCode::kLimitExceeded);
    ++refused;
  }
  EXPECT_GT(refused, 0U);
  EXPECT_LT(client_.GetStatus().value().waiting, static_cast<uint64_t>(kMany));
  raw.Close();
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus().value().waiting == 0; }));
  ExpectUnharmed();
}

TEST_F(Hostile, ReservationsOfNothingDoNotPileUpWithoutEnd) {
  RawClient raw = Raw();
  constexpr int kMany = 20'000;
  const Bytes reserve = ReserveFrame(1);
  int refused = 0;
  for (int i = 0; i < kMany && refused == 0; ++i) {
    const auto reply = raw.Ask(reserve);
    ASSERT_TRUE(reply);
    if (reply->code() == StatusCode::kOk) continue;
    EXPECT_EQ(reply->code(), StatusCode::kLimitExceeded);
    ++refused;
  }
  EXPECT_EQ(refused, 1);
  ExpectUnharmed();
}

TEST_F(Hostile, ManyConnectionsAreServedAndForgotten) {
  // Note [Descriptors are shared out]; the daemon has this process's limit.
  const uint64_t many = std::min<uint64_t>(600, os::RaiseFdLimit() / 2 / 6 * 3 / 4 - 10);
  const uint64_t before = client_.GetStatus().value().connections;
  {
    std::vector<RawClient> greeted;
    for (uint64_t i = 0; i < many; ++i) greeted.push_back(Raw());
    for (RawClient& raw : greeted) {
      const auto reply = raw.Ask(StatusFrame());
      ASSERT_TRUE(reply);
      ASSERT_EQ(reply->code(), StatusCode::kOk);
    }
    ExpectUnharmed();
    EXPECT_GE(client_.GetStatus().value().connections, many);
  }
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus().value().connections == before; }));
  ExpectUnharmed();
}

TEST_F(Hostile, OneThatWaitsHoldsUpNobodyOnItsOwnConnection) {
  RawClient raw = Raw();
  raw.Send(GetByNameFrame("later", true, 5));
  raw.Send(StatusFrame(6));
  const auto status = raw.Receive();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->id, 6U);
  ASSERT_OK(PutPattern(client_, 1, 10, "later"));
  const auto got = raw.Receive();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->id, 5U);
  EXPECT_EQ(got->code(), StatusCode::kOk);
}

}  // namespace
}  // namespace vineyard::testing
