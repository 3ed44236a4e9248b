// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/timer.h"

#include <sys/timerfd.h>

#include <algorithm>
#include <chrono>

namespace vineyard::os {

Result<Timer> Timer::Make() {
  const int fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (fd < 0) return ErrnoStatus("cannot make a timer");
  return Timer(UniqueFd(fd));
}

// A time of zero would stop it.
void Timer::SetAt(TimePoint at) {
  using std::chrono::nanoseconds;
  const auto since_boot = std::max(nanoseconds(at.time_since_epoch()), nanoseconds(1));
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_boot);
  const itimerspec when{{}, {seconds.count(), (since_boot - seconds).count()}};
  ::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void Timer::Stop() {
  const itimerspec never{};
  ::timerfd_settime(fd_.get(), 0, &never, nullptr);
}

}  // namespace vineyard::os
