// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/processor.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <thread>
#include <utility>

#include "os/control_group.h"

namespace vineyard::os {

std::optional<double> ReadProcessorQuota(const std::string& root) {
  std::optional<double> least;
  VisitControlGroups(root, "cpu", [&](const ControlGroup& group) {
    const bool v1 = group.version() == 1;
    const std::string both = v1 ? std::string() : group.Read("cpu.max");  // "quota period"
    const std::optional<uint64_t> quota = ParseNumber(v1 ? group.Read("cpu.cfs_quota_us") : both);
    const std::optional<uint64_t> period =
        ParseNumber(v1 ? group.Read("cpu.cfs_period_us") : both.substr(both.find(' ') + 1));
    if (!quota || !period || *period == 0) return;
    const double share = static_cast<double>(*quota) / static_cast<double>(*period);
    least = std::min(least.value_or(share), share);
  });
  return least;
}

int UsableProcessors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  // More processors than the set has room for: the affinity can't be had in it.
  const int allowed = ::sched_getaffinity(0, sizeof set, &set) == 0
                          ? CPU_COUNT(&set)
                          : static_cast<int>(std::thread::hardware_concurrency());
  const double quota = ReadProcessorQuota().value_or(allowed);
  return std::max(1, static_cast<int>(std::min<double>(allowed, quota)));
}

namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;
constexpr int64_t kBetweenLooks = kNanoseconds / 200;

// Some milliseconds old, and ten times as fast as the exact one.
int64_t CoarseNow() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * kNanoseconds + now.tv_nsec;
}

// The first of "running/existing", the fourth field of the file; 0 where it can't be had.
int RunnableThreads() {
  static const int kFile = ::open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
  char text[128];
  const ssize_t length = ::pread(kFile, text, sizeof text - 1, 0);
  if (length <= 0) return 0;
  text[length] = 0;
  int running = 0;
  return std::sscanf(text, "%*s %*s %*s %d/", &running) == 1 ? running : 0;
}

}  // namespace

WaitingAwake::How WaitingAwake::Choose(bool shares_processor, int partners) {
  static const auto kProcessors = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  const int64_t now = CoarseNow();
  if (now - looked_at_ > kBetweenLooks) {
    looked_at_ = now;
    // Kernel threads run for a moment: once is not enough.
    const int runnable = RunnableThreads();
    runnable_ = std::min(std::exchange(last_runnable_, runnable), runnable);
  }
  if (credit_ == 0) return How::kAsleep;
  if (runnable_ <= kProcessors) return shares_processor ? How::kGivingWay : How::kAwake;
  return runnable_ > partners || now < asleep_until_ ? How::kAsleep : How::kGivingWay;
}

// Strangers may hide behind partners that sleep. They get no more than half of the time for nothing.
void WaitingAwake::GiveWay() {
  constexpr std::chrono::microseconds kSlice{500};
  const auto begin = std::chrono::steady_clock::now();
  ::sched_yield();
  const std::chrono::nanoseconds lost = std::chrono::steady_clock::now() - begin;
  if (lost >= kSlice) asleep_until_ = CoarseNow() + lost.count();
}

int CurrentProcessor() { return ::sched_getcpu(); }

void LeaveProcessor() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(::sched_getcpu(), &others);
  if (CPU_COUNT(&others) == 0 || ::sched_setaffinity(0, sizeof others, &others) != 0) return;
  ::sched_setaffinity(0, sizeof allowed, &allowed);
}

}  // namespace vineyard::os
