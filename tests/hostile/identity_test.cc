// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Who is who: repeated requests, other processes' tokens, and claims of what is not one's own.
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "hostile/hostile.h"
#include "wire/frame.h"

namespace vineyard::testing {
namespace {

uint64_t DoneId(const std::optional<RawReply>& reply) {
  EXPECT_TRUE(reply.has_value());
  const fb::Done* done = reply ? reply->body().body_as_Done() : nullptr;
  EXPECT_NE(done, nullptr);
  return done == nullptr ? 0 : done->id();
}

TEST_F(Hostile, ARepeatedChangeGetsItsFirstAnswer) {
  const Token token = FreshToken();
  const Bytes put = PutFrame({.number = 1, .name = "once"});
  const Bytes put_name = MakeFrame(fb::RequestBody::PutName, [&](Builder& b) {
    return fb::CreatePutName(b, 2, b.CreateString("twice"), large_.value()).Union();
  });
  uint64_t id = 0;
  const auto repeat = [&](RawClient& raw) {
    for (int i = 0; i < 3; ++i) {
      const auto reply = raw.Ask(put);
      EXPECT_EQ(DoneId(reply), id);
      EXPECT_EQ(reply->body().body_as_Done()->value(), 1U);
      const auto named = raw.Ask(put_name);
      EXPECT_EQ(DoneId(named), large_.value());
      EXPECT_EQ(named->body().body_as_Done()->value(), 1U);
    }
    EXPECT_EQ(client_.GetName("once").value().version, 1U);
    EXPECT_EQ(client_.GetName("twice").value().version, 1U);
  };
  {
    RawClient raw(daemon_.socket(), token);
    id = DoneId(raw.Ask(put));
    repeat(raw);
  }
  {
    RawClient again(daemon_.socket(), token);
    repeat(again);
  }
  ExpectUnharmed();
  daemon_.KillEngine();
  RawClient after(daemon_.socket(), token);
  repeat(after);
  // Once acknowledged, the number can't be used again.
  const auto reply = after.Ask(PutFrame({.number = 1}, {.acknowledged = 1}));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->code(), StatusCode::kProtocol);
  EXPECT_EQ(client_.GetStatus().value().objects, 3U);
}

TEST_F(Hostile, ATokenOfAnotherProcessIsRefused) {
  const Token token = FreshToken();
  RawClient owner(daemon_.socket(), token);
  const uint64_t id = DoneId(owner.Ask(PutFrame({.number = 1})));
  Child thief([&] {
    RawClient raw(daemon_.socket());
    const auto reply = raw.Ask(HelloFrame(token));
    if (!reply || reply->code() != StatusCode::kPermissionDenied) return 1;
    // And it has no rights without one.
    const auto put = raw.Ask(PutFrame({.number = 1}));
    return put && put->code() == StatusCode::kProtocol ? 0 : 2;
  });
  EXPECT_EQ(thief.Wait(), 0);
  EXPECT_EQ(DoneId(owner.Ask(PutFrame({.number = 1}))), id);
  daemon_.KillEngine();
  Child later([&] {
    RawClient raw(daemon_.socket());
    const auto reply = raw.Ask(HelloFrame(token));
    return reply && reply->code() == StatusCode::kPermissionDenied ? 0 : 1;
  });
  EXPECT_EQ(later.Wait(), 0);
  RawClient again(daemon_.socket(), token);
  EXPECT_EQ(DoneId(again.Ask(PutFrame({.number = 1}))), id);
}

TEST_F(Hostile, AClaimOfWhatWasNeverReservedGivesNoRightToIt) {
  const ObjectId small = client_.GetName("small").value().id;
  const ObjectId unused(small.value() + 1'000'000);
  const Token known = FreshToken();
  {
    const RawClient raw(daemon_.socket(), known);
  }
  for (const bool after_a_crash : {false, true}) {
    if (after_a_crash) daemon_.KillEngine();
    for (const Token token : {FreshToken(), known}) {
      for (const ObjectId id : {small, large_, unused}) {
        const uint64_t blob = id.own_blob().value();
        RawClient raw(daemon_.socket());
        const auto welcome = raw.Ask(MakeFrame(fb::RequestBody::Hello, [&](Builder& b) {
          const fb::Token t(token.high, token.low);
          const auto reservations = b.CreateVector(std::vector<uint64_t>{blob, 0, UINT64_MAX});
          return fb::CreateHello(b, wire::kProtocolVersion, &t, 1, reservations).Union();
        }));
        ASSERT_TRUE(welcome);
        ASSERT_EQ(welcome->code(), StatusCode::kOk);
        const auto put = raw.Ask(PutFrame({.number = 1, .reservation = blob}));
        ASSERT_TRUE(put);
        EXPECT_EQ(put->code(), StatusCode::kNotFound) << id.ToString();
      }
    }
    EXPECT_TRUE(HoldsPattern(client_.Get(small), 1, kSmall));
    EXPECT_TRUE(HoldsPattern(daemon_.Connect().Get(large_), 2, kLarge));
    EXPECT_EQ(client_.GetStatus().value().objects, 2U);
  }
}

// Its last words are a Hello for a second connection, which the engine knows and has heard nothing from. Of what is there
// to be read it comes first, and the end of the first connection and of the process after it: with the
// first connection, which the Hello ends, the client goes while it is being greeted.
TEST_F(Hostile, AClientMayDieRightAfterItHasComeBack) {
  const pid_t engine = daemon_.engine();
  const uint64_t mine = client_.GetStatus()->connections;
  for (int i = 0; i < 20; ++i) {
    Bell connected;
    Bell go;
    const Token token = FreshToken();
    Child victim([&] {
      RawClient first(daemon_.socket(), token, 1);
      RawClient second(daemon_.socket());
      connected.Ring();
      if (!go.Wait()) return 1;
      return second.Send(HelloFrame(token, 1)) ? 0 : 2;
    });
    ASSERT_TRUE(connected.Wait());
    ASSERT_TRUE(Eventually([&] { return client_.GetStatus()->connections == mine + 2; }));
    daemon_.PauseEngine();
    go.Ring();
    EXPECT_EQ(victim.Wait(), 0);
    daemon_.ResumeEngine();
    ExpectUnharmed();
    ASSERT_TRUE(Eventually([&] { return client_.GetStatus()->connections == mine; }));
  }
  EXPECT_EQ(daemon_.engine(), engine);
}

}  // namespace
}  // namespace vineyard::testing
