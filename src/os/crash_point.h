// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Crash points: named places at which a test ends the engine with SIGKILL, as a power cut would.
//
// Off unless the environment has VINEYARD_CRASH_AT=name or name:N (the N-th time the place is passed)
// and this is one of the first engines, of generation VINEYARD_CRASH_GENERATION alone (default 1: its
// successors then live) or of generations a to b where that is a-b. Of several places, "name:N,name:N,…",
// those generations take one each in turn. With VINEYARD_CRASH_SIGNAL=number it ends by that signal:
// SIGSEGV is a fault, as a bug's. It says on stderr where it died.
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
