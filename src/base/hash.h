// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Hashes whose values lie in shared memory or in files and so never change: Mix64 for ids, HashBytes for
// names and for the checksum of records, HashLongBytes for the checksum of what lies on disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace vineyard {

/// A bijection of 64 bits that spreads counters over all of them (the finaliser of MurmurHash3).
constexpr uint64_t Mix64(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  x ^= x >> 33;
  return x;
}

/// 64-bit hash of bytes. Not for adversaries: two inputs with one hash can be found, so whoever uses
/// it compares the bytes too.
uint64_t HashBytes(std::span<const std::byte> bytes, uint64_t seed = 0);
inline uint64_t HashBytes(std::string_view text, uint64_t seed = 0) {
  return HashBytes(std::as_bytes(std::span(text.data(), text.size())), seed);
}

/// The same for long ones, several times as fast: four hashes side by side, of every fourth pair of words.
/// Its values lie in files. Another function: not HashBytes of the same bytes.
uint64_t HashLongBytes(std::span<const std::byte> bytes, uint64_t seed = 0);

}  // namespace vineyard
