// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The views of Arrow's string_view and binary_view, and which bytes of their buffers they use.
#pragma once

#include <cstdint>
#include <vector>

#include "types/arrow_data.h"
#include "vineyard/status.h"

namespace vineyard::types {

/// One item. Up to 12 bytes stand in the view itself, from `prefix` on.
struct BinaryView {
  int32_t size;
  uint32_t prefix;
  int32_t buffer;
  int32_t offset;

  static constexpr int32_t kInline = 12;
  [[nodiscard]] bool is_inline() const { return size <= kInline; }
};
static_assert(sizeof(BinaryView) == 16, "as the Arrow format has it");

struct OwnViews {
  Buffer views;
  std::vector<Buffer> bytes;
};

/// The same views, of bytes most of which they use. `validity` may be empty; what a null's view says
/// does not count. kInvalid when one leads outside of its buffer.
Result<OwnViews> OnlyOwnBytes(Buffer views, std::vector<Buffer> bytes, const Buffer& validity,
                              int64_t length);

}  // namespace vineyard::types
