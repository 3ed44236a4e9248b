// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The processors this process may use, and waiting awake on one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace vineyard::os {

/// As the scheduler's affinity of this thread says, or fewer where its control group may use less of them;
/// at least 1.
int UsableProcessors();
/// Processors' worth of time that the control groups grant; nullopt: no limit. Reads below `root`.
std::optional<double> ReadProcessorQuota(const std::string& root = "");

/// The one this thread runs on now.
int CurrentProcessor();
/// Moves this thread to another one, if it may use any other; it may come back later.
void LeaveProcessor();

/// Whether to wait awake for another thread, and how. Not where it has mostly been in vain lately: such a
/// wait costs as much as several others save. Alone on its processor a thread just looks again and again.
/// Where it shares the processor with whom it waits for, or more threads of the machine want to run than
/// there are processors (looked up a few hundred times a second), it lets others run between two looks:
/// good where these are partners, who are soon done and do the same, and very bad where strangers compute, who
/// get a whole slice of time then. Not thread-safe.
class WaitingAwake {
 public:
  enum class How { kAsleep, kGivingWay, kAwake };
  /// Ask before each wait. `partners`: threads that wait for each other like this one, itself included.
  How Choose(bool shares_processor, int partners);
  /// Between two looks, when giving way.
  void GiveWay();
  /// Tell after each wait, awake or asleep: whether it came so soon that waiting awake was, or would have
  /// been, right.
  void Note(bool soon) {
    credit_ = soon ? std::min(credit_ + 1, kMost) : std::max(credit_ - kCost, 0);
  }

 private:
  static constexpr int kMost = 32;
  static constexpr int kCost = 8;

  int credit_ = kMost / 2;
  int runnable_ = 0;       // threads, when last looked or the time before, whichever were fewer
  int last_runnable_ = 0;  // when last looked
  int64_t looked_at_ = 0;  // nanoseconds
  int64_t asleep_until_ = 0;
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
