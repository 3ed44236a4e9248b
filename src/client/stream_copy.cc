// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/stream_copy.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vineyard::client {

#if defined(__x86_64__)

namespace {

constexpr size_t kVector = sizeof(__m256i);
constexpr size_t kAtOnce = 4 * kVector;

// REQUIRES: `to` at a multiple of kVector, `size` a multiple of kAtOnce.
__attribute__((target("avx2"))) void StreamVectors(std::byte* to, const std::byte* from,
                                                   size_t size) {
  for (const std::byte* end = from + size; from < end; from += kAtOnce, to += kAtOnce) {
    const auto* in = reinterpret_cast<const __m256i*>(from);
    auto* out = reinterpret_cast<__m256i*>(to);
    const __m256i a = _mm256_loadu_si256(in);
    const __m256i b = _mm256_loadu_si256(in + 1);
    const __m256i c = _mm256_loadu_si256(in + 2);
    const __m256i d = _mm256_loadu_si256(in + 3);
    _mm256_stream_si256(out, a);
    _mm256_stream_si256(out + 1, b);
    _mm256_stream_si256(out + 2, c);
    _mm256_stream_si256(out + 3, d);
  }
  _mm_sfence();  // streamed stores are ordered by nothing else, not even a lock's release
}

}  // namespace

void StreamCopy(std::byte* to, const std::byte* from, size_t size) {
  static const bool kHasVectors = __builtin_cpu_supports("avx2") != 0;
  if (size == 0) return;
  if (!kHasVectors) {
    std::memcpy(to, from, size);
    return;
  }
  const size_t past = reinterpret_cast<uintptr_t>(to) % kVector;
  const size_t head = std::min(size, past == 0 ? 0 : kVector - past);
  const size_t body = (size - head) / kAtOnce * kAtOnce;
  std::memcpy(to, from, head);
  StreamVectors(to + head, from + head, body);
  std::memcpy(to + head + body, from + head + body, size - head - body);
}

#else

// Elsewhere nothing of our own was measured to be better.
void StreamCopy(std::byte* to, const std::byte* from, size_t size) {
  if (size > 0) std::memcpy(to, from, size);
}

#endif

}  // namespace vineyard::client
