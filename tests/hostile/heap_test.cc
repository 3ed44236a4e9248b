// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The engine's own memory, as the kernel counts it: what clients do not send to the end, or do not take, is bounded
// for all of a volume together, and whoever sends and takes is served.
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "hostile/hostile.h"
#include "testing/raw_ring.h"
#include "wire/frame.h"

namespace vineyard::testing {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kShare = 128 * kMiB;  // of a volume that is the only one
constexpr uint64_t kSlack = 48 * kMiB;   // connections, queues, and what malloc keeps
constexpr size_t kInRecord = size_t{250} << 10;

class Heap : public Hostile {
 protected:
  void ExpectGrownByAtMost(uint64_t bytes) {
    if (!IsInstrumented()) {
      // An answer may come before what its request took has been given back.
      EXPECT_TRUE(Eventually([&] { return ResidentBytes(engine_) < before_ + bytes; }))
          << ResidentBytes(engine_) / kMiB << " MiB, and " << before_ / kMiB << " before";
    }
    ExpectUnharmed();
  }
  std::vector<RawClient> Many(int count) {
    std::vector<RawClient> raws;
    for (int i = 0; i < count; ++i) raws.push_back(Raw());
    return raws;
  }
  const pid_t engine_ = daemon_.engine();
  const uint64_t before_ = ResidentBytes(engine_);
};

Bytes GetFrames(ObjectId id, uint64_t count, uint64_t first = 1) {
  Bytes frames;
  for (uint64_t i = first; i < first + count; ++i) {
    const Bytes frame = MakeFrame(
        fb::RequestBody::Get,
        [&](Builder& b) { return fb::CreateGet(b, id.value(), 0, false, 0, false).Union(); },
        {.id = i});
    frames.insert(frames.end(), frame.begin(), frame.end());
  }
  return frames;
}

// A put of so many bytes, which are too many for one: it is refused once it has come.
Bytes LargeFrame(uint64_t bytes, uint64_t id = 1) {
  PutFields put;
  put.bytes.resize(bytes);
  put.buffers = {{ObjectId(), 0, bytes}};
  return PutFrame(put, {.id = id, .payload = {}});
}

TEST_F(Heap, AnswersThatNobodyTakesAreBoundedForAllOfAVolume) {
  ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(client_, 9, kInRecord));
  constexpr uint64_t kEach = 30;
  std::vector<RawClient> raws = Many(150);
  const Bytes gets = GetFrames(id, kEach);
  for (RawClient& raw : raws) EXPECT_EQ(raw.SendSome(gets), gets.size());
  ExpectGrownByAtMost(kShare + kSlack);
  // Who takes them gets them, beside those who do not.
  RawClient reader = Raw();
  ASSERT_TRUE(reader.Send(gets));
  for (uint64_t i = 0; i < kEach; ++i) {
    const auto reply = reader.Receive();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->code(), StatusCode::kOk);
    EXPECT_GT(reply->payload.size(), kInRecord);
  }
  ExpectGrownByAtMost(kShare + kSlack);
  raws.clear();
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus()->connections == 2; }));
  ExpectGrownByAtMost(kSlack);
}

TEST_F(Heap, WhoTakesNothingForLongestHasToGo) {
  ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(client_, 9, kInRecord));
  RawClient first = Raw();
  const Bytes gets = GetFrames(id, 40);
  EXPECT_EQ(first.SendSome(gets), gets.size());
  RawClient second = Raw();
  constexpr uint64_t kMany = 600;
  for (uint64_t i = 1; i <= kMany; ++i) {
    ASSERT_TRUE(second.Send(GetByNameFrame("n" + std::to_string(i), true, i)));
  }
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus()->waiting == kMany; }));
  uint64_t put = 0;
  while (put < kMany && daemon_.log().find("takes no answers") == std::string::npos) {
    ASSERT_OK(PutPattern(client_, 9, kInRecord, "n" + std::to_string(++put)));
    ASSERT_OK(client_.DropName("n" + std::to_string(put)));
  }
  EXPECT_LT(put, kMany);
  EXPECT_TRUE(first.IsDropped());
  for (uint64_t i = 1; i <= put; ++i) {
    const auto reply = second.Receive();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->id, i);
    EXPECT_EQ(reply->code(), StatusCode::kOk);
  }
  ExpectGrownByAtMost(kSlack);
}

TEST_F(Heap, ANameThatThousandsWaitForIsKeptOnce) {
  constexpr uint64_t kEach = 4000;
  constexpr uint64_t kTaken = 300;
  std::vector<RawClient> raws = Many(4);
  for (RawClient& raw : raws) {
    const uint64_t count = &raw == &raws.back() ? kTaken : kEach;
    for (uint64_t i = 1; i <= count; ++i) ASSERT_TRUE(raw.Send(GetByNameFrame("later", true, i)));
  }
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus()->waiting == 3 * kEach + kTaken; }));
  ASSERT_OK(PutPattern(client_, 9, kInRecord, "later"));
  ExpectGrownByAtMost(kSlack);
  const std::vector<std::byte> wanted = Pattern(9, kInRecord);
  for (uint64_t i = 1; i <= kTaken; ++i) {
    const auto reply = raws.back().Receive();
    ASSERT_TRUE(reply);
    ASSERT_EQ(reply->id, i);
    ASSERT_EQ(reply->code(), StatusCode::kOk);
    ASSERT_GE(reply->payload.size(), kInRecord);
    const auto* got = reply->body().body_as_Got();
    ASSERT_NE(got, nullptr);
    ASSERT_EQ(std::memcmp(reply->payload.data() + reply->payload.size() - wanted.size(),
                          wanted.data(), wanted.size()),
              0);
  }
  ExpectUnharmed();
}

TEST_F(Heap, ALargeRequestLeavesNothingBehind) {
  const Bytes large = LargeFrame(8 * kMiB);
  std::vector<RawClient> raws = Many(100);
  for (RawClient& raw : raws) {
    const auto reply = raw.Ask(large);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->code(), StatusCode::kInvalid);
  }
  ExpectGrownByAtMost(kSlack);
}

TEST_F(Heap, NorDoesOneThroughARing) {
  const Bytes large = LargeFrame(16 * kMiB);
  std::vector<RawClient> raws = Many(16);
  std::vector<RawRing> rings;
  for (RawClient& raw : raws) {
    RawRing& ring = rings.emplace_back(raw);
    ring.Send(large);
    const auto reply = raw.Receive();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->code(), StatusCode::kInvalid);
  }
  ExpectGrownByAtMost(kSlack);
}

// More than there is memory for, all begun before any of them ends.
TEST_F(Heap, LargeRequestsWaitForTheirTurnAndAreAllAnswered) {
  const Bytes large = LargeFrame(wire::kMaxPayload - kMiB);
  struct Sender {
    RawClient raw;
    std::span<const std::byte> left;
  };
  std::vector<Sender> senders;
  for (int i = 0; i < 8; ++i) senders.push_back({Raw(), large});
  for (Sender& s : senders) s.left = s.left.subspan(s.raw.SendSome(s.left.first(kMiB)));
  ExpectUnharmed();
  for (uint64_t left = 1; left > 0;) {
    left = 0;
    for (Sender& s : senders) {
      if (!s.left.empty()) s.left = s.left.subspan(s.raw.SendSome(s.left));
      left += s.left.size();
    }
  }
  for (Sender& s : senders) {
    const auto reply = s.raw.Receive();
    ASSERT_TRUE(reply) << "ended instead of having waited";
    EXPECT_EQ(reply->code(), StatusCode::kInvalid);
  }
  ExpectGrownByAtMost(kSlack);
}

TEST_F(Heap, WhoseTurnHasComeAndWhoDoesNotSendIsEndedWhenOthersWait) {
  const Bytes large = LargeFrame(wire::kMaxPayload - kMiB);
  std::vector<RawClient> stopped = Many(3);
  for (RawClient& raw : stopped) raw.SendSome(std::span(large).first(100'000));
  RawClient last = Raw();
  const auto reply = last.Ask(large);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->code(), StatusCode::kInvalid);
  EXPECT_TRUE(stopped.front().IsDropped());
  // Nobody waits any more: one that stops has all the time there is.
  RawClient slow = Raw();
  ASSERT_TRUE(slow.Send(std::span(large).first(large.size() - 8)));
  ASSERT_TRUE(slow.Send(std::span(large).last(8)));
  EXPECT_TRUE(slow.Receive());
  ExpectUnharmed();
}

}  // namespace
}  // namespace vineyard::testing
