// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// DeadlineAfter: when a request that came with this timeout has waited long enough.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "os/socket.h"

namespace vineyard::daemon {

/// A client's number of any size: more than a day is a day.
inline os::TimePoint DeadlineAfter(uint64_t timeout_ms) {
  constexpr uint64_t kDay = 24 * 3600 * 1000;
  return os::Clock::now() + std::chrono::milliseconds(std::min(timeout_ms, kDay));
}

}  // namespace vineyard::daemon
