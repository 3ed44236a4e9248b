// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests of what a process cannot take back: they try it in a forked one.
#pragma once

#include <unistd.h>

#include <functional>

#include "os/process.h"

namespace vineyard::os {

/// True in programs that watch themselves, and make system calls of their own for it.
constexpr bool IsInstrumented() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#elif defined(__has_feature)
  return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
  return false;
#endif
}

/// The exit code of a forked process that ran it, or minus the number of the signal that ended it.
inline int RunForked(const std::function<int()>& run) {
  const pid_t child = ::fork();
  if (child == 0) {
    DieWithParent();
    ::_exit(run());
  }
  const auto end = Reap(child);
  if (!end.ok()) return -1000;
  return end->by_signal ? -end->code : end->code;
}

/// The errno of a call that failed, else 0.
template <typename T>
int ErrorOf(T result) {
  return result == static_cast<T>(-1) ? errno : 0;
}

}  // namespace vineyard::os
