// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/escape.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>

#include <fmt/format.h>

namespace vineyard::cli {

namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// What a terminal obeys, or shows as nothing, or as something other than what is there.
constexpr std::array kUnsafe = {
    Range{0x0000, 0x001F},    // C0 controls
    Range{0x007F, 0x009F},    // DEL and C1 controls, one of which begins terminal escapes
    Range{0x061C, 0x061C},    // direction of writing
    Range{0x200B, 0x200B},    // no width
    Range{0x200E, 0x200F},    // direction of writing
    Range{0x2028, 0x202E},    // line ends, direction of writing
    Range{0x2060, 0x206F},    // no width, direction of writing
    Range{0xFEFF, 0xFEFF},    // no width
    Range{0xFFF9, 0xFFFB},    // annotations
    Range{0xE0000, 0xE007F},  // tags: invisible letters
};
constexpr std::array kWide = {
    Range{0x1100, 0x115F},   Range{0x2E80, 0x303E},   Range{0x3041, 0xA4CF},  Range{0xAC00, 0xD7A3},
    Range{0xF900, 0xFAFF},   Range{0xFE30, 0xFE6F},   Range{0xFF00, 0xFF60},  Range{0xFFE0, 0xFFE6},
    Range{0x1F300, 0x1F64F}, Range{0x1F900, 0x1F9FF}, Range{0x20000, 0x3FFFD}};
constexpr std::array kNoWidth = {Range{0x0300, 0x036F}, Range{0x200C, 0x200D},
                                 Range{0xFE00, 0xFE0F}};

bool IsIn(std::span<const Range> ranges, uint32_t code) {
  return std::ranges::any_of(ranges, [&](Range r) { return code >= r.first && code <= r.last; });
}

struct Character {
  uint32_t code = 0;
  size_t length = 1;
};

// The character that `text` begins with; nullopt where that is no UTF-8. REQUIRES: not empty.
std::optional<Character> FirstCharacter(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[i])); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return Character{lead, 1};
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return std::nullopt;
  uint32_t code = lead & (0xFFU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return std::nullopt;
    code = (code << 6) | (byte(i) & 0x3F);
  }
  constexpr std::array<uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kLeast[length] || code > 0x10FFFF || surrogate) return std::nullopt;
  return Character{code, length};
}

void AppendEscaped(uint32_t code, std::string& out) {
  switch (code) {
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    case '\\': out += "\\\\"; return;
    default: break;
  }
  const auto end = std::back_inserter(out);
  if (code < 0x80) {
    fmt::format_to(end, "\\x{:02x}", code);
  } else {
    fmt::format_to(end, "\\u{{{:x}}}", code);
  }
}

}  // namespace

std::string EscapeForTerminal(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::optional<Character> character = FirstCharacter(text);
    const size_t length = character ? character->length : 1;
    if (!character) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<uint8_t>(text[0]));
    } else if (character->code == '\\' || IsIn(kUnsafe, character->code)) {
      AppendEscaped(character->code, out);
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  return out;
}

std::string EscapeJson(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const Character character = FirstCharacter(json).value_or(Character{0xFFFD, 1});
    const uint32_t code = character.code;
    // Below 0x20 stand only the line ends between values: inside strings JSON escapes them itself.
    if (code < 0x20 || !IsIn(kUnsafe, code)) {
      out.append(json.substr(0, character.length));
    } else if (code < 0x10000) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", code);
    } else {
      const uint32_t rest = code - 0x10000;
      fmt::format_to(std::back_inserter(out), "\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10),
                     0xDC00 + (rest & 0x3FF));
    }
    json.remove_prefix(character.length);
  }
  return out;
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Character character = FirstCharacter(text).value_or(Character{0xFFFD, 1});
    const uint32_t code = character.code;
    width += IsIn(kWide, code) ? 2 : IsIn(kNoWidth, code) ? 0 : 1;
    text.remove_prefix(character.length);
  }
  return width;
}

}  // namespace vineyard::cli
