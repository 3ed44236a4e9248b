// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For the fuzzer of recovery and its first inputs: what may have become of an engine's memory.
#pragma once

#include <cstdint>

namespace vineyard::store {

enum class Damage : uint8_t {
  kWord,       // of memory `what`
  kIntent,     // a word of the ledger's, counted from its intent
  kClientRow,  // the same, counted from its rows
  kItem,       // a number that the keeper tells of memory `what`
  kGone,       // the keeper does not have it
  kCopied,     // a copy of it, which nobody sealed, of `value` bytes; 0: of all
  kTorn,       // a word of record `what`
  kRecord,     // the same, and the record's checksum is right again
  kKind,       // record `what` is of kind `value`, and its entry says so
  kTwice,      // record `what` is there once more, and has two entries
  kEntry,      // the entry of record `what`: `at` is one of EntryChange
  kVolumeEnds,
};
inline constexpr unsigned kDamages = 12;

/// Found in an intent that the engine published, and did not carry out.
enum class EntryChange : uint16_t { kErased, kOfRecord, kOfNoArena, kBehindArena };

struct Change {
  uint8_t what;
  Damage how;
  uint16_t at;     // in units of 4 bytes; of kItem: which number
  uint32_t value;  // of kOfRecord: which record's place it has
};
static_assert(sizeof(Change) == 8, "is read from the input");

/// The first byte of an input.
inline constexpr uint8_t kWithDisk = 1;    // some extents are on a disk, or on it too
inline constexpr uint8_t kAfterFault = 2;  // the engine before ended by one
inline constexpr uint8_t kGrowing =
    4;  // the entries were on their way to a larger index; without a disk

}  // namespace vineyard::store
