// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/prepared_put.h"

#include <array>

#include <fmt/format.h>

#include "client/impl.h"
#include "os/memfd.h"

namespace vineyard::client {

using flatbuffers::FlatBufferBuilder;

namespace {

constexpr uint64_t kBufferAlign = 64;
constexpr std::array<std::byte, 64> kZeros{};

std::vector<std::span<const std::byte>> SmallPayload(std::span<const std::byte> descriptor,
                                                     const OwnBytes& own) {
  std::vector<std::span<const std::byte>> payload;
  payload.reserve(2 + own.pieces.size() * 2);
  payload.push_back(descriptor);
  payload.push_back(std::span(kZeros).first(wire::Pad8(descriptor.size()) - descriptor.size()));
  uint64_t at = 0;
  for (const OwnBytes::Piece& piece : own.pieces) {
    payload.push_back(std::span(kZeros).first(piece.offset - at));
    payload.push_back(piece.bytes);
    at = piece.offset + piece.bytes.size();
  }
  return payload;
}

}  // namespace

uint64_t OwnBytes::Add(std::span<const std::byte> added) {
  const uint64_t offset = os::RoundUp(size, kBufferAlign);
  pieces.push_back({added, offset});
  size = offset + added.size();
  bytes += added.size();
  return offset;
}

Outgoing PreparedPut::Request(ObjectId reservation) const {
  const uint64_t sent = small ? own.size : 0;
  Outgoing put = Change(
      fb::RequestBody::Put, [this, reservation, sent](FlatBufferBuilder& b, uint64_t number) {
        const auto name = options.name.empty() ? flatbuffers::Offset<flatbuffers::String>()
                                               : b.CreateString(options.name);
        const std::vector<uint64_t> sealed = in_place.Also();
        const auto also = sealed.empty() ? flatbuffers::Offset<flatbuffers::Vector<uint64_t>>()
                                         : b.CreateVector(sealed);
        return fb::CreatePut(b, number, fb::PutKind::Object, descriptor.size(), sent,
                             reservation.value(), own.size, name, options.if_version.has_value(),
                             options.if_version.value_or(0), MillisecondsUntil(deadline), also,
                             options.stream.value(), TtlMilliseconds(options.ttl),
                             siblings.empty() ? 0 : b.CreateVectorOfStructs(siblings),
                             options.linger.has_value(), TtlMilliseconds(options.linger),
                             options.durability == Durability::kDisk, options.keep)
            .Union();
      });
  put.payload = SmallPayload(descriptor, small ? own : OwnBytes());
  return put;
}

Status Prepare(Connection& connection, const ObjectBuilder& builder, PreparedPut* put) {
  VY_ASSIGN_OR_RETURN(put->in_place,
                      InPlace::Begin(connection, builder, put->options.copying, put->deadline));
  put->siblings = put->in_place.Siblings(connection);
  std::vector<BufferRef> buffers;
  buffers.reserve(builder.buffers().size());
  for (size_t i = 0; i < builder.buffers().size(); ++i) {
    const ObjectBuilder::Buffer& buffer = builder.buffers()[i];
    if (const BufferRef* place = put->in_place.Find(i)) {
      buffers.push_back(*place);
      continue;
    }
    const Blob* blob = std::get_if<Blob>(&buffer);
    if (blob != nullptr && blob->zero_copy()) {
      buffers.push_back({blob->id(), blob->offset(), blob->size()});
      continue;
    }
    // A small blob may lie within another object's record, which can't be referred to.
    const auto bytes = blob ? blob->bytes() : std::get<std::span<const std::byte>>(buffer);
    buffers.push_back({ObjectId(), put->own.Add(bytes), bytes.size()});
  }
  put->descriptor = wire::EncodeNewObject({.type_name = builder.type_name(),
                                           .metadata = builder.metadata(),
                                           .buffers = buffers,
                                           .members = builder.members(),
                                           .labels = builder.labels(),
                                           .pod = connection.pod(),
                                           .program = connection.program()});
  put->small = put->own.size <= connection.inline_max();
  const uint64_t payload = put->descriptor.size() + (put->small ? put->own.size : 0);
  if (payload <= wire::kMaxPayload) return {};
  return Status::LimitExceeded(
      fmt::format("an object's description (all but the bytes of its buffers) of {} bytes is too "
                  "large; at most {} go with a put",
                  put->descriptor.size(), wire::kMaxPayload));
}

Result<ObjectId> IdOf(const Result<Answer>& answer) {
  if (!answer.ok()) return answer.status();
  const fb::Done* done = answer->reply().body_as_Done();
  if (done == nullptr) return Status::Protocol("the instance's answer to a put is none");
  return ObjectId(done->id());
}

}  // namespace vineyard::client
