// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "base/glob.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace vineyard {

namespace {

// REQUIRES: i < text.size(). A byte that begins no well-formed character is one of its own, with a
// value above those of Unicode so that it equals nothing but itself.
uint32_t TakeCharacter(std::string_view text, size_t& i) {
  constexpr uint32_t kLoneByte = 0x110000;
  const auto first = static_cast<uint8_t>(text[i]);
  ++i;
  if (first < 0x80) return first;
  const int length = std::countl_one(first);
  if (length < 2 || length > 4) return kLoneByte + first;
  uint32_t value = first & (0x7fU >> length);
  const auto more = static_cast<size_t>(length - 1);
  if (text.size() - i < more) return kLoneByte + first;
  for (size_t k = 0; k < more; ++k) {
    const auto byte = static_cast<uint8_t>(text[i + k]);
    if ((byte & 0xc0) != 0x80) return kLoneByte + first;
    value = (value << 6) | (byte & 0x3fU);
  }
  i += more;
  return value;
}

// One character of the pattern, escaped or not.
uint32_t TakeLiteral(std::string_view pattern, size_t& p) {
  if (pattern[p] == '\\' && p + 1 < pattern.size()) ++p;
  return TakeCharacter(pattern, p);
}

// With `p` behind a "[": whether the set holds `c`, and `p` behind its "]". nullopt, and `p` as it
// was, when the set is never closed. A "]" that comes first is a member.
std::optional<bool> TakeSet(std::string_view pattern, size_t& p, uint32_t c) {
  size_t i = p;
  const bool negated = i < pattern.size() && pattern[i] == '!';
  if (negated) ++i;
  bool found = false;
  for (bool first = true; i < pattern.size(); first = false) {
    if (pattern[i] == ']' && !first) {
      p = i + 1;
      return found != negated;
    }
    const uint32_t low = TakeLiteral(pattern, i);
    uint32_t high = low;
    if (i + 1 < pattern.size() && pattern[i] == '-' && pattern[i + 1] != ']') {
      ++i;
      high = TakeLiteral(pattern, i);
    }
    if (low <= c && c <= high) found = true;
  }
  return std::nullopt;
}

// Whether the pattern's next element, which is no "*", fits the character `c`. Moves `p` behind it.
// Behind one "[" that is never closed no other is, so `open_from` spares looking for its end again.
bool TakeElement(std::string_view pattern, size_t& p, uint32_t c, size_t& open_from) {
  if (pattern[p] == '?') {
    ++p;
    return true;
  }
  if (pattern[p] == '[' && p < open_from) {
    ++p;
    if (const std::optional<bool> fits = TakeSet(pattern, p, c)) return *fits;
    open_from = --p;
  }
  return TakeLiteral(pattern, p) == c;
}

}  // namespace

bool GlobMatch(std::string_view pattern, std::string_view text) {
  constexpr size_t kNone = std::string_view::npos;
  size_t p = 0;
  size_t t = 0;
  size_t star_p = kNone;  // behind the last *
  size_t star_t = 0;      // where the text goes on that this * does not take
  size_t open_from = kNone;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star_p = ++p;
      star_t = t;
      continue;
    }
    if (p < pattern.size()) {
      const uint32_t c = TakeCharacter(text, t);
      if (TakeElement(pattern, p, c, open_from)) continue;
    }
    if (star_p == kNone) return false;
    TakeCharacter(text, star_t);  // the last * takes one more; those before it need not
    p = star_p;
    t = star_t;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace vineyard
