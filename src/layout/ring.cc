// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "layout/ring.h"

#include <algorithm>
#include <cstring>

namespace vineyard::layout {

void CopyIn(std::span<std::byte> ring, uint64_t position, std::span<const std::byte> from) {
  if (from.empty()) return;
  const uint64_t at = position % ring.size();
  const uint64_t first = std::min<uint64_t>(from.size(), ring.size() - at);
  std::memcpy(ring.data() + at, from.data(), first);
  std::memcpy(ring.data(), from.data() + first, from.size() - first);
}

void CopyOut(std::span<const std::byte> ring, uint64_t position, std::span<std::byte> to) {
  if (to.empty()) return;
  const uint64_t at = position % ring.size();
  const uint64_t first = std::min<uint64_t>(to.size(), ring.size() - at);
  std::memcpy(to.data(), ring.data() + at, first);
  std::memcpy(to.data() + first, ring.data(), to.size() - first);
}

}  // namespace vineyard::layout
