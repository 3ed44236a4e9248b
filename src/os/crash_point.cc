// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/crash_point.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>

namespace vineyard::os {

bool g_crash_point_set = false;

namespace {
std::string* g_crash_point_name = nullptr;  // set once, before threads start
std::atomic<long> g_crash_point_left = 1;
}  // namespace

void LoadCrashPoint(uint64_t generation) {
  const char* text = std::getenv("VINEYARD_CRASH_AT");
  if (text == nullptr || *text == '\0') return;
  const char* which = std::getenv("VINEYARD_CRASH_GENERATION");
  if (generation != (which ? std::strtoull(which, nullptr, 10) : 1)) return;
  std::string name = text;
  if (const size_t colon = name.find(':'); colon != std::string::npos) {
    g_crash_point_left = std::strtol(name.c_str() + colon + 1, nullptr, 10);
    name.resize(colon);
  }
  g_crash_point_name = new std::string(std::move(name));  // lives as long as the process
  g_crash_point_set = true;
}

void CrashPointSlow(const char* name) {
  if (*g_crash_point_name == name && --g_crash_point_left == 0) {
    ::kill(::getpid(), SIGKILL);
    ::pause();
  }
}

}  // namespace vineyard::os
