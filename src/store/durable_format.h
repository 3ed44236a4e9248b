// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What the files of durable records say: the descriptions of the kinds kEntryFile, kNameFile and
// kVolumeFile. docs/formats/spill-file.md describes them.
//
// The head of their file has a checksum, and yet nothing that is read is believed before it was looked at.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layout/record.h"
#include "vineyard/status.h"

namespace vineyard::store {

inline constexpr uint32_t kDurableFormat = 1;
/// Of a name that keeps something in memory: programs that know nothing of that leave such a file alone.
inline constexpr uint32_t kKeepingFormat = 2;

/// Of an object, a blob or a name. Its spans lie in what it was decoded from.
struct DurableRecord {
  layout::RecordFields fields;       // of a name without id: that is its catalog's
  std::span<const std::byte> head;   // aligned to 8 if what it was decoded from is
  std::span<const std::byte> bytes;  // none of a name
  uint64_t file_instance = 0;        // of a blob in an extent: whose id its file has
  std::optional<int64_t> ends_ns;    // of a name: since 1970
  /// Of an object or blob: it came with a name or an object, and is nothing where none refers to it.
  bool needs_referrer = false;
};
std::vector<std::byte> EncodeDurableRecord(const DurableRecord& record);
/// kCorrupted if no engine can have written it; kNotSupported if it is of another format.
/// REQUIRES: bytes aligned to 8.
Result<DurableRecord> DecodeDurableRecord(std::span<const std::byte> bytes);
/// How long the description is.
uint64_t DurableRecordLength(uint64_t head, uint64_t bytes);

/// A socket of a volume, as it is to be made again.
struct DurableSocket {
  std::string path;  // empty: there is none
  uint32_t mode = 0;
  uint32_t owner = 0;
  uint32_t group = 0;
};
struct DurableVolume {
  std::string name;
  uint64_t quota = 0;
  uint64_t guaranteed = 0;
  uint64_t hash_seed = 0;
  bool removed = false;                  // and its files may be there still
  std::array<DurableSocket, 2> sockets;  // for all, and for readers
};
std::vector<std::byte> EncodeDurableVolume(const DurableVolume& volume);
/// As above.
Result<DurableVolume> DecodeDurableVolume(std::span<const std::byte> bytes);

}  // namespace vineyard::store
