// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The first memory file of a volume's catalog: a header page that the engine writes, a page that the
// keeper writes, then the first segment of the index. docs/formats/catalog.md describes it.
//
// The engine and the keeper map it writable before it is sealed against future writes; everyone else
// maps it read-only. Fields without an atomic are written before the state becomes kLive and never
// again.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "os/robust_word.h"

namespace vineyard::layout {

inline constexpr uint64_t kCatalogMagic = 0x31474f4c54414359ULL;  // "YCATLOG1"
inline constexpr uint32_t kCatalogVersion = 1;
inline constexpr uint64_t kCatalogPage = 4096;
inline constexpr uint64_t kFirstSegmentOffset = 2 * kCatalogPage;
inline constexpr size_t kMaxSegments = 40;
inline constexpr size_t kMaxVolumeName = 128;

enum class VolumeState : uint32_t { kBuilding = 0, kLive = 1, kRemoved = 2 };

/// One segment of the index: segment 0 follows the two pages, each other is a memory file of its own.
struct SegmentInfo {
  uint64_t buckets;  // a power of two
  uint64_t number;   // grows by one with each segment of the catalog
};

struct CatalogHeader {
  uint64_t magic;
  uint32_t version;
  std::atomic<uint32_t> state;  // VolumeState
  uint64_t generation;
  uint64_t volume_id;
  uint64_t quota;  // bytes; 0: only the instance's size bounds the volume
  uint64_t instance[2];
  uint64_t hash_seed;  // of names
  // Who asked for the volume, so that the request repeated after a crash gets its first answer.
  uint64_t creator_token[2];
  uint64_t creator_number;
  uint32_t name_length;
  char name[kMaxVolumeName];

  os::RobustWord engine;  // held by the engine's thread

  /// Numbers of the segment that takes new entries (low half) and of the one being emptied into it
  /// (high half; equal to the low half when there is none).
  std::atomic<uint64_t> segments_in_use;
  /// Grows when an arena or a segment is closed: readers then drop what is gone.
  std::atomic<uint64_t> closed_epoch;
  /// Entry n is valid once segments_in_use has named segment n; the slot is number % kMaxSegments.
  std::array<SegmentInfo, kMaxSegments> segments;
  /// 1: somebody needs memory that is mapped by readers; let go of what is mapped only to be found again.
  std::atomic<uint32_t> memory_is_short;
  uint64_t guaranteed;  // bytes of memory that other volumes leave to this one
  uint64_t durable;     // 1: so is all that is put here
};
static_assert(sizeof(CatalogHeader) <= kCatalogPage, "must leave the keeper a page of its own");
static_assert(std::atomic<uint64_t>::is_always_lock_free &&
                  std::atomic<uint32_t>::is_always_lock_free,
              "atomics in shared memory must not use locks");

/// At kCatalogPage, written by the keeper alone.
struct KeeperPage {
  os::RobustWord keeper;           // held by the keeper's thread
  std::atomic<uint32_t> replaced;  // 1: another engine has taken over; read nothing here any more
};
static_assert(sizeof(KeeperPage) <= kCatalogPage);

}  // namespace vineyard::layout
