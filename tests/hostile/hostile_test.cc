// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Clients that say what no client should: each is dropped or told what is wrong, the engine lives on,
// and everybody else is served.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/memfd.h"
#include "testing/raw_client.h"
#include "testing/test_daemon.h"
#include "wire/codec.h"

namespace vineyard {
namespace {

using testing::Builder;
using testing::Bytes;
using testing::Child;
using testing::Eventually;
using testing::FrameOptions;
using testing::FreshToken;
using testing::HelloFrame;
using testing::HoldsPattern;
using testing::MakeFrame;
using testing::Pattern;
using testing::PutPattern;
using testing::RawClient;
using testing::RawReply;
using testing::TestDaemon;
using testing::Token;

constexpr size_t kSmall = 5000;
constexpr size_t kLarge = size_t{1} << 20;

// ---- frames

Bytes StatusFrame(uint64_t id = 1) {
  return MakeFrame(fb::RequestBody::GetStatus,
                   [](Builder& b) { return fb::CreateGetStatus(b).Union(); }, {.id = id});
}

struct PutFields {
  uint64_t number = 1;
  std::string name;
  std::vector<std::byte> bytes = Pattern(1, 100);
  std::vector<BufferRef> buffers = {{ObjectId(), 0, 100}};
  std::vector<Member> members;
  std::string type_name = "test";
  uint64_t reservation = 0;
  fb::PutKind kind = fb::PutKind::Object;
  // What the frame says, where it lies.
  std::optional<uint64_t> descriptor_length;
  std::optional<uint64_t> bytes_length;
  std::optional<uint64_t> size;
};

Bytes PutFrame(const PutFields& put, const FrameOptions& options = {}) {
  ObjectInfo info;
  info.type_name = put.type_name;
  info.metadata = "{}";
  info.buffers = put.buffers;
  info.members = put.members;
  Bytes payload = put.kind == fb::PutKind::Object ? wire::EncodeDescriptor(info) : Bytes();
  const size_t descriptor = payload.size();
  payload.resize(wire::Pad8(descriptor));
  payload.insert(payload.end(), put.bytes.begin(), put.bytes.end());
  FrameOptions with_payload = options;
  with_payload.payload = payload;
  return MakeFrame(
      fb::RequestBody::Put,
      [&](Builder& b) {
        const auto name = put.name.empty() ? flatbuffers::Offset<flatbuffers::String>()
                                           : b.CreateString(put.name);
        return fb::CreatePut(b, put.number, put.kind, put.descriptor_length.value_or(descriptor),
                             put.bytes_length.value_or(put.bytes.size()), put.reservation,
                             put.size.value_or(put.bytes.size()), name, false, 0, 1000)
            .Union();
      },
      with_payload);
}

Bytes GetByNameFrame(const std::string& name, bool wait, uint64_t id = 1) {
  return MakeFrame(
      fb::RequestBody::Get,
      [&](Builder& b) {
        return fb::CreateGet(b, 0, b.CreateString(name), wait, 3'600'000, false).Union();
      },
      {.id = id});
}

Bytes ReserveFrame(uint64_t size) {
  return MakeFrame(fb::RequestBody::Reserve,
                   [&](Builder& b) { return fb::CreateReserve(b, size, 1000).Union(); });
}

// One of every kind.
std::vector<Bytes> ValidFrames(ObjectId object, ObjectId blob) {
  const std::vector<uint64_t> ids{object.value() + 1'000'000};
  const std::vector<uint64_t> blobs{blob.value(), 7};
  return {
      PutFrame({}),
      PutFrame({.name = "named"}),
      PutFrame({.buffers = {{blob, 10, 20}, {ObjectId(), 3, 5}}, .members = {{"part", object}}}),
      PutFrame({.buffers = {}, .kind = fb::PutKind::Blob}),
      ReserveFrame(1000),
      ReserveFrame(kLarge),
      GetByNameFrame("large", false),
      GetByNameFrame("nobody puts this", true),
      MakeFrame(
          fb::RequestBody::Get,
          [&](Builder& b) { return fb::CreateGet(b, object.value(), 0, false, 0, true).Union(); }),
      MakeFrame(fb::RequestBody::Abort,
                [&](Builder& b) { return fb::CreateAbort(b, blob.value()).Union(); }),
      MakeFrame(
          fb::RequestBody::OpenExtents,
          [&](Builder& b) { return fb::CreateOpenExtents(b, b.CreateVector(blobs)).Union(); }),
      MakeFrame(fb::RequestBody::OpenCatalog,
                [&](Builder& b) {
                  const auto arenas = b.CreateVector(std::vector<uint32_t>{1, 2, 99});
                  return fb::CreateOpenCatalog(b, arenas, b.CreateVector(ids)).Union();
                }),
      MakeFrame(fb::RequestBody::Released,
                [&](Builder& b) { return fb::CreateReleased(b, b.CreateVector(blobs)).Union(); }),
      MakeFrame(fb::RequestBody::PutName,
                [&](Builder& b) {
                  return fb::CreatePutName(b, 1, b.CreateString("alias"), object.value()).Union();
                }),
      MakeFrame(
          fb::RequestBody::DropName,
          [&](Builder& b) { return fb::CreateDropName(b, 1, b.CreateString("absent")).Union(); }),
      MakeFrame(fb::RequestBody::ListNames,
                [&](Builder& b) {
                  const auto glob = b.CreateString("[a-z]*?");
                  return fb::CreateListNames(b, fb::Match::Glob, glob, 0, 100).Union();
                }),
      MakeFrame(fb::RequestBody::ListObjects,
                [&](Builder& b) {
                  return fb::CreateListObjects(b, b.CreateString("*"), true, 0, 100).Union();
                }),
      MakeFrame(fb::RequestBody::Delete,
                [&](Builder& b) { return fb::CreateDelete(b, 1, b.CreateVector(ids)).Union(); }),
      MakeFrame(fb::RequestBody::SetLabels,
                [&](Builder& b) {
                  std::vector<flatbuffers::Offset<fb::Label>> labels{
                      fb::CreateLabel(b, b.CreateString("k"), b.CreateString("v"))};
                  return fb::CreateSetLabels(b, 1, ids[0], b.CreateVector(labels)).Union();
                }),
      StatusFrame(),
      MakeFrame(fb::RequestBody::CreateVolume,
                [&](Builder& b) {
                  return fb::CreateCreateVolume(b, 1, b.CreateString("other"), 0).Union();
                }),
      MakeFrame(fb::RequestBody::ListVolumes,
                [&](Builder& b) { return fb::CreateListVolumes(b).Union(); }),
      MakeFrame(fb::RequestBody::RemoveVolume,
                [&](Builder& b) {
                  return fb::CreateRemoveVolume(b, 1, b.CreateString("absent")).Union();
                }),
      MakeFrame(fb::RequestBody::Goodbye, [&](Builder& b) { return fb::CreateGoodbye(b).Union(); }),
      HelloFrame(FreshToken()),
  };
}

uint64_t ResidentBytes(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/status", pid));
  std::string line;
  while (std::getline(in, line)) {
    // Without shared memory, which is the data.
    if (line.starts_with("RssAnon:")) return std::stoull(line.substr(8)) * 1024;
  }
  return 0;
}

class Hostile : public ::testing::Test {
 protected:
  Hostile() : client_(daemon_.Connect()) {
    auto small = PutPattern(client_, 1, kSmall, "small");
    auto large = PutPattern(client_, 2, kLarge, "large");
    EXPECT_OK(small);
    EXPECT_OK(large);
    if (large.ok()) large_ = *large;
  }

  // Everyone else is served, by the engine that there was all along.
  void ExpectUnharmed() {
    EXPECT_TRUE(HoldsPattern(client_.Get("small"), 1, kSmall));
    Client other = daemon_.Connect();
    EXPECT_TRUE(HoldsPattern(other.Get("large"), 2, kLarge));
    auto id = PutPattern(other, 3, kLarge);
    ASSERT_OK(id);
    EXPECT_TRUE(HoldsPattern(client_.Get(*id), 3, kLarge));
    ASSERT_OK(client_.Delete({*id}));
    auto status = other.GetStatus();
    ASSERT_OK(status);
    EXPECT_EQ(status->generation, 1U) << "the engine has died";
  }
  RawClient Raw() { return RawClient(daemon_.socket(), FreshToken()); }

  TestDaemon daemon_;
  Client client_;
  ObjectId large_;
};

// ---- what is no frame

TEST_F(Hostile, GarbageIsDropped) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 50; ++i) {
    Bytes garbage(40 + random() % 100'000);
    for (std::byte& b : garbage) b = static_cast<std::byte>(random());
    RawClient before_hello(daemon_.socket());
    before_hello.Send(garbage);
    EXPECT_TRUE(before_hello.IsDropped());
    RawClient after_hello = Raw();
    after_hello.Send(garbage);
    EXPECT_TRUE(after_hello.IsDropped());
  }
  ExpectUnharmed();
}

TEST_F(Hostile, FramesCutOffAnywhereChangeNothing) {
  const Bytes hello = HelloFrame(FreshToken());
  for (size_t length = 0; length < hello.size(); ++length) {
    RawClient raw(daemon_.socket());
    raw.Send(std::span(hello).first(length));
    raw.EndSending();
    EXPECT_TRUE(raw.IsDropped());
  }
  auto before = client_.GetStatus();
  ASSERT_OK(before);
  const Bytes put = PutFrame({.name = "never"});
  for (size_t length = 0; length < put.size(); length += 3) {
    RawClient raw = Raw();
    raw.Send(std::span(put).first(length));
    raw.EndSending();
    EXPECT_TRUE(raw.IsDropped());
  }
  EXPECT_CODE(kNotFound, client_.GetName("never"));
  auto after = client_.GetStatus();
  ASSERT_OK(after);
  EXPECT_EQ(after->memory_usage, before->memory_usage);
  ExpectUnharmed();
}

TEST_F(Hostile, FramesThatComeByteByByteAreServed) {
  RawClient raw = Raw();
  for (const std::byte b : PutFrame({.name = "slow"})) ASSERT_TRUE(raw.Send(std::span(&b, 1)));
  const auto reply = raw.Receive();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->code(), StatusCode::kOk);
  EXPECT_OK(client_.GetName("slow"));
}

TEST_F(Hostile, OversizedFramesAreDroppedBeforeTheyAreRead) {
  const auto lie = [&](const std::function<void(wire::FrameHeader&)>& change) {
    Bytes frame = StatusFrame();
    wire::FrameHeader header;
    std::memcpy(&header, frame.data(), sizeof header);
    change(header);
    std::memcpy(frame.data(), &header, sizeof header);
    RawClient raw = Raw();
    raw.Send(frame);
    EXPECT_TRUE(raw.IsDropped());
  };
  lie([](wire::FrameHeader& h) { h.body_length = wire::kMaxBody + 1; });
  lie([](wire::FrameHeader& h) { h.body_length = UINT32_MAX; });
  lie([](wire::FrameHeader& h) { h.payload_length = wire::kMaxPayload + 1; });
  lie([](wire::FrameHeader& h) { h.payload_length = UINT64_MAX; });
  lie([](wire::FrameHeader& h) { h.payload_length = UINT64_MAX - 6; });
  lie([](wire::FrameHeader& h) { h.fd_count = 1; });
  lie([](wire::FrameHeader& h) { h.fd_count = UINT32_MAX; });
  lie([](wire::FrameHeader& h) { h.body_length = 0; });
  lie([](wire::FrameHeader& h) { h.body_length = 4; });
  lie([](wire::FrameHeader& h) { h.magic = 0; });
  ExpectUnharmed();
}

TEST_F(Hostile, AnnouncedBytesThatNeverComeTakeNoMemory) {
  wire::FrameHeader header;
  header.request_id = 1;
  header.body_length = wire::kMaxBody;
  header.payload_length = wire::kMaxPayload;
  const uint64_t before = ResidentBytes(daemon_.engine());
  std::vector<RawClient> raws;
  for (int i = 0; i < 60; ++i) {
    raws.push_back(Raw());
    ASSERT_TRUE(raws.back().Send(std::as_bytes(std::span(&header, 1))));
  }
  ExpectUnharmed();
  if (!testing::IsInstrumented()) {
    EXPECT_LT(ResidentBytes(daemon_.engine()), before + (uint64_t{100} << 20));
  }
}

// ---- frames that mean nothing, or something wrong

TEST_F(Hostile, MutatedFramesAreAnsweredOrDropped) {
  std::mt19937_64 random(20);
  const std::vector<Bytes> frames = ValidFrames(large_, large_.own_blob());
  const int count = 1000 * testing::Scale();
  int answered = 0;
  for (int i = 0; i < count; ++i) {
    Bytes frame = frames[static_cast<size_t>(i) % frames.size()];
    const size_t changes = 1 + random() % 4;
    for (size_t c = 0; c < changes; ++c) {
      // Mostly behind the header: what is wrong there is found by the first look.
      const size_t from = random() % 8 == 0 ? 0 : sizeof(wire::FrameHeader);
      const size_t at = from + random() % (frame.size() - from);
      switch (random() % 3) {
        case 0: frame[at] ^= static_cast<std::byte>(1U << random() % 8); break;
        case 1: frame[at] = static_cast<std::byte>(random()); break;
        default: frame[at] = random() % 2 == 0 ? std::byte{0xff} : std::byte{0}; break;
      }
    }
    RawClient raw = Raw();
    raw.Send(frame);
    raw.Send(StatusFrame(99));
    raw.EndSending();
    if (raw.Receive()) ++answered;
    EXPECT_TRUE(raw.IsDropped());
    if (i % 100 == 0) {
      ASSERT_TRUE(HoldsPattern(client_.Get("large"), 2, kLarge)) << "after mutation " << i;
    }
  }
  EXPECT_GT(answered, count / 20);
  ExpectUnharmed();
}

TEST_F(Hostile, EveryFrameInAnyOrderOnOneConnectionIsServed) {
  std::mt19937_64 random(3);
  const std::vector<Bytes> frames = ValidFrames(large_, large_.own_blob());
  for (int i = 0; i < 20; ++i) {
    RawClient raw = Raw();
    for (int n = 0; n < 50; ++n) raw.Send(frames[random() % (frames.size() - 2)]);
    raw.EndSending();
    EXPECT_TRUE(raw.IsDropped());
  }
  ExpectUnharmed();
}

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

// ---- who is who

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

// ---- too much

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
  if (!testing::IsInstrumented()) {
    EXPECT_LT(ResidentBytes(engine), before + (uint64_t{64} << 20));
  }
  // Late, but all there.
  for (uint64_t i = 0; i < sent; ++i) {
    const auto reply = raw.Receive();
    ASSERT_TRUE(reply);
    ASSERT_EQ(reply->code(), StatusCode::kOk);
  }
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
  os::RaiseFdLimit();
  const uint64_t before = client_.GetStatus().value().connections;
  {
    std::vector<RawClient> silent;
    for (int i = 0; i < 600; ++i) silent.emplace_back(daemon_.socket());
    std::vector<RawClient> greeted;
    for (int i = 0; i < 600; ++i) greeted.push_back(Raw());
    for (RawClient& raw : greeted) {
      const auto reply = raw.Ask(StatusFrame());
      ASSERT_TRUE(reply);
      ASSERT_EQ(reply->code(), StatusCode::kOk);
    }
    ExpectUnharmed();
    EXPECT_GE(client_.GetStatus().value().connections, 1200U);
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
}  // namespace vineyard
