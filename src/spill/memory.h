// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Memory that is spilled or filled: parts that follow one another, such as the chunks of an extent.
//
// Mapping files, and letting them go, waits for whoever makes pages in this process: one lock is for all
// its mappings. So it is done by threads that nobody waits for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "os/mapping.h"
#include "vineyard/status.h"

namespace vineyard::spill {

template <typename Byte>
struct Parts {
  std::vector<std::span<Byte>> spans;
  /// Keeps them there. Let go on a thread of the crew before the end is told.
  std::shared_ptr<const void> hold;
  /// Instead of both: files of which `mapped_later` bytes are to be mapped, by the crew. REQUIRES: they are open
  /// until the end is told.
  std::vector<os::FilePart> files;
  uint64_t mapped_later = 0;
  /// Where there is one, called with what is to be filled next, before it is: several threads at once.
  std::function<Status(std::span<Byte>)> prepare;

  [[nodiscard]] uint64_t size() const {
    uint64_t sum = mapped_later;
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

/// The same of a range, where it need not be in one part.
inline Status Prepare(const Destination& destination, uint64_t offset, uint64_t length) {
  Status first;
  if (!destination.prepare) return first;
  destination.ForEachIn(offset, length, [&](std::span<std::byte> piece) {
    if (first.ok()) first = destination.prepare(piece);
  });
  return first;
}

/// Maps the first `size` bytes of these files, one after another, for as long as the result is used.
Result<Source> MapSource(std::span<const os::FilePart> files, uint64_t size);
Result<Destination> MapDestination(std::span<const os::FilePart> files, uint64_t size);
/// What MapSource maps, mapped when it is used.
inline Source SourceOfFiles(std::vector<os::FilePart> files, uint64_t size) {
  return {
      .spans = {}, .hold = nullptr, .files = std::move(files), .mapped_later = size, .prepare = {}};
}
/// Maps it if it is not. Keeps no files.
Status MapIfLater(Source& source);

}  // namespace vineyard::spill
