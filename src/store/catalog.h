// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Catalog: the shared-memory files of one volume's catalog, as its engine writes them.
//
// Made in two steps: Create, then, once the keeper has mapped its page, Open, which seals the first file
// against everybody else and lets readers in. Owned by the engine's thread; `budget` and `keeper`
// outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "layout/catalog.h"
#include "layout/index.h"
#include "os/mapping.h"
#include "store/budget.h"
#include "store/clients.h"
#include "store/memory_keeper.h"

namespace vineyard::store {

struct CatalogSpec {
  uint64_t volume = 0;
  std::string name;
  uint64_t quota = 0;
  uint64_t guaranteed = 0;
  uint64_t generation = 0;
  uint64_t instance[2] = {0, 0};
  uint64_t hash_seed = 0;
  Token creator;
  uint64_t creator_number = 0;
  size_t expected_entries = 0;
  bool durable = false;
};

class Catalog {
 public:
  static Result<std::unique_ptr<Catalog>> Create(const CatalogSpec& spec, Budget& budget,
                                                 MemoryKeeper& keeper,
                                                 std::function<void()> keeper_has_it);
  ~Catalog();
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  /// REQUIRES: the keeper has it.
  Status Open();
  /// Readers are told that the volume is gone; the files go with this object.
  void MarkRemoved();
  /// Readers are told that an arena or a segment is gone.
  void AnnounceClosed();
  /// Readers are told whether to keep mappings that nothing uses.
  void AnnounceShortage(bool memory_is_short);

  [[nodiscard]] layout::CatalogHeader& header() { return *header_; }
  [[nodiscard]] layout::IndexWriter& index() { return *index_; }
  [[nodiscard]] const os::UniqueFd& first_file() const { return first_file_; }
  struct Segment {
    uint64_t number;
    const os::UniqueFd* fd;
  };
  /// In use now, besides the one in the first file.
  [[nodiscard]] std::vector<Segment> segments() const;
  [[nodiscard]] uint64_t bytes_held() const { return held_; }

 private:
  Catalog(Budget& budget, MemoryKeeper& keeper) : budget_(budget), keeper_(keeper) {}
  std::span<layout::Bucket> Grow(size_t buckets);
  void RetireOld();

  struct SegmentFile {
    os::UniqueFd fd;
    os::Mapping mapping;
  };
  Budget& budget_;
  MemoryKeeper& keeper_;
  os::UniqueFd first_file_;
  os::Mapping first_;
  layout::CatalogHeader* header_ = nullptr;
  std::map<uint64_t, SegmentFile> segments_;  // by number; not the first
  std::unique_ptr<layout::IndexWriter> index_;
  uint64_t held_ = 0;
};

/// What a catalog that another engine wrote says of its volume; kCorrupted when it can't be true.
struct OldCatalog {
  CatalogSpec spec;
  layout::VolumeState state = layout::VolumeState::kBuilding;
  std::vector<uint64_t> segments;  // numbers in use
};
Result<OldCatalog> ReadOldCatalog(std::span<const std::byte> first_file);

}  // namespace vineyard::store
