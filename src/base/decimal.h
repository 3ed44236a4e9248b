// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Decimal: the number in "1.5Gi" or "0.25s", exact where a double would round it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace vineyard {

struct Decimal {
  uint64_t digits = 0;
  uint64_t scale = 1;  ///< 10 to the number of digits after the point.
  bool too_large = false;

  /// This × factor, rounded down; nullopt when that is more than `most`.
  [[nodiscard]] std::optional<uint64_t> Times(
      uint64_t factor, uint64_t most = std::numeric_limits<uint64_t>::max()) const {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(digits) * factor / scale;
    if (too_large || product > most) return std::nullopt;
    return static_cast<uint64_t>(product);
  }
};

/// Takes "12" or "1.5" off the front of `text`; nullopt, and `text` as it was, when it does not
/// begin with such a number. Digits after the point that are too fine for 64 bits are skipped.
inline std::optional<Decimal> TakeDecimal(std::string_view& text) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  constexpr uint64_t kRoom = (kMost - 9) / 10;
  const auto is_digit = [&](size_t at) {
    return at < text.size() && text[at] >= '0' && text[at] <= '9';
  };
  Decimal number;
  if (!is_digit(0)) return std::nullopt;
  size_t i = 0;
  for (; is_digit(i); ++i) {
    const auto digit = static_cast<uint64_t>(text[i] - '0');
    if (number.digits > (kMost - digit) / 10) number.too_large = true;
    if (!number.too_large) number.digits = number.digits * 10 + digit;
  }
  if (i < text.size() && text[i] == '.') {
    if (!is_digit(i + 1)) return std::nullopt;
    for (++i; is_digit(i); ++i) {
      if (number.digits > kRoom || number.scale > kRoom) continue;
      number.digits = number.digits * 10 + static_cast<uint64_t>(text[i] - '0');
      number.scale *= 10;
    }
  }
  text.remove_prefix(i);
  return number;
}

}  // namespace vineyard
