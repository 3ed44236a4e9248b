// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// ArrayData: what an Arrow array says, short of its type, as it is stored: from offset 0 on, with no
// more bytes than are its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "vineyard/blob.h"

namespace vineyard::types {

/// Immutable bytes and what keeps them there. Without bytes it may stand for one that is absent.
struct Buffer {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> keep_alive;
  std::optional<Blob> stored;  // where the bytes lie in the store
  bool referred = false;       // a put refers to that, and does not ask whether it may

  Buffer() = default;
  Buffer(std::span<const std::byte> b, std::shared_ptr<const void> keep)
      : bytes(b), keep_alive(std::move(keep)) {}
  explicit Buffer(const Blob& blob)
      : bytes(blob.bytes()), keep_alive(blob.keep_alive()), stored(blob) {}
  /// Takes over a vector.
  template <typename T>
  static Buffer Of(std::vector<T> values) {
    const auto kept = std::make_shared<const std::vector<T>>(std::move(values));
    return {std::as_bytes(std::span(*kept)), kept};
  }

  [[nodiscard]] const std::byte* data() const { return bytes.data(); }
  [[nodiscard]] size_t size() const { return bytes.size(); }
  [[nodiscard]] bool empty() const { return bytes.empty(); }
  /// The item at an index, wherever it lies. REQUIRES: inside of the bytes.
  template <typename T>
  [[nodiscard]] T At(int64_t index) const {
    T value;
    std::memcpy(&value, bytes.data() + static_cast<size_t>(index) * sizeof(T), sizeof(T));
    return value;
  }
};

inline bool BitAt(std::span<const std::byte> bits, int64_t index) {
  const auto at = static_cast<size_t>(index);
  return ((std::to_integer<unsigned>(bits[at / 8]) >> (at % 8)) & 1U) != 0;
}

struct ArrayData {
  int64_t length = 0;
  int64_t null_count = 0;
  /// In the order of the C data interface: first the validity, where the type has one. Of views,
  /// without the last one, which only repeats the sizes of those before it.
  std::vector<Buffer> buffers;
  std::vector<ArrayData> children;
  std::shared_ptr<const ArrayData> dictionary;

  /// Of a type that has a validity buffer.
  [[nodiscard]] bool IsNull(int64_t index) const {
    return !buffers[0].empty() && !BitAt(buffers[0].bytes, index);
  }
};

}  // namespace vineyard::types
