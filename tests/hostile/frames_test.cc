// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Bytes that are no frame, or one that has been damaged on its way: it is answered, or its sender is
// dropped.
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "hostile/hostile.h"
#include "wire/frame.h"

namespace vineyard::testing {
namespace {

Bytes PlaceFrame(fb::PlaceAction action, ObjectId id) {
  return MakeFrame(fb::RequestBody::PlaceObjects, [&](Builder& b) {
    return fb::CreatePlaceObjects(b, action, b.CreateVector(std::vector{id.value()}), true, 10)
        .Union();
  });
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
      PlaceFrame(fb::PlaceAction::Load, object),
      PlaceFrame(fb::PlaceAction::Unpin, object),
      PlaceFrame(fb::PlaceAction::Evict, ObjectId(ids[0])),
      MakeFrame(fb::RequestBody::GetPlaces,
                [&](Builder& b) { return fb::CreateGetPlaces(b, object.value()).Union(); }),
      MakeFrame(fb::RequestBody::Goodbye, [&](Builder& b) { return fb::CreateGoodbye(b).Union(); }),
      HelloFrame(FreshToken()),
  };
}

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
  if (!IsInstrumented()) {
    EXPECT_LT(ResidentBytes(daemon_.engine()), before + (uint64_t{100} << 20));
  }
}

// ---- frames that mean nothing

TEST_F(Hostile, MutatedFramesAreAnsweredOrDropped) {
  std::mt19937_64 random(20);
  const std::vector<Bytes> frames = ValidFrames(large_, large_.own_blob());
  const int count = 1000 * Scale();
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

}  // namespace
}  // namespace vineyard::testing
