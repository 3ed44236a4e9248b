// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "base/duration.h"

#include <array>
#include <cstdint>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "base/decimal.h"

namespace vineyard {

namespace {

struct Unit {
  std::string_view name;
  uint64_t nanoseconds;
};

constexpr uint64_t kSecond = 1'000'000'000;
constexpr std::array kUnits = {Unit{"d", 86'400 * kSecond},
                               Unit{"h", 3'600 * kSecond},
                               Unit{"m", 60 * kSecond},
                               Unit{"s", kSecond},
                               Unit{"ms", 1'000'000},
                               Unit{"us", 1'000},
                               Unit{"ns", 1}};
constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();

const Unit* FindUnit(std::string_view name) {
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

}  // namespace

Result<std::chrono::nanoseconds> ParseDuration(std::string_view text) {
  if (text == "0") return std::chrono::nanoseconds(0);
  std::string_view rest = text;
  const std::optional<Decimal> number = TakeDecimal(rest);
  const Unit* unit = FindUnit(rest);
  if (!number || unit == nullptr) {
    return Status::Invalid(fmt::format(
        "'{}' is not a duration; write a number and a unit, such as 250ms, 60s or 5m", text));
  }
  const std::optional<uint64_t> nanoseconds = number->Times(unit->nanoseconds, kMost);
  if (!nanoseconds) {
    return Status::Invalid(fmt::format("'{}' is too long: durations end at 292 years", text));
  }
  return std::chrono::nanoseconds(static_cast<int64_t>(*nanoseconds));
}

}  // namespace vineyard
