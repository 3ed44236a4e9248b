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

/// A client's number of any size: more than a day is a day.
inline os::TimePoint DeadlineAfter(uint64_t timeout_ms) {
  constexpr uint64_t kDay = 24 * 3600 * 1000;
  return os::Clock::now() + std::chrono::milliseconds(std::min(timeout_ms, kDay));
}

/// Of a compare-and-set: nothing to compare unless `check`.
inline std::optional<uint64_t> IfVersion(bool check, uint64_t version) {
  return check ? std::optional(version) : std::nullopt;
}

}  // namespace vineyard::daemon
