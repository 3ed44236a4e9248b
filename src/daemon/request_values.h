// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What numbers and flags of a request mean.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

#include "os/socket.h"

namespace vineyard::daemon {

/// Parts of the objects that one request brings back, pins, evicts or keeps.
inline constexpr size_t kMostPlaced = 65'536;

/// A client's number of any size: more than a day is a day.
inline os::TimePoint DeadlineAfter(uint64_t timeout_ms) {
  constexpr uint64_t kDay = 24 * 3600 * 1000;
  return os::Clock::now() + std::chrono::milliseconds(std::min(timeout_ms, kDay));
}

/// A century at most.
inline std::chrono::milliseconds TimeOf(uint64_t ms) {
  constexpr uint64_t kCentury = uint64_t{100} * 366 * 24 * 3600 * 1000;
  return std::chrono::milliseconds(std::min(ms, kCentury));
}

/// Of a name's time to live.
inline std::optional<os::TimePoint> EndAfter(uint64_t ttl_ms) {
  if (ttl_ms == 0) return std::nullopt;
  return os::Clock::now() + TimeOf(ttl_ms);
}

/// Of a name that lives with its client: how much longer.
inline std::optional<std::chrono::nanoseconds> LingerOf(bool with_client, uint64_t linger_ms) {
  if (!with_client) return std::nullopt;
  return TimeOf(linger_ms);
}

/// What is left of it, at least a millisecond; 0 of a name that stays.
inline uint64_t TimeLeft(const std::optional<os::TimePoint>& end) {
  if (!end) return 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*end - os::Clock::now()).count();
  return left > 0 ? static_cast<uint64_t>(left) : 1;
}

/// Of a compare-and-set: nothing to compare unless `check`.
inline std::optional<uint64_t> IfVersion(bool check, uint64_t version) {
  return check ? std::optional(version) : std::nullopt;
}

}  // namespace vineyard::daemon
