// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Memory that is spilled or filled: parts that follow one another, such as the chunks of an extent.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "os/mapping.h"
#include "vineyard/status.h"

namespace vineyard::spill {

template <typename Byte>
struct Parts {
  std::vector<std::span<Byte>> spans;
  /// Keeps them there. Let go on a thread of the crew before the end is told: unmapping takes long.
  std::shared_ptr<const void> hold;

  [[nodiscard]] uint64_t size() const {
    uint64_t sum = 0;
    for (const auto span : spans) sum += span.size();
    return sum;
  }

  /// Calls `visit` with the pieces of [offset, offset + length) in their order. REQUIRES: it lies within.
  template <typename Visit>
  void ForEachIn(uint64_t offset, uint64_t length, Visit visit) const {
    for (const auto span : spans) {
      if (length == 0) return;
      if (offset >= span.size()) {
        offset -= span.size();
        continue;
      }
      const uint64_t here = std::min(length, span.size() - offset);
      visit(span.subspan(offset, here));
      offset = 0;
      length -= here;
    }
  }

  /// The range, if one part has it all; else empty.
  [[nodiscard]] std::span<Byte> InOnePart(uint64_t offset, uint64_t length) const {
    std::span<Byte> found;
    ForEachIn(offset, length, [&](std::span<Byte> piece) {
      if (piece.size() == length) found = piece;
    });
    return found;
  }
};

/// What is to be spilled. REQUIRES: nobody changes it until the end is told.
using Source = Parts<const std::byte>;
/// What is to be filled. REQUIRES: nobody else uses it until the end is told.
using Destination = Parts<std::byte>;

/// Maps the first `size` bytes of these files, one after another, for as long as the result is used.
Result<Source> MapSource(std::span<const os::FilePart> files, uint64_t size);
Result<Destination> MapDestination(std::span<const os::FilePart> files, uint64_t size);

}  // namespace vineyard::spill
