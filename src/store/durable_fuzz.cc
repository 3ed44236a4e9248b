// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Whatever a file says of a durable record or volume: it is refused, or what is read, written again, reads the same.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "store/durable_format.h"

namespace vineyard::store {
namespace {

void TryRecord(std::span<const std::byte> bytes) {
  const auto record = DecodeDurableRecord(bytes);
  if (!record.ok()) return;
  const std::vector<std::byte> again = EncodeDurableRecord(*record);
  VY_CHECK(again.size() == bytes.size());
  const auto reread = DecodeDurableRecord(again);
  VY_CHECK(reread.ok() && std::ranges::equal(reread->head, record->head) &&
           std::ranges::equal(reread->bytes, record->bytes) &&
           reread->fields.value == record->fields.value && reread->ends_ns == record->ends_ns);
}

void TryVolume(std::span<const std::byte> bytes) {
  const auto volume = DecodeDurableVolume(bytes);
  if (!volume.ok()) return;
  const auto reread = DecodeDurableVolume(EncodeDurableVolume(*volume));
  VY_CHECK(reread.ok() && reread->name == volume->name &&
           reread->sockets[1].path == volume->sockets[1].path);
}

}  // namespace
}  // namespace vineyard::store

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard::store;
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  const std::vector<std::byte> bytes(begin, begin + size);  // aligned
  TryRecord(bytes);
  TryVolume(bytes);
  return 0;
}
