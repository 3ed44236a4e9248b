// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "wire/codec.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "base/testing.h"
#include "wire/test_object.h"

namespace vineyard::wire {
namespace {

// Aligned to 8, as whoever decodes must provide.
class Aligned {
 public:
  explicit Aligned(std::span<const std::byte> bytes)
      : words_((bytes.size() + 7) / 8), size_(bytes.size()) {
    if (!bytes.empty()) std::memcpy(words_.data(), bytes.data(), bytes.size());
  }
  explicit Aligned(const flatbuffers::FlatBufferBuilder& finished)
      : Aligned(std::as_bytes(std::span(finished.GetBufferPointer(), finished.GetSize()))) {}
  [[nodiscard]] std::span<std::byte> bytes() {
    return std::as_writable_bytes(std::span(words_)).first(size_);
  }

 private:
  std::vector<uint64_t> words_;
  size_t size_;
};

// Everything that can be asked of a message that was decoded; to be run on damaged ones.
size_t ReadAll(const fb::Descriptor& d) {
  const ObjectInfo info = ToObjectInfo(d);
  size_t sum = info.type_name.size() + info.metadata.size() + info.creator.pod.size();
  for (const Member& m : info.members) sum += m.key.size();
  for (const Label& l : info.labels) sum += l.key.size() + l.value.size();
  return sum + info.buffers.size();
}

TEST(Codec, NoBytesAreNoMessage) {
  EXPECT_CODE(kProtocol, DecodeRequest({}));
  EXPECT_CODE(kProtocol, DecodeReply({}));
  EXPECT_CODE(kProtocol, DecodeDescriptor({}));
}

TEST(Codec, EveryTruncationIsRefusedOrWhole) {
  const std::vector<std::byte> bytes = EncodeDescriptor(ExampleObject());
  for (size_t n = 0; n < bytes.size(); ++n) {
    Aligned cut(std::span<const std::byte>(bytes).first(n));
    const auto decoded = DecodeDescriptor(cut.bytes());
    if (decoded.ok()) ReadAll(**decoded);
  }
}

TEST(Codec, EveryFlippedBitIsRefusedOrReadable) {
  const std::vector<std::byte> bytes = EncodeDescriptor(ExampleObject());
  size_t refused = 0;
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Aligned flipped(bytes);
    flipped.bytes()[bit / 8] ^= std::byte{1} << bit % 8;
    const auto decoded = DecodeDescriptor(flipped.bytes());
    if (decoded.ok()) {
      ReadAll(**decoded);
    } else {
      EXPECT_CODE(kProtocol, decoded);
      ++refused;
    }
  }
  EXPECT_GT(refused, 0u);
}

TEST(Codec, RandomBytesAreRefusedOrReadable) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<uint64_t> words(random() % 32);
    for (uint64_t& w : words) w = i % 2 == 0 ? random() : random() % 64;
    const auto bytes = std::as_bytes(std::span(words));
    if (auto d = DecodeDescriptor(bytes); d.ok()) ReadAll(**d);
    DecodeRequest(bytes).status().IgnoreError();
    if (auto r = DecodeReply(bytes); r.ok()) ToStatus(**r).IgnoreError();
  }
}

TEST(Codec, ADescriptorWithoutItsRequiredFieldsIsRefused) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(flatbuffers::Offset<void>(builder.EndTable(builder.StartTable())));
  Aligned bytes(builder);
  EXPECT_CODE(kProtocol, DecodeDescriptor(bytes.bytes()));
  EXPECT_CODE(kProtocol, DecodeRequest(bytes.bytes()));
  EXPECT_OK(DecodeReply(bytes.bytes()));  // an OK without a body
}

TEST(Codec, ARequestOfAKindFromTheFutureIsReadableAndUnknown) {
  flatbuffers::FlatBufferBuilder builder;
  const auto body = fb::CreateGetStatus(builder);
  builder.Finish(fb::CreateRequest(builder, static_cast<fb::RequestBody>(200), body.Union()));
  Aligned bytes(builder);
  ASSERT_OK_AND_ASSIGN(const fb::Request* request, DecodeRequest(bytes.bytes()));
  EXPECT_GT(request->body_type(), fb::RequestBody::MAX);
}

TEST(Codec, ADescriptorComesBackAsItWas) {
  const ObjectInfo info = ExampleObject();
  Aligned bytes(EncodeDescriptor(info));
  ASSERT_OK(DecodeDescriptor(bytes.bytes()));
  StampDescriptor(bytes.bytes(), fb::Stamp(9, 1'000, 123, 1000));
  ASSERT_OK_AND_ASSIGN(const fb::Descriptor* decoded, DecodeDescriptor(bytes.bytes()));
  const ObjectInfo back = ToObjectInfo(*decoded);
  EXPECT_EQ(back.id, ObjectId(9));
  EXPECT_EQ(back.created_unix_ns, 1'000);
  EXPECT_EQ(back.creator.pid, 123u);
  EXPECT_EQ(back.creator.uid, 1000u);
  EXPECT_EQ(back.creator.pod, info.creator.pod);
  EXPECT_EQ(back.type_name, info.type_name);
  EXPECT_EQ(back.metadata, info.metadata);
  ASSERT_EQ(back.buffers.size(), 2u);
  EXPECT_EQ(back.buffers[0].blob, ObjectId(9).own_blob());
  EXPECT_EQ(back.buffers[1].blob, info.buffers[1].blob);
  EXPECT_EQ(back.buffers[1].offset, 64u);
  EXPECT_EQ(back.nbytes, 148u);
  ASSERT_EQ(back.members.size(), 2u);
  EXPECT_EQ(back.members[1].key, "right");
  EXPECT_EQ(back.members[1].id, ObjectId(4));
  ASSERT_EQ(back.labels.size(), 1u);
  EXPECT_EQ(back.labels[0].value, "grapes");
}

// SetLabels encodes what was decoded: nothing but the labels may change on the way.
TEST(Codec, EncodingWhatWasDecodedKeepsTheStampAndTheOwnBuffers) {
  Aligned bytes(EncodeDescriptor(ExampleObject()));
  StampDescriptor(bytes.bytes(), fb::Stamp(9, 1'000, 123, 1000));
  const ObjectInfo info = ToObjectInfo(**DecodeDescriptor(bytes.bytes()));
  Aligned again(EncodeDescriptor(info));
  ASSERT_OK_AND_ASSIGN(const fb::Descriptor* d, DecodeDescriptor(again.bytes()));
  EXPECT_EQ(d->stamp()->id(), 9u);
  EXPECT_EQ(d->stamp()->created_unix_ns(), 1'000);
  EXPECT_EQ(d->buffers()->Get(0)->blob(), 0u);
}

TEST(Codec, EmptyListsAndStringsComeBackEmpty) {
  Aligned bytes(EncodeDescriptor({}));
  ASSERT_OK_AND_ASSIGN(const fb::Descriptor* d, DecodeDescriptor(bytes.bytes()));
  const ObjectInfo info = ToObjectInfo(*d);
  EXPECT_TRUE(info.buffers.empty());
  EXPECT_TRUE(info.members.empty());
  EXPECT_TRUE(info.labels.empty());
  EXPECT_EQ(info.type_name, "");
}

TEST(Codec, BytesThatAreNoTextSurvive) {
  ObjectInfo info;
  info.type_name = std::string("\0\xff\xfe", 3);
  Aligned bytes(EncodeDescriptor(info));
  EXPECT_EQ(ToObjectInfo(**DecodeDescriptor(bytes.bytes())).type_name, info.type_name);
}

// A vector of 64-bit numbers that begins where only 32-bit ones may passes the library's verifier.
TEST(Codec, ElementsThatAreMisalignedAreRefused) {
  size_t refused = 0;
  for (size_t pad = 1; pad <= 8; ++pad) {
    flatbuffers::FlatBufferBuilder builder;
    const std::vector<uint8_t> padding(pad);
    builder.CreateVector(padding);
    // Four numbers of 32 bits, whose length is then made to say: two of 64.
    const std::vector<uint32_t> halves{5, 0, 6, 0};
    const auto vector = builder.CreateVector(halves).o;
    const auto body = fb::CreateDelete(builder, 1, vector);
    builder.Finish(fb::CreateRequest(builder, fb::RequestBody::Delete, body.Union()));
    Aligned bytes(builder);
    const uint32_t written[] = {4, 5, 0, 6, 0};
    const auto length = std::ranges::search(bytes.bytes(), std::as_bytes(std::span(written)));
    ASSERT_FALSE(length.empty());
    length.front() = std::byte{2};
    const auto decoded = DecodeRequest(bytes.bytes());
    if (!decoded.ok()) {
      EXPECT_CODE(kProtocol, decoded);
      ++refused;
    } else {
      EXPECT_EQ((*decoded)->body_as_Delete()->ids()->Get(1), 6u);
    }
  }
  EXPECT_GT(refused, 0u);
}

TEST(Codec, AReplyThatLacksTheBodyItNamesIsRefused) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(fb::CreateReply(builder, 0, 0, fb::ReplyBody::Volumes));
  Aligned bytes(builder);
  EXPECT_CODE(kProtocol, DecodeReply(bytes.bytes()));
}

TEST(Codec, AReplyCarriesAStatus) {
  for (int code = 0; code <= 255; ++code) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(fb::CreateReplyDirect(builder, static_cast<uint8_t>(code), "why"));
    Aligned bytes(builder);
    ASSERT_OK_AND_ASSIGN(const fb::Reply* reply, DecodeReply(bytes.bytes()));
    const Status status = ToStatus(*reply);
    if (code == 0) {
      EXPECT_TRUE(status.ok());
      continue;
    }
    const bool known = code <= static_cast<int>(StatusCode::kProtocol);
    EXPECT_EQ(status.code(), known ? static_cast<StatusCode>(code) : StatusCode::kInternal);
    EXPECT_EQ(status.message(), "why");
  }
}

TEST(Codec, ManyMembersAreWithinTheLimits) {
  ObjectInfo info;
  info.type_name = "t";
  for (uint64_t i = 1; i <= 100'000; ++i)
    info.members.push_back({"k" + std::to_string(i), ObjectId(i)});
  Aligned bytes(EncodeDescriptor(info));
  ASSERT_OK_AND_ASSIGN(const fb::Descriptor* d, DecodeDescriptor(bytes.bytes()));
  EXPECT_EQ(d->members()->size(), 100'000u);
}

}  // namespace
}  // namespace vineyard::wire
