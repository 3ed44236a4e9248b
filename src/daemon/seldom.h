// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Seldom: for what may happen often and is worth a line in the log: one a second, which says how many there were.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

#include "os/socket.h"

namespace vineyard::daemon {

class Seldom {
 public:
  /// It has happened. How many times since the last line, if one is due now; else 0.
  uint64_t Note(os::TimePoint now = os::Clock::now()) {
    ++count_;
    if (now < next_) return 0;
    next_ = now + std::chrono::seconds(1);
    return std::exchange(count_, 0);
  }

 private:
  uint64_t count_ = 0;
  os::TimePoint next_ = os::TimePoint::min();
};

}  // namespace vineyard::daemon
