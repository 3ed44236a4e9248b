// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "layout/record.h"

#include <cstring>

#include "base/hash.h"
#include "vineyard/status.h"

namespace vineyard::layout {

namespace {

constexpr uint64_t kLinesAhead = 6;

uint64_t LoadWord(const std::byte* p) {
  return __atomic_load_n(reinterpret_cast<const uint64_t*>(p), __ATOMIC_ACQUIRE);
}
void StoreWord(std::byte* p, uint64_t value) {
  __atomic_store_n(reinterpret_cast<uint64_t*>(p), value, __ATOMIC_RELEASE);
}

// Stores bytes as whole words; the last one is padded with zeros.
void StoreBytes(std::byte* to, std::span<const std::byte> from) {
  const size_t words = from.size() / 8;
  for (size_t i = 0; i < words; ++i) {
    uint64_t word;
    std::memcpy(&word, from.data() + i * 8, 8);
    StoreWord(to + i * 8, word);
  }
  if (const size_t rest = from.size() % 8; rest != 0) {
    uint64_t word = 0;
    std::memcpy(&word, from.data() + words * 8, rest);
    StoreWord(to + words * 8, word);
  }
}

}  // namespace

void RecordCopy::Allocate(uint64_t bytes) {
  memory_ = std::make_unique_for_overwrite<std::byte[]>(bytes + kRecordAlign);
  const auto at = AlignRecord(reinterpret_cast<uintptr_t>(memory_.get()));
  words_ = reinterpret_cast<uint64_t*>(at);
}

uint64_t RecordChecksum(const RecordFields& fields, std::span<const std::byte> head) {
  RecordFields without = fields;
  without.checksum = 0;
  return HashBytes(head, HashBytes(std::as_bytes(std::span(&without, 1))));
}

std::optional<RecordCopy> TryReadRecord(const std::byte* slot, uint64_t available) {
  // Most records are this long. Among a million each line is a miss, and these go on at once.
  for (uint64_t line = 1; line < kLinesAhead && line * 64 < available; ++line) {
    __builtin_prefetch(slot + line * 64);
  }
  const uint64_t before = LoadWord(slot);
  if (before == 0) return std::nullopt;
  RecordCopy copy;
  uint64_t words[sizeof(RecordFields) / 8];
  for (size_t i = 0; i < std::size(words); ++i) words[i] = LoadWord(slot + 8 + i * 8);
  std::memcpy(static_cast<void*>(&copy.fields_), words, sizeof words);
  const RecordFields& f = copy.fields_;
  if (f.bytes_length > available || BytesOffset(f.head_length) + f.bytes_length > available) {
    return std::nullopt;
  }
  const uint64_t length = AlignRecord(f.head_length) + f.bytes_length;
  const size_t count = (length + 7) / 8;
  copy.Allocate(length);
  const std::byte* from = slot + kRecordHeader;
  const size_t head_words = (size_t{f.head_length} + 7) / 8;
  for (size_t i = 0; i < head_words; ++i) copy.words_[i] = LoadWord(from + i * 8);
  for (size_t i = AlignRecord(f.head_length) / 8; i < count; ++i) {
    copy.words_[i] = LoadWord(from + i * 8);
  }
  if (__atomic_load_n(reinterpret_cast<const uint64_t*>(slot), __ATOMIC_RELAXED) != before) {
    return std::nullopt;
  }
  return copy;
}

std::optional<RecordCopy> RecordCopy::FromMessage(std::span<const std::byte> payload) {
  RecordCopy copy;
  if (payload.size() < sizeof(RecordFields)) return std::nullopt;
  std::memcpy(static_cast<void*>(&copy.fields_), payload.data(), sizeof(RecordFields));
  const std::span<const std::byte> rest = payload.subspan(sizeof(RecordFields));
  const uint64_t head = AlignRecord(copy.fields_.head_length);
  if (head > rest.size() || copy.fields_.bytes_length != rest.size() - head) return std::nullopt;
  copy.Allocate(rest.size());
  std::memcpy(copy.words_, rest.data(), rest.size());
  return copy;
}

const RecordFields& FieldsOf(const std::byte* slot) {
  return *reinterpret_cast<const RecordFields*>(slot + 8);
}
std::span<const std::byte> HeadOf(const std::byte* slot) {
  return {slot + kRecordHeader, FieldsOf(slot).head_length};
}
std::span<const std::byte> BytesOf(const std::byte* slot) {
  const RecordFields& f = FieldsOf(slot);
  return {slot + BytesOffset(f.head_length), f.bytes_length};
}
uint64_t SequenceOf(const std::byte* slot) { return LoadWord(slot); }

void WriteRecord(std::byte* slot, RecordFields fields, std::span<const std::byte> head,
                 std::span<const std::byte> bytes, uint64_t sequence) {
  VY_DCHECK(sequence != 0);
  fields.head_length = static_cast<uint32_t>(head.size());
  fields.bytes_length = bytes.size();
  fields.checksum = RecordChecksum(fields, head);
  __atomic_store_n(reinterpret_cast<uint64_t*>(slot), uint64_t{0}, __ATOMIC_RELAXED);  // W1
  StoreBytes(slot + 8, std::as_bytes(std::span(&fields, 1)));                          // W2
  StoreBytes(slot + kRecordHeader, head);
  StoreBytes(slot + BytesOffset(fields.head_length), bytes);
  StoreWord(slot, sequence);  // W3
}

void EraseRecord(std::byte* slot) { StoreWord(slot, 0); }

// ---- names

std::optional<NameTerm> ReadNameTerm(std::span<const std::byte> bytes) {
  if (bytes.empty()) return NameTerm{};
  if (bytes.size() == sizeof(NameEnd)) {
    NameEnd end;
    std::memcpy(&end, bytes.data(), sizeof end);
    return NameTerm{.ends_ns = end.monotonic_ns};
  }
  if (bytes.size() != sizeof(NameLease)) return std::nullopt;
  NameLease lease;
  std::memcpy(&lease, bytes.data(), sizeof lease);
  // More clients than this there never were: a number that comes after the largest one would be none.
  constexpr uint64_t kLastClient = uint64_t{1} << 62;
  constexpr int64_t kLongest = INT64_MAX / 2;
  if (lease.client == 0 || lease.client > kLastClient || lease.linger_ns < 0 ||
      lease.linger_ns > kLongest) {
    return std::nullopt;
  }
  NameTerm term{.client = lease.client, .linger_ns = lease.linger_ns};
  if (lease.monotonic_ns != INT64_MAX) term.ends_ns = lease.monotonic_ns;
  return term;
}

std::vector<std::byte> WriteNameTerm(const NameTerm& term) {
  std::vector<std::byte> bytes;
  const auto write = [&bytes](const auto& form) {
    const auto raw = std::as_bytes(std::span(&form, 1));
    bytes.assign(raw.begin(), raw.end());
  };
  if (term.client != 0) {
    write(NameLease{term.ends_ns.value_or(INT64_MAX), term.client, term.linger_ns});
  } else if (term.ends_ns) {
    write(NameEnd{*term.ends_ns});
  }
  return bytes;
}

}  // namespace vineyard::layout
