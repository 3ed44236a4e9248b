// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "base/hash.h"

#include <cstring>

namespace vineyard {

namespace {

uint64_t MultiplyFold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

// Words are folded in pairs by a 64x64 to 128 bit multiplication (the step of wyhash); the tail is
// padded with zeros, and the length goes into the seed so that padding can't collide.
uint64_t HashBytes(std::span<const std::byte> bytes, uint64_t seed) {
  constexpr uint64_t kA = 0xa0761d6478bd642fULL;
  constexpr uint64_t kB = 0xe7037ed1a0b428dbULL;
  uint64_t state = Mix64(seed ^ (bytes.size() * kA));
  size_t i = 0;
  for (; i + 16 <= bytes.size(); i += 16) {
    uint64_t words[2];
    std::memcpy(words, bytes.data() + i, 16);
    state = MultiplyFold(words[0] ^ kA ^ state, words[1] ^ kB);
  }
  if (i < bytes.size()) {
    uint64_t words[2] = {0, 0};
    std::memcpy(words, bytes.data() + i, bytes.size() - i);
    state = MultiplyFold(words[0] ^ kA ^ state, words[1] ^ kB);
  }
  return Mix64(state);
}

}  // namespace vineyard
