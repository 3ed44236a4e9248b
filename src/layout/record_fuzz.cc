// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Arbitrary bytes as a record: in a message, and in shared memory.
#include <cstring>
#include <memory>

#include "layout/record.h"
#include "vineyard/status.h"

namespace {

uint64_t sink = 0;

void Read(const vineyard::layout::RecordCopy& copy) {
  for (const std::byte b : copy.head()) sink += static_cast<uint64_t>(b);
  for (const std::byte b : copy.bytes()) sink += static_cast<uint64_t>(b);
  sink += vineyard::layout::RecordChecksum(copy.fields(), copy.head());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard::layout;
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
  if (const auto copy = RecordCopy::FromMessage(bytes)) Read(*copy);
  if (size < kRecordHeader) return 0;
  // Exactly as much memory as is said to be there, so that a sanitizer sees what is read behind it.
  struct alignas(kRecordAlign) Line {
    std::byte bytes[kRecordAlign];
  };
  const size_t lines = size / kRecordAlign;
  const auto slot = std::make_unique_for_overwrite<Line[]>(lines);
  std::memcpy(slot.get(), data, lines * kRecordAlign);
  std::byte* at = slot[0].bytes;
  const auto copy = TryReadRecord(at, lines * kRecordAlign);
  if (!copy) return 0;
  Read(*copy);
  // What was read can be written again, and is then the same.
  RecordFields fields = copy->fields();
  if (RecordSize(fields.head_length, fields.bytes_length) > lines * kRecordAlign) return 0;
  WriteRecord(at, fields, copy->head(), copy->bytes(), 1);
  const auto again = TryReadRecord(at, lines * kRecordAlign);
  VY_CHECK(again.has_value());
  VY_CHECK(again->fields().id == fields.id && again->head_text() == copy->head_text());
  VY_CHECK(again->fields().checksum == RecordChecksum(again->fields(), again->head()));
  VY_CHECK(SequenceOf(at) == 1 && HeadOf(at).size() == fields.head_length &&
           BytesOf(at).size() == fields.bytes_length);
  EraseRecord(at);
  VY_CHECK(!TryReadRecord(at, lines * kRecordAlign).has_value());
  return 0;
}
