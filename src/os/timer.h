// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A timer one can wait for as for a socket (a timerfd), and take back.
//
// asio's timers share one descriptor, which still wakes its process at the time of a timer that has been
// cancelled.
#pragma once

#include "os/fd.h"
#include "os/socket.h"
#include "vineyard/status.h"

namespace vineyard::os {

class Timer {
 public:
  static Result<Timer> Make();

  /// Readable from then on, instead of any time set before.
  void SetAt(TimePoint at);
  /// Not readable, and it wakes nobody.
  void Stop();

  const UniqueFd& fd() const { return fd_; }

 private:
  explicit Timer(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace vineyard::os
