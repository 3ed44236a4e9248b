// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Processes: descriptors that tell when one ends, dying with a parent, and where a test makes this
// process die.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "os/fd.h"
#include "vineyard/status.h"

namespace vineyard::os {

/// Readable once the process has ended, also while forked children of it live.
Result<UniqueFd> OpenPidFd(pid_t pid);
/// Does not block. True when the process of the pidfd has ended.
bool HasEnded(const UniqueFd& pidfd);
/// Sends SIGKILL when the parent's thread that forked this process ends.
void DieWithParent();
/// "python3", from /proc/PID/comm; empty if it is gone.
std::string ProcessName(pid_t pid);

/// Named places at which a test ends the process with SIGKILL, as a power cut would. Off unless the
/// environment has VINEYARD_CRASH_AT=name or name:N (the N-th time the place is passed, per process);
/// then `CrashPoint(name)` costs a compare, else one load.
void LoadCrashPoint();
void CrashPointSlow(const char* name);
extern bool g_crash_point_set;
inline void CrashPoint(const char* name) {
  if (g_crash_point_set) [[unlikely]] CrashPointSlow(name);
}

}  // namespace vineyard::os
