// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The bytes of a spill file, and its name. docs/formats/spill-file.md describes them.
//
//   head (fixed part | description | a checksum for each block | zeros) | data in blocks | zeros
//
// The head begins the file and is written last: a file whose head is whole has been written whole, as far
// as the process that wrote it can say; whether the disk kept it is what the blocks' checksums tell.
//
// Nothing here touches a disk.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vineyard/status.h"

namespace vineyard::spill {

/// Checked, and read back, as one.
inline constexpr uint64_t kBlock = uint64_t{1} << 20;
inline constexpr uint64_t kFixedHead = 96;
inline constexpr uint64_t kMostDescription = uint64_t{64} << 20;
inline constexpr uint32_t kVersion = 1;

using Uuid = std::array<uint64_t, 2>;

/// What a file holds. One file for one key. The kind's meaning is the store's; 0 is none.
struct Key {
  uint64_t volume = 0;
  uint64_t id = 0;
  uint8_t kind = 0;
  /// Of whose ids these are: the first word of its uuid. Two instances, one after the other, may give the
  /// same id. 0: the ids mean the same to every instance that has the folder.
  uint64_t instance = 0;
  auto operator<=>(const Key&) const = default;
};
/// "01-0000000000000001-8000000000000123.spill", and "01-…-8000000000000123-00000000deadbeef.spill" where
/// there is an instance.
std::string FileName(const Key& key);
/// What it is called while it is being written.
std::string PartName(const Key& key);

struct ParsedName {
  Key key;
  bool part = false;
};
/// nullopt for what no function above returns.
std::optional<ParsedName> ParseName(std::string_view name);

struct Head {
  Key key;
  Uuid place{};            // of the folder it was written in
  uint64_t size = 0;       // bytes of data
  int64_t written_ns = 0;  // since 1970
  std::vector<std::byte> description;
  std::vector<uint64_t> checksums;  // one for each block
};

constexpr uint64_t BlocksOf(uint64_t size) { return size / kBlock + (size % kBlock != 0 ? 1 : 0); }
/// Where the data begins: the length of the head. REQUIRES: description <= kMostDescription.
uint64_t HeadLength(uint64_t description, uint64_t size);
/// How long the whole file is. REQUIRES: the same, and size <= kMostData.
uint64_t FileLength(uint64_t description, uint64_t size);
inline constexpr uint64_t kMostData = uint64_t{1} << 60;

/// Bytes of the block's data, and the same with the zeros that follow in its file.
uint64_t BlockLength(uint64_t size, uint64_t block);
uint64_t PaddedBlockLength(uint64_t size, uint64_t block);

/// Of a block as it lies in the file, with its zeros.
uint64_t BlockChecksum(std::span<const std::byte> padded);

/// Fills `out`. REQUIRES: out.size() is the head's length; a checksum for each block; the limits above.
void EncodeHead(const Head& head, std::span<std::byte> out);

/// Of all of a head but its last fixed word, which says it. REQUIRES: kFixedHead bytes at least.
uint64_t HeadChecksum(std::span<const std::byte> head);

/// How long the head of a file is, from its first bytes (kDiskAlign of them). kCorrupted if it is none of
/// ours, or says another length than the file has; kNotSupported if it is of another version.
Result<uint64_t> ReadHeadLength(std::span<const std::byte> first, uint64_t file_length);
/// The same unless every byte of it is as it was written.
Result<Head> DecodeHead(std::span<const std::byte> bytes, uint64_t file_length);

/// The file that says whose the folder is.
inline constexpr uint64_t kIdentityLength = 40;
void EncodeIdentity(const Uuid& uuid, std::span<std::byte, kIdentityLength> out);
/// kCorrupted; kNotSupported if it is of another version.
Result<Uuid> DecodeIdentity(std::span<const std::byte> bytes);

}  // namespace vineyard::spill

template <>
struct std::hash<vineyard::spill::Key> {
  size_t operator()(const vineyard::spill::Key& key) const noexcept {
    const uint64_t mixed =
        ((key.id ^ key.instance) * 0x9e3779b97f4a7c15ULL) ^ (key.volume << 8) ^ key.kind;
    return std::hash<uint64_t>{}(mixed);
  }
};
