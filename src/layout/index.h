// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The index of a catalog: from a key (an object's, blob's or stream's id, or the hash of a name) to where its
// record lies. Written by the engine's one thread, read by anyone without a lock.
//
// A segment is an open-addressing table of buckets, each one cache line with four entries. An entry
// whose ref is 0 is free; one whose key is 0 too was never used, and ends a search. There are at most
// two segments in use: the current one, and an older one whose entries move over a few at a time.
//
// A reader may miss an entry that is moving, or pair a key with the ref of the entry's next use. So
// hits are proved by the record (its id, or its name), and misses are confirmed by the instance.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "base/hash.h"
#include "layout/record.h"
#include "vineyard/ids.h"

namespace vineyard::layout {

/// Where a record lies, and what kind it is. The value 0 is "nowhere".
class Ref {
 public:
  constexpr Ref() = default;
  constexpr explicit Ref(uint64_t value) : value_(value) {}
  constexpr Ref(RecordKind kind, uint32_t arena, uint64_t offset)
      : value_(static_cast<uint64_t>(kind) << 60 | static_cast<uint64_t>(arena) << 26 |
               offset / kRecordAlign) {}

  static constexpr uint32_t kMaxArena = (1U << 24) - 1;
  static constexpr uint64_t kMaxOffset = ((uint64_t{1} << 26) - 1) * kRecordAlign;

  [[nodiscard]] constexpr uint64_t value() const { return value_; }
  [[nodiscard]] constexpr bool is_null() const { return value_ == 0; }
  [[nodiscard]] constexpr RecordKind kind() const { return static_cast<RecordKind>(value_ >> 60); }
  [[nodiscard]] constexpr uint32_t arena() const {
    return static_cast<uint32_t>(value_ >> 26) & kMaxArena;
  }
  [[nodiscard]] constexpr uint64_t offset() const {
    return (value_ & ((uint64_t{1} << 26) - 1)) * kRecordAlign;
  }
  constexpr bool operator==(const Ref&) const = default;

 private:
  uint64_t value_ = 0;
};

struct IndexEntry {
  std::atomic<uint64_t> key;
  std::atomic<uint64_t> ref;
};

struct alignas(64) Bucket {
  IndexEntry entries[4];
};
static_assert(sizeof(Bucket) == 64, "one cache line a probe");

/// Never 0, which marks entries never used.
inline uint64_t NameKey(std::string_view name, uint64_t seed) {
  const uint64_t h = HashBytes(name, seed);
  return h == 0 ? 1 : h;
}

/// Calls visit(Ref) for each entry of the key until it returns true. Returns whether one did.
template <typename Visit>
bool ProbeSegment(std::span<const Bucket> buckets, uint64_t key, Visit&& visit) {
  if (buckets.empty()) return false;
  const size_t mask = buckets.size() - 1;
  size_t at = Mix64(key) & mask;
  for (size_t step = 0; step <= mask; ++step, at = (at + 1) & mask) {
    bool ends = false;
    for (const IndexEntry& entry : buckets[at].entries) {
      const uint64_t found = entry.key.load(std::memory_order_acquire);
      if (found == key) {
        const uint64_t ref = entry.ref.load(std::memory_order_acquire);
        if (ref != 0 && visit(Ref(ref))) return true;
      } else if (found == 0) {
        ends = true;
      }
    }
    if (ends) return false;
  }
  return false;
}

/// Engine's side. Owned by the thread that owns the volume; the memory of the segments is kept by the
/// volume, which is told when one is no longer in use.
class IndexWriter {
 public:
  struct Hooks {
    /// Makes a segment of that many buckets (zeroed), announces it, and returns it; an empty span when
    /// there is no memory for it (the index then goes on in the present one as long as it can).
    std::function<std::span<Bucket>(size_t buckets)> grow;
    /// The older segment is empty: readers may forget it.
    std::function<void()> retire_old;
  };

  IndexWriter(std::span<Bucket> first, Hooks hooks);

  /// Puts an entry (key, now) where (key, was) is: was null: a new entry; now null: erased. Idempotent:
  /// carried out already, it changes nothing. False: there is no room for a new entry.
  bool Apply(uint64_t key, Ref was, Ref now);

  /// `key` will be looked for soon: its bucket is fetched from memory meanwhile.
  void Prefetch(uint64_t key) const;

  /// Makes room for `more` new entries, so that as many Apply calls succeed. False: no memory.
  bool Reserve(size_t more);

  [[nodiscard]] size_t live() const { return live_; }

 private:
  struct Table {
    std::span<Bucket> buckets;
    size_t used = 0;  // entries that are not "never used"
  };

  IndexEntry* Find(Table& table, uint64_t key, Ref ref);
  bool Insert(Table& table, uint64_t key, Ref ref);
  bool Grow(size_t wanted_entries);
  void MoveSome(size_t buckets);

  Table current_;
  Table old_;
  size_t next_to_move_ = 0;
  size_t live_ = 0;
  Hooks hooks_;
};

/// Calls visit(key, Ref) for every entry.
void ForEachEntry(std::span<const Bucket> buckets,
                  const std::function<void(uint64_t key, Ref ref)>& visit);

}  // namespace vineyard::layout
