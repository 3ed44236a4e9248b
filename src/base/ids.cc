// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "vineyard/ids.h"

#include <charconv>

#include <fmt/format.h>

namespace vineyard {

std::optional<ObjectId> ObjectId::Parse(std::string_view text) {
  if (text.size() != 17 || text.front() != 'o') return std::nullopt;
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data() + 1, end, value, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return ObjectId(value);
}

std::string ObjectId::ToString() const { return fmt::format("o{:016x}", value_); }

}  // namespace vineyard
