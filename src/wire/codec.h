// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// From bytes to messages and back. Decoding verifies everything: what it returns can be read without
// further checks of structure (what the values mean is the handler's business).
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "descriptor_generated.h"
#include "messages_generated.h"
#include "vineyard/object.h"
#include "vineyard/status.h"

namespace vineyard::wire {

/// Valid as long as the bytes. kProtocol for anything that is no well-formed message.
Result<const fb::Request*> DecodeRequest(std::span<const std::byte> bytes);
Result<const fb::Reply*> DecodeReply(std::span<const std::byte> bytes);
/// REQUIRES: bytes aligned to 8.
Result<const fb::Descriptor*> DecodeDescriptor(std::span<const std::byte> bytes);

/// The id, time and creator in it are zero until the instance stamps them (see StampDescriptor).
/// `blob` of a buffer that is stored with the object is null in `info`.
std::vector<std::byte> EncodeDescriptor(const ObjectInfo& info);
/// The same of an object that has no stamp yet.
struct NewObject {
  std::string_view type_name;
  std::string_view metadata;
  std::span<const BufferRef> buffers;
  std::span<const Member> members;
  std::span<const Label> labels;
  std::string_view pod;
  std::string_view program;
};
std::vector<std::byte> EncodeNewObject(const NewObject& object);
/// REQUIRES: `bytes` have been decoded successfully.
void StampDescriptor(std::span<std::byte> bytes, const fb::Stamp& stamp);

/// Buffers of the own blob get its real id.
ObjectInfo ToObjectInfo(const fb::Descriptor& descriptor);

/// The Status a Reply carries; OK for code 0.
Status ToStatus(const fb::Reply& reply);

inline std::string ToString(const flatbuffers::String* s) { return s ? s->str() : std::string(); }

}  // namespace vineyard::wire
