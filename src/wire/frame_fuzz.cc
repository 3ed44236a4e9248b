// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Bytes of a connection, in pieces of any size: each input byte pair says how long the next piece is,
// so that frames are cut everywhere. What comes out is decoded as every kind of message.
#include <algorithm>
#include <cstring>
#include <string>

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

}  // namespace
}  // namespace vineyard::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard::wire;
  FrameReader reader;
  std::span<const uint8_t> rest(data, size);
  // The first two bytes: how long the pieces are, in turn.
  size_t pieces[2] = {SIZE_MAX, SIZE_MAX};
  for (size_t& piece : pieces) {
    if (rest.empty()) return 0;
    if (rest[0] != 0) piece = size_t{rest[0]} * rest[0];
    rest = rest.subspan(1);
  }
  for (size_t turn = 0; !rest.empty(); ++turn) {
    const auto space = reader.Space();
    const size_t n = std::min({space.size(), rest.size(), pieces[turn % 2]});
    std::memcpy(space.data(), rest.data(), n);
    reader.Filled(n);
    rest = rest.subspan(n);
    while (true) {
      const auto frame = reader.Next();
      if (!frame.ok()) return 0;
      if (!frame->has_value()) break;
      const Frame& f = **frame;
      if (const auto r = DecodeRequest(f.body); r.ok()) ReadRequest(**r);
      if (const auto r = DecodeReply(f.body); r.ok()) ReadReply(**r);
      ReadDescriptor(f.body);
      ReadDescriptor(f.payload);
    }
  }
  return 0;
}
