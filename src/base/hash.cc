// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "base/hash.h"

#include <cstring>

namespace vineyard {

namespace {

constexpr uint64_t kA = 0xa0761d6478bd642fULL;
constexpr uint64_t kB = 0xe7037ed1a0b428dbULL;

uint64_t MultiplyFold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

// Words are folded in pairs by a 64x64 to 128 bit multiplication (the step of wyhash); the tail is
// padded with zeros, and the length goes into the seed so that padding can't collide.
uint64_t HashBytes(std::span<const std::byte> bytes, uint64_t seed) {
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

// One multiplication waits for the one before it; those of four lanes don't wait for each other.
uint64_t HashLongBytes(std::span<const std::byte> bytes, uint64_t seed) {
  constexpr size_t kLanes = 4;
  constexpr size_t kStep = kLanes * 2 * sizeof(uint64_t);
  uint64_t lanes[kLanes];
  for (size_t l = 0; l < kLanes; ++l) lanes[l] = Mix64(seed ^ ((l + 1) * kA));
  const size_t whole = bytes.size() / kStep * kStep;
  for (size_t i = 0; i < whole; i += kStep) {
    uint64_t words[2 * kLanes];
    std::memcpy(words, bytes.data() + i, kStep);
    for (size_t l = 0; l < kLanes; ++l) {
      lanes[l] = MultiplyFold(words[2 * l] ^ kA ^ lanes[l], words[2 * l + 1] ^ kB);
    }
  }
  const uint64_t of_lanes = HashBytes(std::as_bytes(std::span(lanes)), seed ^ bytes.size());
  return HashBytes(bytes.subspan(whole), of_lanes);
}

}  // namespace vineyard
