// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Records: slots of an arena, written by the engine's one thread, read by anyone without a lock.
// docs/formats/record.md describes the bytes.
//
//   RecordHeader (64 bytes) | head, padded to 64 | bytes
//
// head: an object's descriptor, a blob's chunk list (ChunkEntry each), a name, or a stream's state
// (stream_state.h).
// bytes: the contents of a small blob (of an object: its own blob); of a name that ends by itself, when
// (NameEnd); else nothing.
//
// Note [Reading a record]
//
// Let S be the record's sequence word. The writer (one thread) does, in this order:
//   W1  S := 0                         (only if the slot was in use before)
//   W2  every other word := its value  (each a release store)
//   W3  S := n, n never used before    (a release store)
// and publishes the slot's place only after W3. The reader does:
//   R1  s := S        (acquire); give up if 0
//   R2  copies words  (each an acquire load)
//   R3  t := S        (relaxed); give up if t != s
// Claim: if the reader does not give up, every word it copied is of the record n = s.
// (a) Not older: R1 read n, so it synchronises with W3 of n, and all of W2 of n happened before.
// (b) Not newer: suppose a word came from a later record's W2. That store is a release that follows
//     its own W1 (or an earlier record's W1), so by R2's acquire the W1 happens before R3, and R3
//     reads 0 or a sequence later than n; sequences are never used twice, so t != s.
// Acquire loads also keep R3 after R2 for the hardware: no fence is needed, and ThreadSanitizer, which
// does not know fences, can follow it. The lengths read in R2 may be nonsense in a torn copy: they are
// bounded by the slot's arena before use.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "vineyard/ids.h"

namespace vineyard::layout {

enum class RecordKind : uint8_t { kFree = 0, kObject = 1, kBlob = 2, kName = 3, kStream = 4 };

/// kFlagOwned, of an object: its last name takes it along. Of a name: it was put with the object.
inline constexpr uint8_t kFlagOwned = 1;
/// The own bytes (of an object or blob) lie in an extent, not in this record.
inline constexpr uint8_t kFlagExtent = 2;
/// Of an object, blob or name: it is on the disk too, or about to be, and outlives the machine's power.
inline constexpr uint8_t kFlagDurable = 4;
/// Of a name: what it points to stays in memory.
inline constexpr uint8_t kFlagKeeps = 8;

/// What a record says besides its sequence: plain words, copied in and out of shared memory.
struct RecordFields {
  RecordKind kind = RecordKind::kFree;
  uint8_t flags = 0;
  uint16_t reserved = 0;
  uint32_t head_length = 0;
  uint64_t bytes_length = 0;
  uint64_t id = 0;        // of the object or blob; of a name: its hash; of a stream: its object's
  uint64_t value = 0;     // object, blob: size of the own blob; name: the id it points to
  uint64_t version = 0;   // name: counts from 1
  uint64_t creator = 0;   // pid, and uid << 32
  uint64_t checksum = 0;  // of the fields above and the head (RecordChecksum)
};
static_assert(sizeof(RecordFields) == 56, "lies in shared memory after the sequence");

inline constexpr uint64_t kRecordHeader = 64;
inline constexpr uint64_t kRecordAlign = 64;

constexpr uint64_t AlignRecord(uint64_t n) {
  return (n + kRecordAlign - 1) / kRecordAlign * kRecordAlign;
}
/// Where the bytes begin, from the record's start.
constexpr uint64_t BytesOffset(uint32_t head_length) {
  return kRecordHeader + AlignRecord(head_length);
}
constexpr uint64_t RecordSize(uint32_t head_length, uint64_t bytes_length) {
  return AlignRecord(BytesOffset(head_length) + bytes_length);
}

/// An entry of a blob's chunk list.
struct ChunkEntry {
  uint64_t size;
};

/// How long a name lives: until a time of CLOCK_MONOTONIC, or with a client, or both, whichever ends first.
struct NameTerm {
  std::optional<int64_t> ends_ns;
  uint64_t client = 0;    // its key; 0: it lives with none
  int64_t linger_ns = 0;  // and so much longer
};

/// The bytes of a name's record: none where it stays, else one of these.
struct NameEnd {
  int64_t monotonic_ns;
};
struct NameLease {
  int64_t monotonic_ns;  // INT64_MAX: only its client's end is one
  uint64_t client;
  int64_t linger_ns;
};

/// nullopt: they are no name's.
std::optional<NameTerm> ReadNameTerm(std::span<const std::byte> bytes);
std::vector<std::byte> WriteNameTerm(const NameTerm& term);

uint64_t RecordChecksum(const RecordFields& fields, std::span<const std::byte> head);

/// A private copy of one record, whole and of one moment.
class RecordCopy {
 public:
  [[nodiscard]] const RecordFields& fields() const { return fields_; }
  [[nodiscard]] std::span<const std::byte> head() const { return {data(), fields_.head_length}; }
  [[nodiscard]] std::string_view head_text() const {
    return {reinterpret_cast<const char*>(data()), fields_.head_length};
  }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {data() + AlignRecord(fields_.head_length), fields_.bytes_length};
  }
  /// The record as it travels in a message: fields, head padded to 64, bytes.
  static std::optional<RecordCopy> FromMessage(std::span<const std::byte> payload);

 private:
  friend std::optional<RecordCopy> TryReadRecord(const std::byte* slot, uint64_t available);
  const std::byte* data() const { return reinterpret_cast<const std::byte*>(words_); }
  void Allocate(uint64_t bytes);

  RecordFields fields_;
  // Head, padded, then bytes: both begin at a multiple of 64, as they do in the arena. Aligned here and not
  // by the allocator, which takes several times as long where it is asked to.
  std::unique_ptr<std::byte[]> memory_;
  uint64_t* words_ = nullptr;
};

/// Reads the record at `slot`, of which `available` bytes are mapped. nullopt: being written, free,
/// or changed meanwhile. REQUIRES: slot aligned to 64, available >= kRecordHeader.
std::optional<RecordCopy> TryReadRecord(const std::byte* slot, uint64_t available);

/// Engine's side: plain views of its own mapping.
const RecordFields& FieldsOf(const std::byte* slot);
std::span<const std::byte> HeadOf(const std::byte* slot);
std::span<const std::byte> BytesOf(const std::byte* slot);
uint64_t SequenceOf(const std::byte* slot);

/// Writes a record (the checksum is computed here). REQUIRES: the slot has room, and is not published.
/// `head` and `bytes` are given in parts that follow one another.
void WriteRecord(std::byte* slot, RecordFields fields, std::span<const std::byte> head,
                 std::span<const std::byte> bytes, uint64_t sequence);
/// Marks the slot as free: readers that are in it give up.
void EraseRecord(std::byte* slot);

}  // namespace vineyard::layout
