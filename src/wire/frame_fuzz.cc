// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Bytes of a connection, in pieces of any size: the first two bytes say how long the pieces are, in turn, so
// that frames are cut everywhere. What comes out must be what is in the bytes, however they are cut, and is
// decoded as every kind of message.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "wire/codec.h"
#include "wire/frame.h"

namespace vineyard::wire {
namespace {

size_t sink = 0;

void Read(const flatbuffers::String* s) { sink += s != nullptr ? s->size() : 0; }

void ReadRequest(const fb::Request& request) {
  switch (request.body_type()) {
    case fb::RequestBody::Hello: {
      const auto* hello = request.body_as_Hello();
      sink += hello->token()->low();
      if (hello->mapped() != nullptr) sink += hello->mapped()->size();
      break;
    }
    case fb::RequestBody::Put: Read(request.body_as_Put()->name()); break;
    case fb::RequestBody::Get: Read(request.body_as_Get()->name()); break;
    case fb::RequestBody::PutName: Read(request.body_as_PutName()->name()); break;
    case fb::RequestBody::DropName: Read(request.body_as_DropName()->name()); break;
    case fb::RequestBody::ListNames: Read(request.body_as_ListNames()->pattern()); break;
    case fb::RequestBody::ListObjects: Read(request.body_as_ListObjects()->pattern()); break;
    case fb::RequestBody::Delete:
      for (const uint64_t id : *request.body_as_Delete()->ids()) sink += id;
      break;
    case fb::RequestBody::SetLabels:
      for (const auto* label : *request.body_as_SetLabels()->labels()) Read(label->key());
      break;
    default: break;
  }
}

void ReadReply(const fb::Reply& reply) {
  sink += ToStatus(reply).message().size();
  switch (reply.body_type()) {
    case fb::ReplyBody::Welcome: Read(reply.body_as_Welcome()->volume()); break;
    case fb::ReplyBody::Got:
      if (const auto* extents = reply.body_as_Got()->extents()) {
        for (const auto* extent : *extents) {
          if (extent->chunks() != nullptr) sink += extent->chunks()->size();
        }
      }
      break;
    case fb::ReplyBody::Names:
      for (const auto* entry : *reply.body_as_Names()->names()) Read(entry->name());
      break;
    case fb::ReplyBody::Volumes:
      for (const auto* entry : *reply.body_as_Volumes()->volumes()) Read(entry->socket());
      break;
    default: break;
  }
}

void ReadDescriptor(std::span<const std::byte> bytes) {
  if (const auto d = DecodeDescriptor(bytes); d.ok()) {
    const ObjectInfo info = ToObjectInfo(**d);
    sink += info.nbytes + info.members.size() + EncodeDescriptor(info).size();
  }
}

void Decode(const Frame& frame) {
  VY_CHECK(reinterpret_cast<uintptr_t>(frame.body.data()) % 8 == 0);
  if (const auto r = DecodeRequest(frame.body); r.ok()) ReadRequest(**r);
  if (const auto r = DecodeReply(frame.body); r.ok()) ReadReply(**r);
  ReadDescriptor(frame.body);
  ReadDescriptor(frame.payload);
}

// The frames of a whole stream of bytes, one after another.
class Frames {
 public:
  explicit Frames(std::span<const std::byte> bytes) : rest_(bytes) {}

  // nullopt: there is none, or no whole one.
  std::optional<Frame> Next() {
    Frame frame;
    if (rest_.size() < sizeof frame.header) return std::nullopt;
    std::memcpy(&frame.header, rest_.data(), sizeof frame.header);
    const FrameHeader& h = frame.header;
    broken_ = h.magic != kFrameMagic || h.body_length > kMaxBody || h.payload_length > kMaxPayload;
    if (broken_) return std::nullopt;
    const uint64_t payload = sizeof h + Pad8(h.body_length);
    if (rest_.size() < payload + Pad8(h.payload_length)) return std::nullopt;
    frame.body = rest_.subspan(sizeof h, h.body_length);
    frame.payload = rest_.subspan(payload, h.payload_length);
    rest_ = rest_.subspan(payload + Pad8(h.payload_length));
    return frame;
  }
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] bool empty() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
  bool broken_ = false;
};

bool IsSame(const Frame& a, const Frame& b) {
  return std::memcmp(&a.header, &b.header, sizeof a.header) == 0 &&
         std::ranges::equal(a.body, b.body) && std::ranges::equal(a.payload, b.payload);
}

// All frames that have come whole. False: what comes next is none.
bool Take(FrameReader& reader, Frames& expected) {
  while (true) {
    const auto frame = reader.Next();
    if (!frame.ok()) return false;
    if (!frame->has_value()) return true;
    const auto same = expected.Next();
    VY_CHECK(same && IsSame(**frame, *same));
    Decode(**frame);
  }
}

}  // namespace
}  // namespace vineyard::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard::wire;
  if (size < 2) return 0;
  const auto length = [](uint8_t n) { return n == 0 ? SIZE_MAX : size_t{n} * n; };
  const size_t pieces[2] = {length(data[0]), length(data[1])};
  std::span<const std::byte> rest = std::as_bytes(std::span(data, size)).subspan(2);
  Frames expected(rest);
  FrameReader reader;
  for (size_t turn = 0; !rest.empty(); ++turn) {
    const auto space = reader.Space();
    VY_CHECK(!space.empty());
    const size_t n = std::min({space.size(), rest.size(), pieces[turn % 2]});
    std::memcpy(space.data(), rest.data(), n);
    reader.Filled(n);
    rest = rest.subspan(n);
    if (!Take(reader, expected)) {
      VY_CHECK(!expected.Next() && expected.broken());
      // Its client connects again.
      reader = {};
      VY_CHECK(reader.Empty() && reader.wanted() == 0);
      VY_CHECK(reader.Space().size() == FrameReader::kUsualSpace);
      return 0;
    }
  }
  VY_CHECK(!expected.Next() && !expected.broken() && reader.Empty() == expected.empty());
  return 0;
}
