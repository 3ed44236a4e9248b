// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "store/test_volume.h"

namespace vineyard::store {
namespace {

using layout::StreamPhase;
using ::testing::HasSubstr;

// A stream, and what its clients do.
class Streams : public VolumeTest {
 protected:
  Streams() { Create(4, 1); }

  void Create(uint32_t capacity, uint32_t readers) {
    stream_ = PutId({.bytes = "what it is"});
    EXPECT_OK(volume().CreateStream(machine_.NextRequest(client_), stream_, capacity, readers));
  }
  Result<layout::Answer> Open(uint64_t client, bool writes) {
    return volume().OpenStream(machine_.NextRequest(client), stream_, writes);
  }
  uint64_t OpenReader(uint64_t client) {
    auto answer = Open(client, false);
    EXPECT_OK(answer);
    return answer.ok() ? answer->id : 0;
  }
  ObjectId PutChunk(const std::string& bytes, bool large = false) {
    return PutId({.bytes = bytes, .large = large, .stream = stream_});
  }
  Status Advance(uint64_t reader, uint64_t position, uint64_t client = 0) {
    return volume().AdvanceReader(stream_, reader, client == 0 ? client_ : client, position);
  }
  Result<layout::Answer> End(uint64_t client, bool failed = false) {
    return volume().EndStream(machine_.NextRequest(client), stream_, {failed, "no reason"});
  }
  layout::StreamState state() { return volume().FindStream(stream_)->state; }

  ObjectId stream_;
};

TEST_F(Streams, AChunkPutIntoItGoesWhenItHasBeenRead) {
  ASSERT_OK(Open(client_, true));
  const uint64_t reader = OpenReader(client_);
  const ObjectId small = PutChunk("small");
  const ObjectId large = PutChunk(std::string(3'000'000, 'x'), true);
  EXPECT_EQ(state().chunks, (std::vector{small.value(), large.value()}));
  ASSERT_OK(Advance(reader, 1));
  EXPECT_FALSE(Exists(small));
  EXPECT_TRUE(Exists(large));
  ASSERT_OK(Advance(reader, 2));
  EXPECT_FALSE(Exists(large));
  machine_.Run();
  EXPECT_EQ(machine_.store().FindExtent(large.own_blob()), nullptr);
}

TEST_F(Streams, AChunkThatWasThereBeforeOrHasANameStays) {
  ASSERT_OK(Open(client_, true));
  const uint64_t reader = OpenReader(client_);
  const ObjectId before = PutId({.bytes = "before"});
  const ObjectId named = PutChunk("named");
  ASSERT_OK(PutName("n", named));
  ASSERT_OK_AND_ASSIGN(const auto pushed,
                       volume().PushChunk(machine_.NextRequest(client_), stream_, before, false));
  EXPECT_EQ(pushed.value, 2U) << "the room that is left";
  EXPECT_CODE(kFailedPrecondition, Delete(before));
  ASSERT_OK(Advance(reader, 2));
  EXPECT_TRUE(Exists(before));
  EXPECT_TRUE(Exists(named));
  ASSERT_OK(DropName("n"));
  EXPECT_FALSE(Exists(named)) << "it was the stream's, then its name's";
}

TEST_F(Streams, AChunkThatWasThereBeforeMayBecomeTheStreams) {
  ASSERT_OK(Open(client_, true));
  const uint64_t reader = OpenReader(client_);
  const ObjectId before = PutId({.bytes = "before", .large = true});
  ASSERT_OK(volume().PushChunk(machine_.NextRequest(client_), stream_, before, true));
  machine_.Restart();
  EXPECT_TRUE(volume().Find(before)->owned);
  ASSERT_OK(Advance(reader, 1));
  EXPECT_FALSE(Exists(before));
}

TEST_F(Streams, PartsOfAChunkGoWithIt) {
  ASSERT_OK(Open(client_, true));
  const uint64_t reader = OpenReader(client_);
  const ObjectId part = PutId({.bytes = "part"});
  const ObjectId also_chunk = PutChunk("both");
  const ObjectId whole =
      PutId({.bytes = "whole", .members = {part, also_chunk}, .stream = stream_});
  ASSERT_OK(Advance(reader, 2));
  for (const ObjectId id : {part, also_chunk, whole}) EXPECT_FALSE(Exists(id));
}

TEST_F(Streams, TheSameObjectMayWaitTwice) {
  ASSERT_OK(Open(client_, true));
  const uint64_t reader = OpenReader(client_);
  const ObjectId id = PutChunk("twice");
  ASSERT_OK(volume().PushChunk(machine_.NextRequest(client_), stream_, id, false));
  ASSERT_OK(Advance(reader, 1));
  EXPECT_TRUE(Exists(id));
  ASSERT_OK(Advance(reader, 2));
  EXPECT_FALSE(Exists(id));
}

TEST_F(Streams, TheRoomIsBounded) {
  ASSERT_OK(Open(client_, true));
  for (int i = 0; i < 4; ++i) PutChunk("x");
  const size_t objects = volume().objects();
  EXPECT_CODE(kLimitExceeded, Put({.bytes = "y", .stream = stream_}));
  EXPECT_EQ(volume().objects(), objects);
  ASSERT_OK(Advance(OpenReader(client_), 1));
  EXPECT_OK(Put({.bytes = "y", .stream = stream_}));
}

TEST_F(Streams, OnlyItsWriterPutsIntoIt) {
  EXPECT_CODE(kFailedPrecondition, Put({.bytes = "x", .stream = stream_}));
  const uint64_t other = machine_.AddClient();
  ASSERT_OK(Open(other, true));
  EXPECT_CODE(kFailedPrecondition, Put({.bytes = "x", .stream = stream_}));
  EXPECT_CODE(kAlreadyExists, Open(client_, true));
  EXPECT_OK(Open(other, true)) << "once more is the same";
  EXPECT_CODE(kFailedPrecondition, End(client_));
  EXPECT_CODE(kInvalid, Put({.bytes = "x", .name = "n", .stream = stream_}));
}

TEST_F(Streams, ARequestThatMakesNoSenseChangesNothing) {
  const ObjectId object = PutId({.bytes = "x"});
  const auto create = [&](ObjectId id, uint32_t capacity, uint32_t readers) {
    return volume().CreateStream(machine_.NextRequest(client_), id, capacity, readers);
  };
  EXPECT_CODE(kInvalid, create(object, 0, 1));
  EXPECT_CODE(kInvalid, create(object, layout::kMaxStreamChunks + 1, 1));
  EXPECT_CODE(kInvalid, create(object, 1, 0));
  EXPECT_CODE(kInvalid, create(object, 1, layout::kMaxStreamReaders + 1));
  EXPECT_CODE(kNotFound, create(ObjectId(12345), 1, 1));
  EXPECT_CODE(kAlreadyExists, create(stream_, 1, 1));
  EXPECT_EQ(volume().FindStream(object), nullptr);
  const uint64_t reader = OpenReader(client_);
  EXPECT_CODE(kInvalid, Advance(reader, 1));
  EXPECT_CODE(kFailedPrecondition, Advance(reader + 1, 0));
  EXPECT_CODE(kFailedPrecondition, Advance(reader, 0, machine_.AddClient()));
  ASSERT_OK(Open(client_, true));
  EXPECT_CODE(kNotFound,
              volume().PushChunk(machine_.NextRequest(client_), stream_, ObjectId(12345), false));
  EXPECT_CODE(kNotFound,
              volume().PushChunk(machine_.NextRequest(client_), stream_, stream_, false));
  EXPECT_CODE(kNotFound, volume().DropStream(machine_.NextRequest(client_), object));
}

TEST_F(Streams, EachReaderGetsEveryChunk) {
  Create(4, 2);
  ASSERT_OK(Open(client_, true));
  const uint64_t first = OpenReader(client_);
  const ObjectId a = PutChunk("a");
  const ObjectId b = PutChunk("b");
  ASSERT_OK(Advance(first, 2));
  EXPECT_TRUE(Exists(a)) << "the second reader has not come yet";
  const uint64_t second = OpenReader(client_);
  EXPECT_EQ(state().FindReader(second)->position, 0U);
  ASSERT_OK(Advance(second, 1));
  EXPECT_FALSE(Exists(a));
  EXPECT_TRUE(Exists(b));
}

TEST_F(Streams, AReaderThatLeavesHoldsNothingUp) {
  ASSERT_OK(Open(client_, true));
  const uint64_t reader = OpenReader(client_);
  const ObjectId a = PutChunk("a");
  ASSERT_OK(volume().LeaveStream(machine_.NextRequest(client_), stream_, reader));
  EXPECT_FALSE(Exists(a));
  EXPECT_CODE(kFailedPrecondition, Put({.bytes = "x", .stream = stream_}));
  EXPECT_CODE(kFailedPrecondition, Advance(reader, 1));
}

TEST_F(Streams, AReaderThatIsLostLeavesItsPlaceToAnother) {
  ASSERT_OK(Open(client_, true));
  const uint64_t lost = machine_.AddClient();
  const uint64_t reader = OpenReader(lost);
  PutChunk("a");
  const ObjectId b = PutChunk("b");
  ASSERT_OK(Advance(reader, 1, lost));
  machine_.store().ForgetClient(lost);
  EXPECT_EQ(state().places_taken, 0U);
  EXPECT_OK(Put({.bytes = "c", .stream = stream_}));
  const uint64_t successor = OpenReader(client_);
  EXPECT_EQ(state().FindReader(successor)->position, 1U) << "it goes on where the other was";
  EXPECT_TRUE(Exists(b));
}

TEST_F(Streams, AReaderThatHadReadAllHasBeenThere) {
  const uint64_t writer = machine_.AddClient();
  const uint64_t reader = machine_.AddClient();
  ASSERT_OK(Open(writer, true));
  const uint64_t number = OpenReader(reader);
  ASSERT_OK(End(writer));
  ASSERT_OK(Advance(number, 0, reader));
  machine_.store().ForgetClient(reader);
  EXPECT_EQ(state().places_taken, 1U);
  machine_.store().ForgetClient(writer);
  EXPECT_EQ(state().phase, StreamPhase::kFinished);
}

TEST_F(Streams, AWriterThatEndsUnfinishedMakesItFail) {
  const uint64_t writer = machine_.AddClient();
  ASSERT_OK(Open(writer, true));
  machine_.store().ForgetClient(writer);
  EXPECT_EQ(state().phase, StreamPhase::kFailed);
  EXPECT_THAT(state().reason, HasSubstr("ended before it had finished"));
  EXPECT_CODE(kFailedPrecondition, Open(client_, true));
}

TEST_F(Streams, AnEndIsForGood) {
  ASSERT_OK(Open(client_, true));
  ASSERT_OK(End(client_));
  ASSERT_OK(End(client_));
  EXPECT_CODE(kFailedPrecondition, End(client_, true));
  EXPECT_CODE(kFailedPrecondition, Put({.bytes = "x", .stream = stream_}));
  EXPECT_CODE(kFailedPrecondition, Open(client_, true));
  EXPECT_OK(Open(client_, false));
}

TEST_F(Streams, ItGoesWithItsObjectAndTakesWhatWaitsAlong) {
  ASSERT_OK(Open(client_, true));
  const ObjectId chunk = PutChunk(std::string(3'000'000, 'x'), true);
  ASSERT_OK(Delete(stream_));
  EXPECT_FALSE(Exists(chunk));
  EXPECT_EQ(volume().FindStream(stream_), nullptr);
  machine_.Run();
  EXPECT_EQ(volume().usage(), 0U);
}

TEST_F(Streams, WhatItOnlyRefersToStaysWhenItsObjectGoes) {
  ASSERT_OK(Open(client_, true));
  const ObjectId before = PutId({.bytes = "before"});
  const ObjectId part = PutId({.bytes = "part"});
  const ObjectId whole = PutId({.bytes = "whole", .members = {part}});
  for (const ObjectId id : {before, whole}) {
    ASSERT_OK(volume().PushChunk(machine_.NextRequest(client_), stream_, id, false));
  }
  ASSERT_OK(Delete(stream_));
  for (const ObjectId id : {before, part, whole}) {
    ASSERT_TRUE(Exists(id));
    EXPECT_EQ(volume().Find(id)->parents, id == part ? 1U : 0U);
  }
}

TEST_F(Streams, AChunkThatHasItsStreamAsAPartGoesWithoutIt) {
  ASSERT_OK(Open(client_, true));
  const uint64_t reader = OpenReader(client_);
  const ObjectId first = PutId({.bytes = "1", .members = {stream_}, .stream = stream_});
  const ObjectId second = PutId({.bytes = "2", .members = {stream_}, .stream = stream_});
  ASSERT_OK(Advance(reader, 1));
  EXPECT_FALSE(Exists(first));
  EXPECT_EQ(state().chunks, std::vector{second.value()});
  machine_.CheckConsistent();
  ASSERT_OK(volume().DropStream(machine_.NextRequest(client_), stream_));
  EXPECT_FALSE(Exists(second));
  EXPECT_TRUE(Exists(stream_));
  EXPECT_EQ(volume().FindStream(stream_), nullptr);
}

TEST_F(Streams, AReaderMayBeLostWhileItIsToldOfAChunk) {
  ASSERT_OK(Open(client_, true));
  ASSERT_OK(volume().LeaveStream(machine_.NextRequest(client_), stream_, OpenReader(client_)));
  const uint64_t lost = machine_.AddClient();
  OpenReader(lost);
  const ObjectId chunk = PutId({.bytes = "x"});
  machine_.store().on_stream = [&](Volume&, ObjectId) {
    machine_.store().on_stream = nullptr;
    machine_.store().ForgetClient(lost);
  };
  ASSERT_OK(volume().PushChunk(machine_.NextRequest(client_), stream_, chunk, true));
  EXPECT_TRUE(state().chunks.empty()) << "nobody is left to read it";
  EXPECT_FALSE(Exists(chunk)) << "it was the stream's";
}

TEST_F(Streams, DroppedItLeavesItsObject) {
  ASSERT_OK(Open(client_, true));
  const ObjectId chunk = PutChunk("x");
  const ObjectId before = PutId({.bytes = "before"});
  ASSERT_OK(volume().PushChunk(machine_.NextRequest(client_), stream_, before, false));
  ASSERT_OK(volume().DropStream(machine_.NextRequest(client_), stream_));
  EXPECT_TRUE(Exists(stream_));
  EXPECT_TRUE(Exists(before));
  EXPECT_FALSE(Exists(chunk));
  EXPECT_CODE(kNotFound, Advance(1, 0));
}

TEST_F(Streams, TheyOutliveTheEngine) {
  ASSERT_OK(Open(client_, true));
  const uint64_t reader = OpenReader(client_);
  PutChunk("a");
  const ObjectId b = PutChunk("b");
  ASSERT_OK(Advance(reader, 1));
  const layout::StreamState before = state();
  EXPECT_EQ(machine_.Restart().set_aside_count, 0U);
  EXPECT_EQ(state(), before);
  machine_.CheckConsistent();
  EXPECT_CODE(kFailedPrecondition, Delete(b)) << "the stream refers to it still";
  machine_.Restart();
  ASSERT_OK(Advance(reader, 2));
  EXPECT_FALSE(Exists(b));
}

TEST_F(Streams, AWriterThatDiedWithTheEngineIsNoticedByTheNext) {
  const uint64_t dead = machine_.AddClient(Machine::EndedProcess());
  ASSERT_OK(Open(dead, true));
  OpenReader(dead);
  machine_.Restart();
  EXPECT_EQ(state().phase, StreamPhase::kFailed);
  EXPECT_TRUE(state().readers.empty());
  EXPECT_EQ(state().places_taken, 0U);
}

TEST_F(Streams, RecordsMoveOutOfOldArenas) {
  ASSERT_OK(Open(client_, true));
  const ObjectId chunk = PutChunk("a");
  machine_.Restart();
  while (volume().MoveSome(1)) {
  }
  machine_.CheckConsistent();
  EXPECT_EQ(state().chunks, std::vector{chunk.value()});
  machine_.Restart();
  EXPECT_EQ(state().chunks, std::vector{chunk.value()});
}

struct Point {
  const char* name;
  bool committed;
};
void PrintTo(const Point& point, std::ostream* out) { *out << point.name; }

class ChunkPutCrash : public Streams, public ::testing::WithParamInterface<Point> {};

TEST_P(ChunkPutCrash, APutIntoAStreamHappenedWholeOrNotAtAll) {
  const Point point = GetParam();
  ASSERT_OK(Open(client_, true));
  const bool died = machine_.CrashIn(point.name, [&] { PutChunk("a"); });
  ASSERT_TRUE(died);
  EXPECT_EQ(machine_.Restart().set_aside_count, 0U);
  machine_.CheckConsistent();
  EXPECT_EQ(state().chunks.size(), point.committed ? 1U : 0U);
  EXPECT_EQ(volume().objects(), point.committed ? 2U : 1U);
}

class ReadingCrash : public Streams, public ::testing::WithParamInterface<Point> {};

TEST_P(ReadingCrash, ReadingOnHappenedWholeOrNotAtAll) {
  const Point point = GetParam();
  ASSERT_OK(Open(client_, true));
  const uint64_t reader = OpenReader(client_);
  const ObjectId a = PutChunk("a");
  const ObjectId b = PutChunk("b");
  ASSERT_TRUE(machine_.CrashIn(point.name, [&] { Advance(reader, 1).IgnoreError(); }));
  EXPECT_EQ(machine_.Restart().set_aside_count, 0U);
  machine_.CheckConsistent();
  EXPECT_EQ(state().FindReader(reader)->position, point.committed ? 1U : 0U);
  EXPECT_EQ(Exists(a), !point.committed);
  EXPECT_TRUE(Exists(b));
  ASSERT_OK(Advance(reader, 1)) << "repeated, it is the same";
  EXPECT_FALSE(Exists(a));
}

// What every commit passes, and what the change passes on its own account.
std::vector<Point> CommitAnd(Point own) {
  return {own,
          {"record.written", false},
          {"commit.before", false},
          {"commit.published", true},
          {"commit.between_changes", true},
          {"commit.between_changes:2", true},
          {"commit.applied", true},
          {"commit.noted", true},
          {"commit.cleared", true}};
}

INSTANTIATE_TEST_SUITE_P(Points, ChunkPutCrash,
                         ::testing::ValuesIn(CommitAnd({"put.staged", false})));
INSTANTIATE_TEST_SUITE_P(Points, ReadingCrash,
                         ::testing::ValuesIn(CommitAnd({"stream.committed", true})));

}  // namespace
}  // namespace vineyard::store
