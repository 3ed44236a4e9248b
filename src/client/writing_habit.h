// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// WritingHabit: whether this program goes on writing to what it has put in place.
//
// Then putting in place costs more than it saves: each page that is written to is copied, with a fault
// for each. What was found rewritten at its second put makes the next first puts copy; then one is put
// in place again, to see whether that has changed. While it has not, more are copied each time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>

namespace vineyard::client {

class WritingHabit {
 public:
  void SawRewritten() {
    const std::lock_guard lock(mutex_);
    left_ = span_;
    span_ = std::min(span_ * 2, kLongest);
  }
  /// Memory that was put in place went unchanged, as far as anybody has looked.
  void SawKept() {
    const std::lock_guard lock(mutex_);
    span_ = kShortest;
  }
  [[nodiscard]] bool PrefersCopy() const {
    const std::lock_guard lock(mutex_);
    return left_ > 0;
  }
  /// The same, of a put that is being made.
  bool TakePrefersCopy() {
    const std::lock_guard lock(mutex_);
    if (left_ == 0) return false;
    --left_;
    return true;
  }

 private:
  static constexpr uint32_t kShortest = 4;
  static constexpr uint32_t kLongest = 64;
  mutable std::mutex mutex_;
  uint32_t left_ = 0;  // first puts that are still copied
  uint32_t span_ = kShortest;
};

}  // namespace vineyard::client
