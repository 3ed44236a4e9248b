// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "types/utf8.h"

#include <cstdint>
#include <cstring>

namespace vineyard::types {

namespace {

constexpr uint64_t kHighBits = 0x8080808080808080ULL;

uint64_t WordAt(const std::byte* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// How many bytes the character at `at` takes; 0 when it is none. `left`: bytes from there to the end.
size_t CharacterSize(const std::byte* at, size_t left) {
  const auto first = std::to_integer<uint8_t>(at[0]);
  if (first < 0x80) return 1;
  size_t size = 0;
  uint8_t low = 0x80;  // bounds of the second byte
  uint8_t high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    size = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    size = 3;
    if (first == 0xE0) low = 0xA0;   // shorter forms
    if (first == 0xED) high = 0x9F;  // surrogates
  } else if (first >= 0xF0 && first <= 0xF4) {
    size = 4;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;  // beyond U+10FFFF
  }
  if (size == 0 || size > left) return 0;
  const auto second = std::to_integer<uint8_t>(at[1]);
  if (second < low || second > high) return 0;
  for (size_t i = 2; i < size; ++i) {
    if ((std::to_integer<uint8_t>(at[i]) & 0xC0) != 0x80) return 0;
  }
  return size;
}

}  // namespace

bool IsAscii(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 32; at += 32, left -= 32) {
    const uint64_t all = WordAt(at) | WordAt(at + 8) | WordAt(at + 16) | WordAt(at + 24);
    if ((all & kHighBits) != 0) return false;
  }
  for (; left > 0; ++at, --left) {
    if (std::to_integer<uint8_t>(*at) >= 0x80) return false;
  }
  return true;
}

bool IsUtf8(std::span<const std::byte> bytes) {
  const std::byte* at = bytes.data();
  size_t left = bytes.size();
  while (left > 0) {
    if (left >= 8 && (WordAt(at) & kHighBits) == 0) {
      at += 8;
      left -= 8;
      continue;
    }
    const size_t size = CharacterSize(at, left);
    if (size == 0) return false;
    at += size;
    left -= size;
  }
  return true;
}

}  // namespace vineyard::types
