// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Well-formed requests that contradict themselves, come too early, or bring what nobody asked for.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "hostile/hostile.h"
#include "layout/idle_table.h"
#include "os/mapping.h"
#include "os/memfd.h"
#include "wire/frame.h"

namespace vineyard::testing {
namespace {

TEST_F(Hostile, TheFirstRequestMustBeHello) {
  RawClient raw(daemon_.socket());
  const auto reply = raw.Ask(StatusFrame());
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->code(), StatusCode::kProtocol);
  EXPECT_TRUE(raw.IsDropped());
  RawClient other_version(daemon_.socket());
  const auto refused = other_version.Ask(HelloFrame(FreshToken(), 1, 77));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code(), StatusCode::kProtocol);
  EXPECT_NE(refused->body().message()->str().find("77"), std::string::npos);
  RawClient twice = Raw();
  const auto second = twice.Ask(HelloFrame(FreshToken()));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->code(), StatusCode::kProtocol);
  ExpectUnharmed();
}

TEST_F(Hostile, RequestsAboutStreamsThatMakeNoSenseAreRefused) {
  ASSERT_OK_AND_ASSIGN(const ObjectId id, client_.Put(ObjectBuilder("stream")));
  ASSERT_OK(client_.CreateStream(id));
  RawClient raw = Raw();
  uint64_t number = 0;
  const auto code = [&](fb::RequestBody type, const auto& make) {
    const auto reply = raw.Ask(MakeFrame(
        type, [&](Builder& b) { return make(b, ++number).Union(); }, {.id = number + 100}));
    EXPECT_TRUE(reply);
    return reply ? reply->code() : StatusCode::kInternal;
  };
  const auto create = [&](uint64_t object, uint32_t capacity, uint32_t readers) {
    return code(fb::RequestBody::CreateStream, [&](Builder& b, uint64_t n) {
      return fb::CreateCreateStream(b, n, object, capacity, readers);
    });
  };
  EXPECT_EQ(create(large_.value(), 0, 1), StatusCode::kInvalid);
  EXPECT_EQ(create(large_.value(), UINT32_MAX, 1), StatusCode::kInvalid);
  EXPECT_EQ(create(large_.value(), 1, UINT32_MAX), StatusCode::kInvalid);
  EXPECT_EQ(create(large_.own_blob().value(), 1, 1), StatusCode::kNotFound);
  const auto open = [&](uint64_t stream, bool writes) {
    return code(fb::RequestBody::OpenStream,
                [&](Builder& b, uint64_t n) { return fb::CreateOpenStream(b, n, stream, writes); });
  };
  EXPECT_EQ(open(large_.value(), true), StatusCode::kNotFound);
  EXPECT_EQ(open(id.value(), true), StatusCode::kOk);
  EXPECT_EQ(open(id.value(), false), StatusCode::kOk);
  const auto next = [&](uint64_t reader, uint64_t position) {
    return code(fb::RequestBody::NextChunk, [&](Builder& b, uint64_t) {
      return fb::CreateNextChunk(b, id.value(), reader, position, 0);
    });
  };
  EXPECT_EQ(next(0, 0), StatusCode::kFailedPrecondition);
  EXPECT_EQ(next(2, 0), StatusCode::kFailedPrecondition);
  EXPECT_EQ(next(1, 1), StatusCode::kInvalid);
  EXPECT_EQ(next(1, UINT64_MAX), StatusCode::kInvalid);
  const auto push = [&](uint64_t chunk) {
    return code(fb::RequestBody::PushChunk, [&](Builder& b, uint64_t n) {
      return fb::CreatePushChunk(b, n, id.value(), chunk);
    });
  };
  EXPECT_EQ(push(id.value()), StatusCode::kNotFound);
  EXPECT_EQ(push(12), StatusCode::kNotFound);
  const auto end = code(fb::RequestBody::EndStream, [&](Builder& b, uint64_t n) {
    return fb::CreateEndStream(b, n, id.value(), true, b.CreateString(std::string(100'000, 'r')));
  });
  EXPECT_EQ(end, StatusCode::kOk);
  ASSERT_OK_AND_ASSIGN(const StreamInfo info, client_.GetStream(id));
  EXPECT_LE(info.reason.size(), 1024U);
  ASSERT_OK(client_.Delete({id}));
  ExpectUnharmed();
}

TEST_F(Hostile, OneRequestDeletesNoMoreThanAMomentTakes) {
  ASSERT_OK_AND_ASSIGN(const ObjectId id, client_.Put(ObjectBuilder("kept")));
  RawClient raw = Raw();
  for (const bool only_check : {false, true}) {
    const auto reply = raw.Ask(MakeFrame(fb::RequestBody::Delete, [&](Builder& b) {
      const std::vector<uint64_t> ids(wire::kMostDeleted + 1, id.value());
      return fb::CreateDelete(b, 1, b.CreateVector(ids), false, false, only_check).Union();
    }));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->code(), StatusCode::kLimitExceeded);
  }
  EXPECT_TRUE(*client_.Exists(id));
  ASSERT_OK(client_.Delete({id}));
  ExpectUnharmed();
}

TEST_F(Hostile, ManyWhoWaitForAStreamEndWithTheirConnection) {
  ASSERT_OK_AND_ASSIGN(const ObjectId id, client_.Put(ObjectBuilder("stream")));
  ASSERT_OK(client_.CreateStream(id));
  {
    RawClient raw = Raw();
    const auto opened = raw.Ask(
        MakeFrame(fb::RequestBody::OpenStream,
                  [&](Builder& b) { return fb::CreateOpenStream(b, 1, id.value(), false).Union(); },
                  {.id = 1}));
    ASSERT_TRUE(opened);
    for (uint64_t n = 2; n < 3000; ++n) {
      ASSERT_TRUE(raw.Send(MakeFrame(
          fb::RequestBody::NextChunk,
          [&](Builder& b) { return fb::CreateNextChunk(b, id.value(), 1, 0, UINT64_MAX).Union(); },
          {.id = n})));
    }
    EXPECT_TRUE(Eventually([&] { return client_.GetStatus()->waiting == 2998; }));
  }
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus()->waiting == 0; }));
  ASSERT_OK(client_.Delete({id}));
  ExpectUnharmed();
}

TEST_F(Hostile, PutsThatContradictThemselvesAreRefused) {
  const auto code = [&](const PutFields& put) {
    RawClient raw = Raw();
    const auto reply = raw.Ask(PutFrame(put));
    EXPECT_TRUE(reply);
    return reply ? reply->code() : StatusCode::kInternal;
  };
  EXPECT_EQ(code({.descriptor_length = 1}), StatusCode::kProtocol);
  EXPECT_EQ(code({.descriptor_length = UINT64_MAX}), StatusCode::kProtocol);
  EXPECT_EQ(code({.descriptor_length = UINT64_MAX - 6}), StatusCode::kProtocol);
  EXPECT_EQ(code({.bytes_length = 1}), StatusCode::kProtocol);
  EXPECT_EQ(code({.bytes_length = UINT64_MAX}), StatusCode::kProtocol);
  EXPECT_EQ(code({.size = 1}), StatusCode::kInvalid);
  EXPECT_EQ(code({.size = UINT64_MAX}), StatusCode::kInvalid);
  EXPECT_EQ(code({.bytes = Pattern(1, size_t{300} << 10), .buffers = {}}), StatusCode::kInvalid);
  EXPECT_EQ(code({.buffers = {{ObjectId(), 1, 100}}}), StatusCode::kInvalid);
  EXPECT_EQ(code({.buffers = {{ObjectId(), UINT64_MAX, 2}}}), StatusCode::kInvalid);
  EXPECT_EQ(code({.buffers = {{ObjectId(), 2, UINT64_MAX}}}), StatusCode::kInvalid);
  EXPECT_EQ(code({.buffers = {{large_.own_blob(), 0, kLarge + 1}}}), StatusCode::kInvalid);
  EXPECT_EQ(code({.buffers = {{large_, 0, 1}}}), StatusCode::kNotFound);
  EXPECT_EQ(code({.buffers = {{ObjectId(12).own_blob(), 0, 1}}}), StatusCode::kNotFound);
  EXPECT_EQ(code({.members = {{"x", ObjectId(12)}}}), StatusCode::kNotFound);
  EXPECT_EQ(code({.type_name = ""}), StatusCode::kInvalid);
  EXPECT_EQ(code({.type_name = std::string(5000, 't')}), StatusCode::kInvalid);
  EXPECT_EQ(code({.name = std::string(5000, 'n')}), StatusCode::kInvalid);
  EXPECT_EQ(code({.name = std::string("a\0b", 3)}), StatusCode::kInvalid);
  EXPECT_EQ(code({.reservation = large_.own_blob().value()}), StatusCode::kNotFound);
  EXPECT_EQ(code({.reservation = 12}), StatusCode::kNotFound);
  EXPECT_EQ(code({.number = 0}), StatusCode::kProtocol);
  EXPECT_EQ(code({.kind = fb::PutKind::Blob, .descriptor_length = 8}), StatusCode::kProtocol);
  ExpectUnharmed();
}

TEST_F(Hostile, UnsealedMemoryIsNotPublished) {
  const uint64_t before = client_.GetStatus().value().memory_usage;
  {
    RawClient raw = Raw();
    const auto reserved = raw.Ask(ReserveFrame(kLarge));
    ASSERT_TRUE(reserved);
    ASSERT_EQ(reserved->code(), StatusCode::kOk);
    const uint64_t blob = reserved->body().body_as_Reserved()->extent()->blob();
    PutFields put{.bytes = {}, .buffers = {{ObjectId(), 0, kLarge}}, .reservation = blob};
    put.size = kLarge;
    EXPECT_EQ(raw.Ask(PutFrame(put))->code(), StatusCode::kFailedPrecondition);
    // Another client's, though that one knows its id.
    RawClient thief = Raw();
    EXPECT_EQ(thief.Ask(PutFrame(put))->code(), StatusCode::kNotFound);
    ASSERT_OK(os::SealForever(reserved->fds[0]));
    EXPECT_EQ(thief.Ask(PutFrame(put))->code(), StatusCode::kNotFound);
    put.size = kLarge + 1;
    put.buffers = {};
    EXPECT_EQ(raw.Ask(PutFrame(put))->code(), StatusCode::kInvalid);
    put.size = UINT64_MAX;
    EXPECT_EQ(raw.Ask(PutFrame(put))->code(), StatusCode::kInvalid);
    const auto goodbye = MakeFrame(fb::RequestBody::Goodbye,
                                   [](Builder& b) { return fb::CreateGoodbye(b).Union(); });
    raw.Send(goodbye);
    EXPECT_TRUE(raw.IsDropped());
  }
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus().value().memory_usage == before; }));
  ExpectUnharmed();
}

TEST_F(Hostile, SealedMemoryIsPublishedOnceByItsOwnerAndForAnObjectThatUsesIt) {
  const uint64_t before = client_.GetStatus().value().memory_usage;
  {
    RawClient raw = Raw();
    const auto reserved = raw.Ask(ReserveFrame(kLarge));
    const auto second = raw.Ask(ReserveFrame(kLarge));
    const auto small = raw.Ask(ReserveFrame(kSmall));
    ASSERT_TRUE(reserved && second && small);
    const auto blob_of = [](const auto& reply) {
      return reply->body().body_as_Reserved()->extent()->blob();
    };
    const uint64_t blob = blob_of(reserved);
    PutFields put{.buffers = {{ObjectId(blob), 0, kLarge}}, .also = {blob, kLarge}};
    const auto code = [&](RawClient& by, const PutFields& fields) {
      const auto reply = by.Ask(PutFrame(fields));
      EXPECT_TRUE(reply);
      return reply ? reply->code() : StatusCode::kInternal;
    };
    EXPECT_EQ(code(raw, put), StatusCode::kFailedPrecondition) << "not sealed";
    ASSERT_OK(os::SealForever(reserved->fds[0]));
    RawClient thief = Raw();
    EXPECT_EQ(code(thief, put), StatusCode::kNotFound);
    PutFields guessed = put;
    guessed.siblings = {{1, 2}, {0, 0}, {UINT64_MAX, 3}};
    EXPECT_EQ(code(thief, guessed), StatusCode::kNotFound);
    guessed.siblings.assign(100'000, {1, 2});
    EXPECT_EQ(code(thief, guessed), StatusCode::kLimitExceeded);
    const auto with = [&](std::vector<uint64_t> also) {
      PutFields fields = put;
      fields.also = std::move(also);
      return code(raw, fields);
    };
    EXPECT_EQ(with({blob}), StatusCode::kProtocol);
    EXPECT_EQ(with(std::vector<uint64_t>(40'000, blob)), StatusCode::kProtocol);
    EXPECT_EQ(with({blob, kLarge + 1}), StatusCode::kInvalid);
    EXPECT_EQ(with({blob, UINT64_MAX}), StatusCode::kInvalid);
    EXPECT_EQ(with({blob, kLarge, blob, kLarge}), StatusCode::kInvalid);
    EXPECT_EQ(with({blob, kLarge, blob_of(second), kLarge}), StatusCode::kFailedPrecondition);
    EXPECT_EQ(with({blob, kLarge, blob_of(small), kSmall}), StatusCode::kInvalid);
    EXPECT_EQ(with({blob, kLarge, 12, 1}), StatusCode::kNotFound);
    EXPECT_EQ(with({blob, kLarge - 1}), StatusCode::kInvalid) << "the buffer ends behind it";
    EXPECT_EQ(with({}), StatusCode::kNotFound);
    PutFields unused = put;
    unused.buffers = {};
    EXPECT_EQ(code(raw, unused), StatusCode::kInvalid);
    PutFields twice = put;
    twice.bytes = {};
    twice.size = kLarge;
    twice.reservation = blob;
    EXPECT_EQ(code(raw, twice), StatusCode::kInvalid);
    PutFields alone{.bytes = {}, .also = {blob, kLarge}, .kind = fb::PutKind::Blob};
    EXPECT_EQ(code(raw, alone), StatusCode::kProtocol);
    EXPECT_EQ(code(raw, put), StatusCode::kOk);
    put.number = 2;
    EXPECT_EQ(code(raw, put), StatusCode::kNotFound) << "it is a blob now, no reservation";
    const auto reader = client_.GetBlob(ObjectId(blob));
    ASSERT_OK(reader);
    EXPECT_EQ(reader->size(), kLarge);
    const auto objects = client_.List({.pattern = "test", .limit = SIZE_MAX});
    ASSERT_OK(objects);
    for (const ObjectInfo& info : *objects) {
      if (!info.buffers.empty() && info.buffers[0].blob == ObjectId(blob)) {
        ASSERT_OK(client_.Delete({info.id}));
      }
    }
    const auto goodbye = MakeFrame(fb::RequestBody::Goodbye,
                                   [](Builder& b) { return fb::CreateGoodbye(b).Union(); });
    raw.Send(goodbye);
    EXPECT_TRUE(raw.IsDropped());
  }
  EXPECT_TRUE(Eventually([&] { return client_.GetStatus().value().memory_usage == before; }));
  ExpectUnharmed();
}

TEST_F(Hostile, ATableOfIdleMemoryGivesNobodyAnothersMemory) {
  const auto share = [](RawClient& raw, const os::UniqueFd& file) {
    Bytes frame = MakeFrame(fb::RequestBody::ShareIdle,
                            [](Builder& b) { return fb::CreateShareIdle(b).Union(); });
    if (!file.valid()) return raw.Send(frame);
    wire::FrameHeader header;
    std::memcpy(&header, frame.data(), sizeof header);
    header.fd_count = 1;
    std::memcpy(frame.data(), &header, sizeof header);
    const int fd = file.get();
    return raw.Send(frame, {&fd, 1});
  };
  const auto refused = [&](const os::UniqueFd& file) {
    RawClient raw = Raw();
    EXPECT_TRUE(share(raw, file));
    const auto reply = raw.Receive();
    return reply && reply->code() != StatusCode::kOk;
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused(os::UniqueFd(::memfd_create("shrinks", MFD_CLOEXEC | MFD_ALLOW_SEALING))));
  EXPECT_TRUE(refused(os::UniqueFd(::open("/dev/zero", O_RDWR | O_CLOEXEC))));
  EXPECT_TRUE(refused(std::move(*os::CreateMemfd("large", 8192))));

  auto array = client_.Allocate(kLarge);
  ASSERT_OK(array);
  std::ranges::copy(Pattern(7, kLarge), array->data());
  RawClient raw = Raw();
  const auto reserved = raw.Ask(ReserveFrame(kLarge));
  ASSERT_TRUE(reserved);
  auto file = os::CreateMemfd("table", sizeof(layout::IdleTable));
  ASSERT_OK(file);
  auto mapping = os::Mapping::Open(*file, sizeof(layout::IdleTable), os::Access::kReadWrite);
  ASSERT_OK(mapping);
  auto* table = reinterpret_cast<layout::IdleTable*>(mapping->data());
  const uint64_t own = reserved->body().body_as_Reserved()->extent()->blob();
  for (size_t i = 0; i < layout::IdleTable::kSlots; ++i) table->slots[i] = own - 256 + i;
  table->slots[0] = large_.own_blob().value();
  table->slots[1] = own;  // twice
  ASSERT_TRUE(share(raw, *file));
  ASSERT_TRUE(raw.Ask(StatusFrame())) << "the table has arrived";
  const InstanceStatus status = client_.GetStatus().value();
  EXPECT_LT(status.memory_usage, uint64_t{16} << 20) << "what stands there twice counts once";
  EXPECT_GT(status.memory_usage, kLarge);
  // More than there is, so that all is claimed that can be.
  EXPECT_CODE(kOutOfMemory,
              client_.Allocate(uint64_t{254} << 20, {.timeout = std::chrono::milliseconds(0)}));
  EXPECT_EQ(table->slots[1], 0U) << "its own is taken";
  EXPECT_NE(table->slots[0], 0U) << "what was published is not";
  EXPECT_TRUE(IsPattern(array->bytes(), 7)) << "nor what is another's";
  EXPECT_OK(client_.Put(ObjectBuilder("test").AddBuffer(array->bytes())));
  ExpectUnharmed();
}

TEST_F(Hostile, DescriptorsThatNobodyAskedForAreClosed) {
  RawClient raw = Raw();
  for (const bool announced : {false, true}) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const os::UniqueFd read_end(ends[0]);
    {
      const os::UniqueFd write_end(ends[1]);
      const std::vector<int> fds(7, write_end.get());
      Bytes frame = StatusFrame();
      if (announced) {
        wire::FrameHeader header;
        std::memcpy(&header, frame.data(), sizeof header);
        header.fd_count = 7;
        std::memcpy(frame.data(), &header, sizeof header);
      }
      ASSERT_TRUE(raw.Send(frame, fds));
      const auto reply = raw.Receive();
      ASSERT_TRUE(reply);
      EXPECT_EQ(reply->code(), StatusCode::kOk);
    }
    // Nobody has the other end any more: hung up.
    pollfd p{read_end.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&p, 1, 60'000), 1) << (announced ? "announced" : "not announced");
    EXPECT_NE(p.revents & POLLHUP, 0);
  }
  ExpectUnharmed();
}

}  // namespace
}  // namespace vineyard::testing
