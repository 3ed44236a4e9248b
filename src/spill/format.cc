// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "spill/format.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "base/hash.h"
#include "os/disk_file.h"

namespace vineyard::spill {

namespace {

static_assert(std::endian::native == std::endian::little, "numbers lie in files as in memory");

constexpr uint64_t kHeadMagic = 0x314c495053445659;      // "YVDSPIL1"
constexpr uint64_t kIdentityMagic = 0x31444c5053445659;  // "YVDSPLD1"
constexpr std::string_view kSuffix = ".spill";
constexpr std::string_view kPartSuffix = ".part";

struct FixedHead {
  uint64_t magic = kHeadMagic;
  uint32_t version = kVersion;
  uint32_t kind = 0;
  Uuid place{};
  uint64_t volume = 0;
  uint64_t id = 0;
  uint64_t size = 0;
  uint64_t head_length = 0;
  uint32_t block = kBlock;
  uint32_t description = 0;
  int64_t written_ns = 0;
  uint64_t instance = 0;
  uint64_t checksum = 0;  // of all of the head but this
};
static_assert(sizeof(FixedHead) == kFixedHead, "lies in files");
static_assert(offsetof(FixedHead, checksum) == kFixedHead - 8, "the last word");

struct Identity {
  uint64_t magic = kIdentityMagic;
  uint32_t version = kVersion;
  uint32_t reserved = 0;
  Uuid uuid{};
  uint64_t checksum = 0;
};
static_assert(sizeof(Identity) == kIdentityLength, "lies in a file");

constexpr uint64_t Pad8(uint64_t n) { return (n + 7) / 8 * 8; }

bool AllZero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

bool ParseHex(std::string_view text, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  const bool lower = std::ranges::none_of(text, [](char c) { return c >= 'A' && c <= 'F'; });
  return error == std::errc() && end == text.data() + text.size() && lower && text[0] != '-';
}

// A head's fixed part that agrees with itself and with the length of its file.
Result<FixedHead> ReadFixed(std::span<const std::byte> bytes, uint64_t file_length) {
  FixedHead fixed;
  if (bytes.size() < sizeof fixed) {
    return Status::Corrupted(
        fmt::format("the file has {} bytes, and a head at least {}", bytes.size(), os::kDiskAlign));
  }
  std::memcpy(&fixed, bytes.data(), sizeof fixed);
  if (fixed.magic == 0 && AllZero(bytes)) {
    return Status::Corrupted("the file has no head: it was not written to its end");
  }
  if (fixed.magic != kHeadMagic) return Status::Corrupted("the file does not begin as ours do");
  if (fixed.version != kVersion) {
    return Status::NotSupported(fmt::format(
        "the file says format {}, and this program reads format {}", fixed.version, kVersion));
  }
  if (fixed.block != kBlock || fixed.kind == 0 || fixed.kind > 0xff || fixed.size > kMostData ||
      fixed.description > kMostDescription) {
    return Status::Corrupted("the head says what no head says");
  }
  const uint64_t head = HeadLength(fixed.description, fixed.size);
  const uint64_t whole = FileLength(fixed.description, fixed.size);
  if (fixed.head_length != head) {
    return Status::Corrupted(
        fmt::format("the head says that it is {} bytes long, and is {}", fixed.head_length, head));
  }
  if (file_length != whole) {
    return Status::Corrupted(fmt::format("the file is {}: it has {} of {} bytes",
                                         file_length < whole ? "short" : "too long", file_length,
                                         whole));
  }
  return fixed;
}

}  // namespace

std::string FileName(const Key& key) {
  std::string name = fmt::format("{:02x}-{:016x}-{:016x}", key.kind, key.volume, key.id);
  if (key.instance != 0) name += fmt::format("-{:016x}", key.instance);
  return name.append(kSuffix);
}

std::string PartName(const Key& key) { return FileName(key).append(kPartSuffix); }

std::optional<ParsedName> ParseName(std::string_view name) {
  ParsedName parsed;
  if (name.ends_with(kPartSuffix)) {
    parsed.part = true;
    name.remove_suffix(kPartSuffix.size());
  }
  constexpr size_t kDigits = 2 + 1 + 16 + 1 + 16;
  constexpr size_t kMoreDigits = 1 + 16;
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  const bool has_instance = name.size() == kDigits + kMoreDigits;
  if (!has_instance && name.size() != kDigits) return std::nullopt;
  if (name[2] != '-' || name[19] != '-') return std::nullopt;
  if (has_instance &&
      (name[kDigits] != '-' || !ParseHex(name.substr(kDigits + 1), parsed.key.instance) ||
       parsed.key.instance == 0)) {
    return std::nullopt;
  }
  uint64_t kind = 0;
  if (!ParseHex(name.substr(0, 2), kind) || !ParseHex(name.substr(3, 16), parsed.key.volume) ||
      !ParseHex(name.substr(20, 16), parsed.key.id) || kind == 0) {
    return std::nullopt;
  }
  parsed.key.kind = static_cast<uint8_t>(kind);
  return parsed;
}

uint64_t HeadLength(uint64_t description, uint64_t size) {
  return os::RoundToDisk(kFixedHead + Pad8(description) + BlocksOf(size) * sizeof(uint64_t));
}

uint64_t FileLength(uint64_t description, uint64_t size) {
  return HeadLength(description, size) + os::RoundToDisk(size);
}

uint64_t BlockLength(uint64_t size, uint64_t block) {
  return std::min(kBlock, size - block * kBlock);
}

uint64_t PaddedBlockLength(uint64_t size, uint64_t block) {
  return os::RoundToDisk(BlockLength(size, block));
}

uint64_t BlockChecksum(std::span<const std::byte> padded) { return HashLongBytes(padded); }

uint64_t HeadChecksum(std::span<const std::byte> head) {
  return HashBytes(head.subspan(kFixedHead), HashBytes(head.first(kFixedHead - 8)));
}

void EncodeHead(const Head& head, std::span<std::byte> out) {
  FixedHead fixed;
  fixed.kind = head.key.kind;
  fixed.place = head.place;
  fixed.volume = head.key.volume;
  fixed.id = head.key.id;
  fixed.size = head.size;
  fixed.head_length = HeadLength(head.description.size(), head.size);
  fixed.description = static_cast<uint32_t>(head.description.size());
  fixed.written_ns = head.written_ns;
  fixed.instance = head.key.instance;
  VY_CHECK(out.size() == fixed.head_length && head.checksums.size() == BlocksOf(head.size));
  std::ranges::fill(out, std::byte{0});
  std::memcpy(out.data(), &fixed, sizeof fixed);
  std::byte* at = out.data() + kFixedHead;
  if (!head.description.empty()) std::memcpy(at, head.description.data(), head.description.size());
  at += Pad8(head.description.size());
  const auto sums = std::as_bytes(std::span(head.checksums));
  if (!sums.empty()) std::memcpy(at, sums.data(), sums.size());
  fixed.checksum = HeadChecksum(out);
  std::memcpy(out.data(), &fixed, sizeof fixed);
}

Result<uint64_t> ReadHeadLength(std::span<const std::byte> first, uint64_t file_length) {
  VY_ASSIGN_OR_RETURN(const FixedHead fixed, ReadFixed(first, file_length));
  return fixed.head_length;
}

Result<Head> DecodeHead(std::span<const std::byte> bytes, uint64_t file_length) {
  VY_ASSIGN_OR_RETURN(const FixedHead fixed, ReadFixed(bytes, file_length));
  if (bytes.size() != fixed.head_length) {
    return Status::Corrupted(
        fmt::format("{} bytes of a head of {} were read", bytes.size(), fixed.head_length));
  }
  if (HeadChecksum(bytes) != fixed.checksum) {
    return Status::Corrupted("the head's checksum is another one");
  }
  Head head;
  head.key = {.volume = fixed.volume,
              .id = fixed.id,
              .kind = static_cast<uint8_t>(fixed.kind),
              .instance = fixed.instance};
  head.place = fixed.place;
  head.size = fixed.size;
  head.written_ns = fixed.written_ns;
  const auto description = bytes.subspan(kFixedHead, fixed.description);
  head.description.assign(description.begin(), description.end());
  const uint64_t sums_at = kFixedHead + Pad8(fixed.description);
  head.checksums.resize(BlocksOf(fixed.size));
  const uint64_t sums = head.checksums.size() * sizeof(uint64_t);
  if (sums > 0) std::memcpy(head.checksums.data(), bytes.data() + sums_at, sums);
  if (!AllZero(bytes.subspan(sums_at + sums)) ||
      !AllZero(bytes.subspan(kFixedHead + fixed.description,
                             Pad8(fixed.description) - fixed.description))) {
    return Status::Corrupted("the head has bytes where none belong");
  }
  return head;
}

void EncodeIdentity(const Uuid& uuid, std::span<std::byte, kIdentityLength> out) {
  Identity identity;
  identity.uuid = uuid;
  std::memcpy(out.data(), &identity, sizeof identity);
  identity.checksum = HashBytes(out.first(kIdentityLength - 8));
  std::memcpy(out.data(), &identity, sizeof identity);
}

Result<Uuid> DecodeIdentity(std::span<const std::byte> bytes) {
  Identity identity;
  if (bytes.size() != sizeof identity) {
    return Status::Corrupted(
        fmt::format("it has {} bytes instead of {}", bytes.size(), sizeof identity));
  }
  std::memcpy(&identity, bytes.data(), sizeof identity);
  if (identity.magic != kIdentityMagic) return Status::Corrupted("it does not begin as it should");
  if (identity.checksum != HashBytes(bytes.first(kIdentityLength - 8))) {
    return Status::Corrupted("its checksum is another one");
  }
  if (identity.version != kVersion || identity.reserved != 0) {
    return Status::NotSupported(fmt::format("it says format {}, and this program reads format {}",
                                            identity.version, kVersion));
  }
  return identity.uuid;
}

}  // namespace vineyard::spill
