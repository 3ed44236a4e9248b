// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/crash_point.h"

#include <sys/prctl.h>
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
int g_crash_point_signal = SIGKILL;

// "3", or "1-3".
bool IsOneOf(uint64_t generation, const char* text) {
  char* end = nullptr;
  const uint64_t first = std::strtoull(text, &end, 10);
  const uint64_t last = *end == '-' ? std::strtoull(end + 1, nullptr, 10) : first;
  return first <= generation && generation <= last;
}
}  // namespace

void LoadCrashPoint(uint64_t generation) {
  const char* text = std::getenv("VINEYARD_CRASH_AT");
  if (text == nullptr || *text == '\0') return;
  const char* which = std::getenv("VINEYARD_CRASH_GENERATION");
  if (!IsOneOf(generation, which ? which : "1")) return;
  if (const char* signal = std::getenv("VINEYARD_CRASH_SIGNAL")) {
    g_crash_point_signal = static_cast<int>(std::strtol(signal, nullptr, 10));
  }
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
    ::prctl(PR_SET_DUMPABLE, 0);  // no core
    std::signal(g_crash_point_signal, SIG_DFL);
    ::kill(::getpid(), g_crash_point_signal);
    ::pause();
  }
}

}  // namespace vineyard::os
