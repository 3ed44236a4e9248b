// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A descriptor as it comes with a put. What is accepted must survive what the instance does with it:
// stamped, read, and encoded again to the same.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "vineyard/status.h"
#include "wire/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard;
  std::vector<uint64_t> words((size + 7) / 8);
  if (size > 0) std::memcpy(words.data(), data, size);
  const auto bytes = std::as_writable_bytes(std::span(words)).first(size);
  const auto decoded = wire::DecodeDescriptor(bytes);
  if (!decoded.ok()) return 0;
  wire::StampDescriptor(bytes, fb::Stamp(7, 8, 9, 10));
  // Tables may overlap in a hostile message, so that the stamp changes what else is there: it must
  // still be safe to read.
  const auto again = wire::DecodeDescriptor(bytes);
  if (!again.ok()) return 0;
  const ObjectInfo info = wire::ToObjectInfo(**again);
  const std::vector<std::byte> encoded = wire::EncodeDescriptor(info);
  std::vector<uint64_t> aligned((encoded.size() + 7) / 8);
  std::memcpy(aligned.data(), encoded.data(), encoded.size());
  const auto back = wire::DecodeDescriptor(std::as_bytes(std::span(aligned)).first(encoded.size()));
  VY_CHECK(back.ok());
  const ObjectInfo same = wire::ToObjectInfo(**back);
  VY_CHECK(same.id == info.id && same.type_name == info.type_name &&
           same.metadata == info.metadata && same.nbytes == info.nbytes &&
           same.members.size() == info.members.size() && same.labels.size() == info.labels.size());
  return 0;
}
