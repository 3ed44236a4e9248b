// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Crash points: named places at which a test ends the engine with SIGKILL, as a power cut would.
//
// Off unless the environment has VINEYARD_CRASH_AT=name or name:N (the N-th time the place is passed)
// and this is the engine of generation VINEYARD_CRASH_GENERATION (default 1: its successors then live).
// They are in the program that is shipped: what is tested is what runs. Off, one costs a load.
#pragma once

#include <cstdint>

namespace vineyard::os {

/// Before other threads start.
void LoadCrashPoint(uint64_t generation);
void CrashPointSlow(const char* name);
extern bool g_crash_point_set;
inline void CrashPoint(const char* name) {
  if (g_crash_point_set) [[unlikely]]
    CrashPointSlow(name);
}

}  // namespace vineyard::os
