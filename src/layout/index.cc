// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "layout/index.h"

#include <bit>

#include "vineyard/status.h"

namespace vineyard::layout {

namespace {

constexpr size_t kEntriesPerBucket = 4;
constexpr size_t kMovedPerChange = 8;  // buckets

size_t Capacity(std::span<const Bucket> buckets) { return buckets.size() * kEntriesPerBucket; }
// Linear probing stays short below three quarters.
size_t Bound(std::span<const Bucket> buckets) { return Capacity(buckets) / 4 * 3; }

}  // namespace

IndexWriter::IndexWriter(std::span<Bucket> first, Hooks hooks) : hooks_(std::move(hooks)) {
  VY_CHECK(std::has_single_bit(first.size()));
  current_.buckets = first;
}

IndexEntry* IndexWriter::Find(Table& table, uint64_t key, Ref ref) {
  if (table.buckets.empty()) return nullptr;
  const size_t mask = table.buckets.size() - 1;
  size_t at = Mix64(key) & mask;
  for (size_t step = 0; step <= mask; ++step, at = (at + 1) & mask) {
    bool ends = false;
    for (IndexEntry& entry : table.buckets[at].entries) {
      const uint64_t found = entry.key.load(std::memory_order_relaxed);
      if (found == key && entry.ref.load(std::memory_order_relaxed) == ref.value()) return &entry;
      ends = ends || found == 0;
    }
    if (ends) return nullptr;
  }
  return nullptr;
}

bool IndexWriter::Insert(Table& table, uint64_t key, Ref ref) {
  const size_t mask = table.buckets.size() - 1;
  size_t at = Mix64(key) & mask;
  for (size_t step = 0; step <= mask; ++step, at = (at + 1) & mask) {
    for (IndexEntry& entry : table.buckets[at].entries) {
      if (entry.ref.load(std::memory_order_relaxed) != 0) continue;
      if (entry.key.load(std::memory_order_relaxed) == 0) ++table.used;
      // The key first: between the two stores the entry is free, not another key's.
      entry.key.store(key, std::memory_order_release);
      entry.ref.store(ref.value(), std::memory_order_release);
      return true;
    }
  }
  return false;
}

bool IndexWriter::Apply(uint64_t key, Ref was, Ref now) {
  MoveSome(kMovedPerChange);
  if (!was.is_null()) {
    IndexEntry* entry = Find(current_, key, was);
    if (entry == nullptr) entry = Find(old_, key, was);
    if (entry != nullptr) {
      entry->ref.store(now.value(), std::memory_order_release);
      if (now.is_null()) --live_;
      return true;
    }
    if (now.is_null()) return true;
  }
  if (Find(current_, key, now) != nullptr || Find(old_, key, now) != nullptr) return true;
  if (!Reserve(1) || !Insert(current_, key, now)) return false;
  ++live_;
  return true;
}

void IndexWriter::Prefetch(uint64_t key) const {
  __builtin_prefetch(&current_.buckets[Mix64(key) & (current_.buckets.size() - 1)], 1);
}

bool IndexWriter::Reserve(size_t more) {
  if (current_.used + more <= Bound(current_.buckets)) return true;
  if (Grow(live_ + more)) return true;
  // Without memory for a larger one the present one serves on, ever slower, until it is full.
  return current_.used + more < Capacity(current_.buckets);
}

bool IndexWriter::Grow(size_t wanted_entries) {
  if (!old_.buckets.empty()) MoveSome(old_.buckets.size());
  size_t buckets = current_.buckets.size();
  // At most half full when everything has moved: room for the changes made meanwhile.
  while (buckets * kEntriesPerBucket / 2 < wanted_entries) buckets *= 2;
  std::span<Bucket> fresh = hooks_.grow(buckets);
  if (fresh.empty()) return false;
  old_ = current_;
  current_ = {.buckets = fresh, .used = 0};
  next_to_move_ = 0;
  return true;
}

void IndexWriter::MoveSome(size_t count) {
  if (old_.buckets.empty()) return;
  for (; count > 0 && next_to_move_ < old_.buckets.size(); --count, ++next_to_move_) {
    for (IndexEntry& entry : old_.buckets[next_to_move_].entries) {
      const Ref ref(entry.ref.load(std::memory_order_relaxed));
      if (ref.is_null()) continue;
      // There in both for a moment, then only in the new one: a reader that looked too early in the
      // one and too late in the other asks the instance.
      VY_CHECK(Insert(current_, entry.key.load(std::memory_order_relaxed), ref));
      entry.ref.store(0, std::memory_order_release);
    }
  }
  if (next_to_move_ == old_.buckets.size()) {
    old_ = {};
    hooks_.retire_old();
  }
}

void ForEachEntry(std::span<const Bucket> buckets,
                  const std::function<void(uint64_t key, Ref ref)>& visit) {
  for (const Bucket& bucket : buckets) {
    for (const IndexEntry& entry : bucket.entries) {
      const uint64_t key = entry.key.load(std::memory_order_acquire);
      const uint64_t ref = entry.ref.load(std::memory_order_acquire);
      if (key != 0 && ref != 0) visit(key, Ref(ref));
    }
  }
}

}  // namespace vineyard::layout
