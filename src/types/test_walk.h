// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests: goes through all that an exported array says, as a consumer that believes it does. A
// sanitizer sees whether that leads outside of its buffers.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "vineyard/arrow_abi.h"
#include "vineyard/status.h"

namespace vineyard::types {

class Walker {
 public:
  /// Of one array and all below it.
  void Walk(const ArrowSchema& schema, const ArrowArray& array) {
    const std::string_view format = schema.format;
    const int64_t end = array.offset + array.length;
    for (int64_t i = 0; i < array.n_children; ++i) Walk(*schema.children[i], *array.children[i]);
    if (array.dictionary != nullptr) {
      Walk(*schema.dictionary, *array.dictionary);
      Codes(format, array);
    }
    if (format == "n" || format == "+r") return;
    if (format.starts_with("+u")) {
      Bytes(array.buffers[0], array.offset, array.length);
      if (format[2] == 'd') Bytes(array.buffers[1], array.offset * 4, array.length * 4);
      return;
    }
    if (array.buffers[0] != nullptr) Bits(array.buffers[0], array.offset, end);
    if (format == "+s" || format.starts_with("+w:")) return;
    if (format == "b") {
      Bits(array.buffers[1], array.offset, end);
    } else if (format == "u" || format == "z" || format == "+l" || format == "+m") {
      Offsets<int32_t>(format, array);
    } else if (format == "U" || format == "Z" || format == "+L") {
      Offsets<int64_t>(format, array);
    } else if (format == "vu" || format == "vz") {
      Views(array);
    } else {
      const int64_t width = Width(format);
      Bytes(array.buffers[1], array.offset * width, array.length * width);
      if (format == "+vl") ListViews<int32_t>(array);
      if (format == "+vL") ListViews<int64_t>(array);
    }
  }
  [[nodiscard]] uint64_t sum() const { return sum_; }

 private:
  static int64_t Width(std::string_view format) {
    if (format.starts_with("w:")) return std::stoll(std::string(format.substr(2)));
    if (format.starts_with("d:")) {
      if (format.ends_with(",32")) return 4;
      if (format.ends_with(",64")) return 8;
      return format.ends_with(",256") ? 32 : 16;
    }
    if (format == "+vl") return 4;
    if (format == "+vL") return 8;
    if (format == "tin") return 16;
    if (format == "tdD" || format == "tts" || format == "ttm" || format == "tiM") return 4;
    if (format[0] == 't') return 8;
    return format == "c" || format == "C"                    ? 1
           : format == "s" || format == "S" || format == "e" ? 2
           : format == "i" || format == "I" || format == "f" ? 4
                                                             : 8;
  }
  void Bytes(const void* buffer, int64_t start, int64_t size) {
    const auto* bytes = static_cast<const uint8_t*>(buffer);
    for (int64_t i = 0; i < size; ++i) sum_ += bytes[start + i];
  }
  void Bits(const void* buffer, int64_t start, int64_t end) {
    if (start < end) Bytes(buffer, start / 8, (end + 7) / 8 - start / 8);
  }
  template <typename T>
  void Offsets(std::string_view format, const ArrowArray& array) {
    if (array.length == 0) return;
    const auto* offsets = static_cast<const T*>(array.buffers[1]) + array.offset;
    for (int64_t i = 0; i < array.length; ++i) {
      if (format[0] != '+') Bytes(array.buffers[2], offsets[i], offsets[i + 1] - offsets[i]);
      if (format[0] == '+') Items(*array.children[0], offsets[i], offsets[i + 1] - offsets[i]);
    }
  }
  template <typename T>
  void ListViews(const ArrowArray& array) {
    const auto* starts = static_cast<const T*>(array.buffers[1]);
    const auto* sizes = static_cast<const T*>(array.buffers[2]);
    for (int64_t i = array.offset; i < array.offset + array.length; ++i) {
      Items(*array.children[0], starts[i], sizes[i]);
    }
  }
  void Codes(std::string_view format, const ArrowArray& array) {
    const auto* validity = static_cast<const uint8_t*>(array.buffers[0]);
    const auto* codes = static_cast<const uint8_t*>(array.buffers[1]);
    const auto width = static_cast<size_t>(Width(format));
    for (int64_t i = array.offset; i < array.offset + array.length; ++i) {
      if (validity != nullptr && (validity[i / 8] >> (i % 8) & 1) == 0) continue;
      int64_t code = 0;
      std::memcpy(&code, codes + static_cast<size_t>(i) * width, width);
      Items(*array.dictionary, code, 1);
    }
  }
  // Those of a child that its parent leads to.
  static void Items(const ArrowArray& child, int64_t start, int64_t size) {
    VY_CHECK(start >= 0 && size >= 0 && start <= child.length && size <= child.length - start);
  }
  void Views(const ArrowArray& array) {
    const auto* validity = static_cast<const uint8_t*>(array.buffers[0]);
    const auto* views = static_cast<const uint8_t*>(array.buffers[1]);
    for (int64_t i = array.offset; i < array.offset + array.length; ++i) {
      int32_t view[4];
      std::memcpy(view, views + i * 16, sizeof view);
      if (validity != nullptr && (validity[i / 8] >> (i % 8) & 1) == 0) continue;
      if (view[0] <= 12) {
        Bytes(views + i * 16 + 4, 0, view[0]);
      } else {
        Bytes(array.buffers[view[2] + 2], view[3], view[0]);
      }
    }
  }

  uint64_t sum_ = 0;
};

}  // namespace vineyard::types
