// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Streams between real processes: bounded, read by several, and told of each other's ends.
#include <unistd.h>

#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"
#include "vineyard/stream.h"

namespace vineyard {
namespace {

using std::chrono::milliseconds;
using testing::Bell;
using testing::Child;
using testing::Eventually;
using ::testing::HasSubstr;
using testing::HoldsPattern;
using testing::kLarge;
using testing::kSmall;
using testing::Pattern;
using testing::TestDaemon;

constexpr StreamCallOptions kSoon{milliseconds(50)};

ObjectBuilder ChunkOf(const std::vector<std::byte>& bytes) {
  ObjectBuilder builder("test");
  builder.AddBuffer(bytes);
  return builder;
}

class Streams : public ::testing::Test {
 protected:
  Streams() : client_(daemon_.Connect()) {}

  ObjectId Make(const StreamOptions& options = {}) { return Make(client_, options); }
  static ObjectId Make(Client& client, const StreamOptions& options) {
    auto id = client.Put(ObjectBuilder("vineyard::RecordBatchStream"));
    EXPECT_OK(id);
    EXPECT_OK(client.CreateStream(*id, options));
    return *id;
  }
  /// Some lie in records, some in extents.
  static size_t SizeOf(uint64_t seed) { return seed % 3 == 0 ? kLarge : kSmall + seed; }
  static Status PutAll(StreamWriter& writer, uint64_t chunks) {
    for (uint64_t seed = 1; seed <= chunks; ++seed) {
      VY_RETURN_IF_ERROR(writer.Put(ChunkOf(Pattern(seed, SizeOf(seed)))).status());
    }
    return {};
  }
  /// How many came, each as it was put; what ended them.
  static std::pair<uint64_t, Status> ReadAll(Client& client, StreamReader& reader) {
    for (uint64_t seed = 1;; ++seed) {
      auto id = reader.Next();
      if (!id.ok()) return {seed - 1, id.status()};
      if (!id->has_value()) return {seed - 1, Status()};
      if (!HoldsPattern(client.Get(**id), seed, SizeOf(seed))) {
        return {seed - 1, Status::Internal("another value")};
      }
    }
  }

  static bool CameToTheEnd(const std::pair<uint64_t, Status>& read, uint64_t chunks) {
    return read.first == chunks && read.second.ok();
  }

  TestDaemon daemon_;
  Client client_;
};

TEST_F(Streams, EveryReaderGetsEveryChunkInOrderAndNothingIsLeft) {
  constexpr uint64_t kChunks = 100;
  const uint64_t usage = client_.GetStatus()->memory_usage;
  const ObjectId id = Make({.timeout = {}, .capacity = 4, .readers = 3});
  const auto read = [&] {
    Client client = daemon_.Connect();
    auto reader = client.OpenStreamReader(id);
    if (!reader.ok()) return 2;
    return CameToTheEnd(ReadAll(client, *reader), kChunks) ? 0 : 1;
  };
  Child readers[] = {Child(read), Child(read), Child(read)};
  Child writer([&] {
    Client client = daemon_.Connect();
    auto w = client.OpenStreamWriter(id);
    return w.ok() && PutAll(*w, kChunks).ok() && w->Finish().ok() ? 0 : 1;
  });
  EXPECT_EQ(writer.Wait(), 0);
  for (Child& reader : readers) EXPECT_EQ(reader.Wait(), 0);
  ASSERT_OK(client_.Delete({id}));
  EXPECT_TRUE(Eventually([&] {
    const auto status = client_.GetStatus();
    return status->memory_usage == usage && status->memory_lingering == 0;
  }));
}

TEST_F(Streams, AWriterThatIsAheadWaitsForTheSlowestReader) {
  const ObjectId id = Make({.timeout = {}, .capacity = 2, .readers = 2});
  ASSERT_OK_AND_ASSIGN(auto writer, client_.OpenStreamWriter(id));
  ASSERT_OK_AND_ASSIGN(auto fast, client_.OpenStreamReader(id));
  ASSERT_OK(PutAll(writer, 2));
  ASSERT_OK(fast.Next());
  ASSERT_OK(fast.Next());
  EXPECT_CODE(kDeadlineExceeded, fast.Next(kSoon));
  const auto refused = writer.Put(ChunkOf(Pattern(3, kLarge)), kSoon);
  EXPECT_CODE(kDeadlineExceeded, refused);
  EXPECT_THAT(refused.status().message(), HasSubstr("of 2 readers 1 came"));
  std::atomic<bool> done = false;
  std::thread waiting([&] {
    EXPECT_OK(writer.Put(ChunkOf(Pattern(3, kLarge))));
    done = true;
  });
  ASSERT_OK_AND_ASSIGN(auto slow, client_.OpenStreamReader(id));
  ASSERT_OK_AND_ASSIGN(const auto first, slow.Next());
  EXPECT_TRUE(HoldsPattern(client_.Get(*first), 1, SizeOf(1)));
  EXPECT_FALSE(done);
  ASSERT_OK(slow.Next());
  waiting.join();
  ASSERT_OK_AND_ASSIGN(const auto third, fast.Next());
  EXPECT_TRUE(HoldsPattern(client_.Get(*third), 3, kLarge));
  EXPECT_CODE(kNotFound, client_.Get(*first)) << "both have passed it";
}

TEST_F(Streams, ABlobCanBeFilledInPlaceAndHandedOver) {
  const ObjectId id = Make();
  ASSERT_OK_AND_ASSIGN(auto writer, client_.OpenStreamWriter(id));
  ASSERT_OK_AND_ASSIGN(auto reader, client_.OpenStreamReader(id));
  for (const size_t size : {size_t{0}, kSmall, kLarge}) {
    ASSERT_OK_AND_ASSIGN(MutableBlob blob, client_.CreateBlob(size));
    std::ranges::copy(Pattern(5, size), blob.data());
    ASSERT_OK(writer.Put(std::move(blob)));
    ASSERT_OK_AND_ASSIGN(const auto chunk, reader.Next());
    ASSERT_OK_AND_ASSIGN(const Blob got, client_.GetBlob(*chunk));
    EXPECT_EQ(got.size(), size);
    EXPECT_TRUE(testing::IsPattern(got.bytes(), 5));
  }
  EXPECT_CODE(kFailedPrecondition, writer.Put(MutableBlob()));
}

TEST_F(Streams, AWriterThatIsKilledEndsTheStreamWithAnErrorAfterItsLastChunk) {
  const ObjectId id = Make();
  const Bell ready;
  Child writer([&] {
    Client client = daemon_.Connect();
    auto w = client.OpenStreamWriter(id);
    if (!w.ok() || !PutAll(*w, 3).ok()) return 1;
    ready.Ring();
    return pause();
  });
  ASSERT_TRUE(ready.Wait());
  ASSERT_OK_AND_ASSIGN(auto reader, client_.OpenStreamReader(id));
  std::thread killer([&] { writer.Kill(); });
  const auto [chunks, status] = ReadAll(client_, reader);
  killer.join();
  EXPECT_EQ(chunks, 3U);
  EXPECT_CODE(kFailedPrecondition, status);
  EXPECT_THAT(status.message(), HasSubstr("ended before it had finished"));
}

TEST_F(Streams, AReaderThatIsKilledLeavesItsPlaceToTheNext) {
  const ObjectId id = Make({.timeout = {}, .capacity = 2});
  ASSERT_OK_AND_ASSIGN(auto writer, client_.OpenStreamWriter(id));
  const Bell ready;
  Child lost([&] {
    Client client = daemon_.Connect();
    auto reader = client.OpenStreamReader(id);
    if (!reader.ok() || !reader->Next().ok() || !reader->Next().ok()) return 1;
    ready.Ring();
    return pause();
  });
  ASSERT_OK(PutAll(writer, 2));
  ASSERT_TRUE(ready.Wait());
  lost.Kill();
  ASSERT_TRUE(Eventually([&] { return client_.GetStream(id)->readers.empty(); }));
  ASSERT_OK_AND_ASSIGN(auto reader, client_.OpenStreamReader(id));
  ASSERT_OK_AND_ASSIGN(const auto chunk, reader.Next());
  EXPECT_TRUE(HoldsPattern(client_.Get(*chunk), 2, SizeOf(2)))
      << "the one that the other had in hand";
  ASSERT_OK(writer.Finish());
  ASSERT_OK_AND_ASSIGN(const auto end, reader.Next());
  EXPECT_FALSE(end.has_value());
  ASSERT_OK_AND_ASSIGN(const auto again, reader.Next());
  EXPECT_FALSE(again.has_value());
}

TEST_F(Streams, TheyGoOnAcrossEngines) {
  constexpr uint64_t kChunks = 60;
  const ObjectId id = Make({.timeout = {}, .capacity = 3});
  Child reader([&] {
    Client client = daemon_.Connect();
    auto r = client.OpenStreamReader(id);
    return r.ok() && CameToTheEnd(ReadAll(client, *r), kChunks) ? 0 : 1;
  });
  Child writer([&] {
    Client client = daemon_.Connect();
    auto w = client.OpenStreamWriter(id);
    return w.ok() && PutAll(*w, kChunks).ok() && w->Finish().ok() ? 0 : 1;
  });
  for (int i = 0; i < 5; ++i) {
    const uint64_t seen = client_.GetStream(id)->first;
    daemon_.KillEngine();
    ASSERT_TRUE(Eventually([&] {
      const auto now = client_.GetStream(id);
      return now.ok() && (now->finished || now->first > seen + 2);
    }));
  }
  EXPECT_EQ(writer.Wait(), 0);
  EXPECT_EQ(reader.Wait(), 0);
}

TEST_F(Streams, WhoWaitsIsToldOfEveryEnd) {
  const auto ends = [&](const std::function<void(ObjectId, StreamWriter&)>& end) {
    const ObjectId id = Make();
    auto writer = client_.OpenStreamWriter(id);
    auto reader = client_.OpenStreamReader(id);
    Result<std::optional<ObjectId>> got = std::optional<ObjectId>();
    std::thread waiting([&] { got = reader->Next(); });
    EXPECT_TRUE(Eventually([&] { return client_.GetStatus()->waiting == 1; }));
    end(id, *writer);
    waiting.join();
    return got;
  };
  const auto finished = ends([](ObjectId, StreamWriter& w) { EXPECT_OK(w.Finish()); });
  ASSERT_OK(finished);
  EXPECT_FALSE(finished->has_value());
  const auto failed = ends([](ObjectId, StreamWriter& w) { EXPECT_OK(w.Fail("no more wine")); });
  EXPECT_CODE(kFailedPrecondition, failed);
  EXPECT_THAT(failed.status().message(), HasSubstr("no more wine"));
  EXPECT_CODE(kFailedPrecondition,
              ends([](ObjectId, StreamWriter& w) { const StreamWriter let_go = std::move(w); }));
  EXPECT_CODE(kNotFound,
              ends([&](ObjectId id, StreamWriter&) { EXPECT_OK(client_.DropStream(id)); }));
  EXPECT_CODE(kNotFound,
              ends([&](ObjectId id, StreamWriter&) { EXPECT_OK(client_.Delete({id})); }));
}

TEST_F(Streams, AWriterIsToldWhenEveryReaderHasLeft) {
  const ObjectId id = Make({.timeout = {}, .capacity = 1});
  ASSERT_OK_AND_ASSIGN(auto writer, client_.OpenStreamWriter(id));
  ASSERT_OK_AND_ASSIGN(auto reader, client_.OpenStreamReader(id));
  ASSERT_OK(PutAll(writer, 1));
  std::thread leaving([&] {
    EXPECT_TRUE(Eventually([&] { return client_.GetStatus()->waiting == 1; }));
    EXPECT_OK(reader.Close());
    EXPECT_OK(reader.Close());
  });
  const auto put = writer.Put(ChunkOf(Pattern(2, kLarge)));
  leaving.join();
  EXPECT_CODE(kFailedPrecondition, put);
  EXPECT_THAT(put.status().message(), HasSubstr("every reader has left"));
  EXPECT_CODE(kFailedPrecondition, reader.Next());
}

TEST_F(Streams, AForkedChildHasToOpenItsOwn) {
  const ObjectId id = Make();
  ASSERT_OK_AND_ASSIGN(auto writer, client_.OpenStreamWriter(id));
  ASSERT_OK_AND_ASSIGN(auto reader, client_.OpenStreamReader(id));
  Child child([&] {
    const bool refused =
        reader.Next(kSoon).status().Is(StatusCode::kFailedPrecondition) &&
        writer.Put(ChunkOf(Pattern(1, kSmall)), kSoon).status().Is(StatusCode::kFailedPrecondition);
    const StreamWriter let_go = std::move(writer);  // the parent's is none of its business
    return refused ? 0 : 1;
  });
  EXPECT_EQ(child.Wait(), 0);
  ASSERT_OK(PutAll(writer, 1));
  EXPECT_OK(reader.Next());
}

TEST_F(Streams, ThreadsMayShareAWriter) {
  constexpr uint64_t kEach = 50;
  const ObjectId id = Make({.timeout = {}, .capacity = 2});
  ASSERT_OK_AND_ASSIGN(auto writer, client_.OpenStreamWriter(id));
  ASSERT_OK_AND_ASSIGN(auto reader, client_.OpenStreamReader(id));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (uint64_t i = 0; i < kEach; ++i) EXPECT_OK(writer.Put(ChunkOf(Pattern(i, kSmall))));
    });
  }
  for (uint64_t i = 0; i < 4 * kEach; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto chunk, reader.Next());
    ASSERT_TRUE(chunk.has_value());
  }
  for (std::thread& t : threads) t.join();
}

TEST_F(Streams, AStoreThatIsFullHoldsThemUpAndLosesNothing) {
  const TestDaemon small({.size = "24Mi", .flags = {}, .environment = {}});
  Client client = small.Connect();
  const ObjectId id = Make(client, {.timeout = {}, .capacity = 64});
  constexpr uint64_t kChunks = 80;  // of them a third are of a mebibyte
  Child reader([&] {
    Client own = small.Connect();
    auto r = own.OpenStreamReader(id);
    return r.ok() && CameToTheEnd(ReadAll(own, *r), kChunks) ? 0 : 1;
  });
  ASSERT_OK_AND_ASSIGN(auto writer, client.OpenStreamWriter(id));
  ASSERT_OK(PutAll(writer, kChunks));
  ASSERT_OK(writer.Finish());
  EXPECT_EQ(reader.Wait(), 0);
}

}  // namespace
}  // namespace vineyard
