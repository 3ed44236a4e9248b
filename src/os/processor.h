// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The processors this process may use, and waiting awake on one.
#pragma once

#include <algorithm>
#include <cstdint>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace vineyard::os {

/// As the scheduler's affinity of this thread says; at least 1.
int UsableProcessors();

/// The one this thread runs on now.
int CurrentProcessor();
/// Moves this thread to another one, if it may use any other; it may come back later.
void LeaveProcessor();

/// Whether waiting awake for another thread is worth it. It is not while more threads of the machine want
/// to run than there are processors (looked up a few hundred times a second): the thread that is waited
/// for may be one of them, and who stays awake is made to wait longer afterwards. Nor where it has mostly
/// been in vain lately: such a wait costs as much as several others save. Not thread-safe.
class WaitingAwake {
 public:
  /// Ask before each wait.
  bool IsWorthwhile();
  /// Tell after each wait, awake or asleep: whether it came so soon that waiting awake was, or would have
  /// been, right.
  void Note(bool soon) {
    credit_ = soon ? std::min(credit_ + 1, kMost) : std::max(credit_ - kCost, 0);
  }

 private:
  static constexpr int kMost = 32;
  static constexpr int kCost = 8;
  int credit_ = kMost / 2;
  bool crowd_ = false;    // when last looked
  bool crowded_ = false;  // then and before
  int64_t looked_at_ = 0;
};

/// Between two looks at memory that another thread will change.
inline void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

}  // namespace vineyard::os
