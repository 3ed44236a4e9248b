// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// CatalogReader: finds and copies records in the instance's shared memory, without asking it.
//
// A hit is proved by the record; a miss is not, and the caller asks the instance. Not thread-safe: the
// connection guards it.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "layout/catalog.h"
#include "layout/index.h"
#include "layout/record.h"
#include "os/mapping.h"
#include "vineyard/status.h"

namespace vineyard::client {

enum class Outcome {
  kHit,
  kMiss,   // not found here; the instance knows
  kParts,  // in an arena or segment that is not mapped: see `wanted`
  kDead,   // the engine that wrote this is gone or has been replaced
};

class CatalogReader {
 public:
  CatalogReader() = default;

  /// Everything of an older catalog is forgotten.
  Status Open(const os::UniqueFd& first_file);
  Status AddSegment(uint64_t number, const os::UniqueFd& fd);
  Status AddArena(uint32_t number, uint64_t size, const os::UniqueFd& fd);
  void Close();

  /// The record of an object, or of a blob with an entry of its own.
  Outcome Read(ObjectId id, layout::RecordCopy* copy);
  Outcome ReadName(std::string_view name, layout::RecordCopy* copy);

  /// Two loads and some: whether what was read may be believed. Ask after reading.
  [[nodiscard]] bool IsAlive() const;
  /// The instance wants back what is mapped and not used.
  [[nodiscard]] bool MemoryIsShort() const {
    return header_ != nullptr && header_->memory_is_short.load(std::memory_order_relaxed) != 0;
  }

  struct Wanted {
    std::vector<uint32_t> arenas;
    std::vector<uint64_t> segments;
  };
  [[nodiscard]] const Wanted& wanted() const { return wanted_; }

 private:
  struct Segment {
    os::Mapping mapping;
    size_t buckets = 0;
  };
  /// `name`: of what is sought by a hash, which others may have too.
  Outcome Find(uint64_t key, layout::RecordKind kind, const std::string_view* name,
               layout::RecordCopy* copy);
  /// Empty: not mapped (noted in wanted_), or not what the header says.
  std::span<const layout::Bucket> Buckets(uint64_t number);
  void ForgetClosed();

  os::Mapping first_;
  const layout::CatalogHeader* header_ = nullptr;
  const layout::KeeperPage* keeper_ = nullptr;
  uint64_t closed_epoch_ = 0;
  std::unordered_map<uint64_t, Segment> segments_;
  std::unordered_map<uint32_t, os::Mapping> arenas_;
  Wanted wanted_;
};

}  // namespace vineyard::client
