// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/crash_point.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace vineyard::os {

bool g_crash_point_set = false;

namespace {
std::string* g_crash_point_name = nullptr;  // set once, before threads start
std::atomic<long> g_crash_point_left = 1;
int g_crash_point_signal = SIGKILL;

// "3", or "1-3": how many of them were before this one; nullopt: it is none of them.
std::optional<uint64_t> PlaceIn(const char* text, uint64_t generation) {
  char* end = nullptr;
  const uint64_t first = std::strtoull(text, &end, 10);
  const uint64_t last = *end == '-' ? std::strtoull(end + 1, nullptr, 10) : first;
  if (generation < first || generation > last) return std::nullopt;
  return generation - first;
}

// The n-th of "a,b,c", and the first again after the last.
std::string EntryOf(std::string_view list, uint64_t n) {
  n %= static_cast<uint64_t>(std::ranges::count(list, ',')) + 1;
  for (; n > 0; --n) list.remove_prefix(list.find(',') + 1);
  return std::string(list.substr(0, list.find(',')));
}

// Where many engines die one after another, the log tells which died where.
void SayWhere(const char* name) {
  std::array<char, 80> line;
  const int length = std::snprintf(line.data(), line.size(), "crash point %s\n", name);
  const size_t shown = std::min(static_cast<size_t>(length), line.size() - 1);
  if (::write(STDERR_FILENO, line.data(), shown) < 0) return;  // nobody reads it
}
}  // namespace

void LoadCrashPoint(uint64_t generation) {
  const char* text = std::getenv("VINEYARD_CRASH_AT");
  if (text == nullptr || *text == '\0') return;
  const char* which = std::getenv("VINEYARD_CRASH_GENERATION");
  const std::optional<uint64_t> place = PlaceIn(which ? which : "1", generation);
  if (!place) return;
  if (const char* signal = std::getenv("VINEYARD_CRASH_SIGNAL")) {
    g_crash_point_signal = static_cast<int>(std::strtol(signal, nullptr, 10));
  }
  std::string name = EntryOf(text, *place);
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
    SayWhere(name);
    std::signal(g_crash_point_signal, SIG_DFL);
    ::kill(::getpid(), g_crash_point_signal);
    ::pause();
  }
}

}  // namespace vineyard::os
