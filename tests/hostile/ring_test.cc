// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Memory that a client shares with the engine, and may write to at any time.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "hostile/hostile.h"
#include "testing/raw_ring.h"

namespace vineyard::testing {
namespace {

using layout::kReplyRing;
using layout::kRequestRing;

size_t EventFds(pid_t pid) {
  size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry, gone) == "anon_inode:[eventfd]") ++count;
  }
  return count;
}

class HostileRing : public Hostile {
 protected:
  HostileRing() : engine_(daemon_.engine()), bells_(EventFds(engine_)) {}
  // Of rings, bells and connections. (What it knows of a process's clients goes with the process.)
  void ExpectNothingLeft() {
    EXPECT_TRUE(Eventually([&] { return client_.GetStatus().value().connections == 1; }));
    ExpectUnharmed();
    EXPECT_TRUE(Eventually([&] { return MappedRings(engine_) <= kOwn; }));
    EXPECT_TRUE(Eventually([&] { return EventFds(engine_) <= bells_ + kOwn; }));
  }
  static constexpr size_t kOwn = 1;  // client_ may have come into a burst
  const pid_t engine_;
  const size_t bells_;
};

TEST_F(HostileRing, RequestsAreAnsweredHereOrThere) {
  {
    RawClient raw = Raw();
    RawRing ring(raw);
    ring.Send(StatusFrame(7));
    auto reply = raw.Receive();
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->id, 7U);
    EXPECT_EQ(reply->code(), StatusCode::kOk);
    const auto again = raw.Ask(OpenRingFrame(8));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->code(), StatusCode::kAlreadyExists);
    ring.page().replies.sleeping = 0;
    ring.Send(StatusFrame(9));
    EXPECT_TRUE(Eventually([&] { return ring.page().replies.tail > 0; }));
  }
  ExpectNothingLeft();
}

TEST_F(HostileRing, PositionsOfNonsenseEndTheConnection) {
  for (const uint64_t tail : {kRequestRing + 1, uint64_t{1} << 40, uint64_t{1} << 63, ~uint64_t{0},
                              ~uint64_t{0} - kRequestRing}) {
    RawClient raw = Raw();
    RawRing ring(raw);
    ring.page().requests.tail = tail;
    ring.RingBell();
    EXPECT_TRUE(raw.IsDropped()) << tail;
  }
  // Noticed when the instance looks how far the client has read: when the room it knew of is used up.
  const size_t as_many = kReplyRing / sizeof(wire::FrameHeader);
  for (const uint64_t head : {2 * kReplyRing, uint64_t{1} << 63, ~uint64_t{0} - kReplyRing}) {
    RawClient raw = Raw();
    RawRing ring(raw, true);
    ring.page().replies.head = head;
    for (size_t i = 0; i < as_many; ++i) ring.Send(StatusFrame());
    EXPECT_TRUE(raw.IsDropped()) << head;
  }
  ExpectNothingLeft();
}

TEST_F(HostileRing, APositionThatGoesBackEndsTheConnection) {
  RawClient raw = Raw();
  RawRing ring(raw);
  ring.Send(StatusFrame());
  ASSERT_TRUE(raw.Receive());
  ring.page().requests.tail = 8;
  ring.RingBell();
  EXPECT_TRUE(raw.IsDropped());
  ExpectNothingLeft();
}

TEST_F(HostileRing, GarbageIsDropped) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 50; ++i) {
    Bytes garbage(48 + random() % (kRequestRing - 48));
    for (std::byte& b : garbage) b = static_cast<std::byte>(random());
    RawClient raw = Raw();
    RawRing ring(raw);
    ring.SendSome(garbage);
    EXPECT_TRUE(raw.IsDropped());
  }
  ExpectNothingLeft();
}

TEST_F(HostileRing, DescriptorsAreNotAnnouncedInIt) {
  const Bytes frame =
      MakeFrame(fb::RequestBody::GetStatus,
                [](Builder& b) { return fb::CreateGetStatus(b).Union(); }, {.fd_count = 1});
  {
    RawClient raw = Raw();
    RawRing ring(raw);
    ring.Send(frame);
    EXPECT_TRUE(raw.IsDropped());
  }
  // Nor do those count that came through the socket for a frame there.
  RawClient raw = Raw();
  RawRing ring(raw);
  const int mine = ring.bell().get();
  raw.Send(std::span(frame).first(8), std::span(&mine, 1));
  ring.Send(frame);
  EXPECT_TRUE(raw.IsDropped());
  ExpectNothingLeft();
}

TEST_F(HostileRing, ARequestThroughTheRingLeavesTheSocketsDescriptorsAlone) {
  RawClient raw = Raw();
  RawRing ring(raw);
  const int mine = ring.bell().get();
  const Bytes frame = MakeFrame(fb::RequestBody::GetStatus,
                                [](Builder& b) { return fb::CreateGetStatus(b).Union(); },
                                {.id = 1, .fd_count = 1});
  raw.Send(std::span(frame).first(8), std::span(&mine, 1));
  ring.Send(StatusFrame(2));
  ASSERT_EQ(raw.Receive().value().id, 2U);
  raw.Send(std::span(frame).subspan(8));
  const auto reply = raw.Receive();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->id, 1U);
}

// Each answer is longer than its request: until neither side takes any more. Then all of them come.
TEST_F(HostileRing, AClientThatNeverReadsAnswersHoldsUpNobody) {
  auto id = PutPattern(client_, 9, size_t{60} << 10);
  ASSERT_OK(id);
  for (const bool here : {false, true}) {
    RawClient raw = Raw();
    RawRing ring(raw, here);
    const uint64_t before = ResidentBytes(engine_);
    const Bytes get = MakeFrame(fb::RequestBody::Get, [&](Builder& b) {
      return fb::CreateGet(b, id->value(), 0, false, 0, false).Union();
    });
    uint64_t bytes = 0;
    Bytes rest;
    for (int quiet = 0; quiet < 20;) {
      if (rest.empty()) rest = get;
      const size_t now = ring.SendSome(rest);
      bytes += now;
      rest.erase(rest.begin(), rest.begin() + static_cast<ptrdiff_t>(now));
      if (now > 0) {
        quiet = 0;
        continue;
      }
      ++quiet;
      ASSERT_TRUE(HoldsPattern(client_.Get("large"), 2, kLarge));
      ASSERT_OK(client_.GetStatus());
    }
    ExpectUnharmed();
    if (!IsInstrumented()) {
      EXPECT_LT(ResidentBytes(engine_), before + (uint64_t{64} << 20));
    }
    // These are too long for what the ring has room for, so that they come through the socket.
    for (uint64_t i = 0; i < bytes / get.size(); ++i) {
      const auto reply = raw.Receive();
      ASSERT_TRUE(reply);
      ASSERT_EQ(reply->code(), StatusCode::kOk);
      if (here && i == 0) ring.page().replies.sleeping = 1;
    }
  }
  ExpectNothingLeft();
}

TEST_F(HostileRing, HalfAFrameWaitsForItsOtherHalf) {
  RawClient raw = Raw();
  RawRing ring(raw);
  const Bytes frame = StatusFrame(5);
  for (size_t half = 1; half < frame.size(); half += 7) {
    ring.Send(std::span(frame).first(half));
    ASSERT_OK(client_.GetStatus());
    ring.Send(std::span(frame).subspan(half));
    const auto reply = raw.Receive();
    ASSERT_TRUE(reply);
    ASSERT_EQ(reply->id, 5U);
  }
  ring.Send(std::span(frame).first(9));
  ExpectUnharmed();
  raw.Close();
  ExpectNothingLeft();
}

TEST_F(HostileRing, HolesInTheFileEndTheConnectionAtWorst) {
  for (const bool first : {true, false}) {
    RawClient raw = Raw();
    RawRing ring(raw);
    ring.Send(StatusFrame());
    ASSERT_TRUE(raw.Receive());
    const off_t at = first ? 0 : static_cast<off_t>(layout::kRingPageSize);
    ASSERT_EQ(::fallocate(ring.file().get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
                          static_cast<off_t>(layout::kRingFile) - at),
              0);
    EXPECT_NE(::ftruncate(ring.file().get(), 0), 0);
    ring.RingBell();
    ExpectUnharmed();
    if (first) {
      EXPECT_TRUE(raw.IsDropped());
    } else {
      ring.page().replies.sleeping = 1;
      ring.Send(StatusFrame(3));
      const auto reply = raw.Receive();
      ASSERT_TRUE(reply);
      EXPECT_EQ(reply->id, 3U);
    }
  }
  ExpectNothingLeft();
}

TEST_F(HostileRing, WhatIsDoneToTheBellHoldsUpNobody) {
  RawClient raw = Raw();
  RawRing ring(raw);
  const int bell = ring.bell().get();
  ASSERT_EQ(::fcntl(bell, F_SETFL, ::fcntl(bell, F_GETFL) & ~O_NONBLOCK), 0);
  for (int i = 0; i < 200; ++i) {
    ring.RingBell();
    ::fcntl(bell, F_SETFL, O_NONBLOCK);
    uint64_t drained = 0;
    [[maybe_unused]] const ssize_t n = ::read(bell, &drained, sizeof drained);
    ring.RingBell(~uint64_t{0} - 1);  // full
    ::fcntl(bell, F_SETFL, 0);
    ASSERT_OK(client_.GetStatus());
  }
  ring.Send(StatusFrame(4));
  ASSERT_EQ(raw.Receive().value().id, 4U);
  ExpectUnharmed();
  raw.Close();
  ExpectNothingLeft();
}

TEST_F(HostileRing, RingsAreBoundedAndTheOthersUseTheirSockets) {
  {
    std::vector<RawClient> raws;
    std::vector<RawRing> rings;
    for (int i = 0; i < 64; ++i) {
      raws.push_back(Raw());
      rings.emplace_back(raws.back());
    }
    for (int i = 0; i < 100; ++i) {
      RawClient more = Raw();
      const auto refused = more.Ask(OpenRingFrame());
      ASSERT_TRUE(refused);
      EXPECT_EQ(refused->code(), StatusCode::kLimitExceeded);
      ASSERT_EQ(more.Ask(StatusFrame()).value().code(), StatusCode::kOk);
    }
    // A burst of a client that gets none.
    Client late = daemon_.Connect();
    for (uint64_t i = 0; i < 100; ++i) ASSERT_OK(PutPattern(late, i, kSmall));
    EXPECT_EQ(MappedRings(engine_), 64U);
    for (size_t i = 0; i < rings.size(); ++i) {
      rings[i].Send(StatusFrame(i + 1));
      ASSERT_EQ(raws[i].Receive().value().id, i + 1);
    }
  }
  EXPECT_TRUE(Eventually([&] { return MappedRings(engine_) <= kOwn; }));
  RawClient raw = Raw();
  const RawRing ring(raw);
  raw.Close();
  ExpectNothingLeft();
}

// Nothing waits for the moment in which all rings are idle.
TEST_F(HostileRing, RingsOfThoseWhoHaveGoneAreFreedWhileAnotherIsBusy) {
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> done{0};
  std::thread busy([&] {
    RawClient raw = Raw();
    RawRing ring(raw, true);
    const Bytes frame = StatusFrame();
    while (!stop) {
      ring.Send(frame);
      // One at a time: answers that find no room go to the socket, which this client does not read.
      while (!stop && ring.page().requests.head != ring.page().requests.tail) {
        std::this_thread::yield();
      }
      ring.page().replies.head = ring.page().replies.tail.load();
      ++done;
    }
  });
  while (done < 100) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) {
    RawClient raw = Raw();
    RawRing ring(raw);
    ring.Send(StatusFrame(2));
    ASSERT_EQ(raw.Receive().value().id, 2U);
  }
  EXPECT_TRUE(Eventually([&] { return MappedRings(engine_) <= 1 + kOwn; })) << MappedRings(engine_);
  stop = true;
  busy.join();
  ExpectNothingLeft();
}

// Its Goodbye lies in the ring when its socket closes: what it had reserved is free while it lives on.
TEST_F(HostileRing, WhatWasWrittenBeforeTheSocketClosedCounts) {
  const uint64_t before = client_.GetStatus().value().memory_usage;
  RawClient raw = Raw();
  const auto reserved = raw.Ask(ReserveFrame(uint64_t{64} << 20));
  ASSERT_TRUE(reserved);
  ASSERT_EQ(reserved->code(), StatusCode::kOk);
  EXPECT_GT(client_.GetStatus().value().memory_usage, before);
  RawRing ring(raw);
  // Asleep, and woken by the socket alone.
  EXPECT_TRUE(Eventually([&] { return ring.page().requests.sleeping == 1; }));
  ring.Publish(MakeFrame(fb::RequestBody::Goodbye,
                         [](Builder& b) { return fb::CreateGoodbye(b).Union(); }, {.id = 0}));
  raw.Close();
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus().value().memory_usage == before; }));
  ExpectNothingLeft();
}

TEST_F(HostileRing, ClientsMayDieOrStopInTheMidstOfAFrame) {
  for (const int signal : {SIGKILL, SIGSTOP}) {
    const Bell ready;
    Child victim([&] {
      RawClient raw = Raw();
      RawRing ring(raw, true);
      const Bytes frame = StatusFrame();
      Bytes many;
      while (many.size() + frame.size() <= 2 * kRequestRing) {
        many.insert(many.end(), frame.begin(), frame.end());
      }
      ring.SendSome(std::span(many).first(many.size() / 4 + 20));
      ready.Ring();
      if (signal == SIGSTOP) ::raise(SIGSTOP);
      ring.Send(many);
      ::pause();
      return 0;
    });
    ASSERT_TRUE(ready.Wait());
    if (signal == SIGSTOP) ExpectUnharmed();
    victim.Kill();
    ExpectNothingLeft();
  }
}

// Two who share one ring, against its rules, and write to all of it while the engine reads.
TEST_F(HostileRing, ScribblingAtRandomHarmsOnlyTheScribbler) {
  std::mt19937_64 random(7);
  const std::vector<Bytes> frames{StatusFrame(), PutFrame({}), GetByNameFrame("large", false),
                                  GetByNameFrame("small", false), ReserveFrame(100)};
  for (int round = 0; round < 100; ++round) {
    RawClient raw = Raw();
    RawRing ring(raw, round % 2 == 0);
    auto other = os::Mapping::Open(ring.file(), layout::kRingFile, os::Access::kReadWrite);
    ASSERT_OK(other);
    std::thread scribbler([&, seed = random()] {
      std::mt19937_64 mine(seed);
      for (int i = 0; i < 300; ++i) {
        const size_t range = mine() % 3 == 0 ? 0x1d0 : layout::kRingFile;
        auto* word = reinterpret_cast<uint64_t*>(other->data() + mine() % (range / 8) * 8);
        std::atomic_ref(*word).store(mine() % 2 == 0 ? mine() : mine() % 4096);
      }
    });
    for (int i = 0; i < 50; ++i) {
      ring.SendSome(frames[random() % frames.size()]);
      if (random() % 4 == 0) ring.RingBell();
    }
    scribbler.join();
    ring.RingBell();
  }
  ExpectNothingLeft();
}

}  // namespace
}  // namespace vineyard::testing
