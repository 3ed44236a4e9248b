// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "base/size.h"

#include <optional>

#include <fmt/format.h>

#include "base/decimal.h"

namespace vineyard {

namespace {

constexpr std::string_view kPrefixes = "kmgtpe";

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view TrimSpace(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Status BadSize(std::string_view text) {
  return Status::Invalid(fmt::format(
      "'{}' is not a size; write a number and a unit, such as 8Gi, 512Mi or 1.5G", text));
}

// "", "B", "k", "kB", "Ki", "KiB", …: how many bytes one is.
std::optional<uint64_t> UnitBytes(std::string_view unit) {
  if (!unit.empty() && ToLower(unit.back()) == 'b') unit.remove_suffix(1);
  if (unit.empty()) return 1;
  const size_t power = kPrefixes.find(ToLower(unit.front()));
  if (power == std::string_view::npos || unit.size() > 2) return std::nullopt;
  if (unit.size() == 2 && ToLower(unit[1]) != 'i') return std::nullopt;
  const uint64_t step = unit.size() == 2 ? 1024 : 1000;
  uint64_t bytes = 1;
  for (size_t i = 0; i <= power; ++i) bytes *= step;
  return bytes;
}

}  // namespace

Result<uint64_t> ParseSize(std::string_view text) {
  std::string_view rest = TrimSpace(text);
  if (rest.ends_with('%')) {
    return Status::Invalid(fmt::format(
        "'{}' is a share, and here is nothing to take a share of; write a size such as 8Gi", text));
  }
  const std::optional<Decimal> number = TakeDecimal(rest);
  const std::optional<uint64_t> unit = UnitBytes(TrimSpace(rest));
  if (!number || !unit) return BadSize(text);
  const std::optional<uint64_t> bytes = number->Times(*unit);
  if (!bytes) return Status::Invalid(fmt::format("'{}' is too large: sizes end below 16Ei", text));
  return *bytes;
}

Result<uint64_t> ParseSizeOrShare(std::string_view text, uint64_t total) {
  std::string_view rest = TrimSpace(text);
  if (!rest.ends_with('%')) return ParseSize(text);
  const std::optional<Decimal> percent = TakeDecimal(rest);
  if (!percent || TrimSpace(rest) != "%") {
    return Status::Invalid(fmt::format("'{}' is not a share; write one such as 50%", text));
  }
  __extension__ using Wide = unsigned __int128;
  const Wide whole = static_cast<Wide>(percent->scale) * 100;
  if (percent->too_large || percent->digits > whole) {
    return Status::Invalid(fmt::format("'{}' is more than all; write a share up to 100%", text));
  }
  return static_cast<uint64_t>(static_cast<Wide>(percent->digits) * total / whole);
}

std::string FormatSize(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  size_t power = 0;
  uint64_t unit = 1024;
  while (bytes / unit >= 1024) {
    unit *= 1024;
    ++power;
  }
  const auto prefix = static_cast<char>(kPrefixes[power] - 'a' + 'A');
  const uint64_t tenth = bytes % unit * 10 / unit;  // fits: 10 × 1 EiB is below 2^64
  if (tenth == 0) return fmt::format("{} {}iB", bytes / unit, prefix);
  return fmt::format("{}.{} {}iB", bytes / unit, tenth, prefix);
}

}  // namespace vineyard
