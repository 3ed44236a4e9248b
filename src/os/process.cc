// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/process.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

namespace vineyard::os {

Result<UniqueFd> OpenPidFd(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) return ErrnoStatus("cannot watch process " + std::to_string(pid));
  return fd;
}

bool HasEnded(const UniqueFd& pidfd) {
  pollfd p{pidfd.get(), POLLIN, 0};
  return ::poll(&p, 1, 0) == 1;
}

void DieWithParent() { ::prctl(PR_SET_PDEATHSIG, SIGKILL); }

std::string ProcessName(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(in, name);
  return name;
}

bool g_crash_point_set = false;

namespace {
std::string* g_crash_point_name = nullptr;  // set once, before threads start
long g_crash_point_left = 1;
}  // namespace

void LoadCrashPoint() {
  const char* text = std::getenv("VINEYARD_CRASH_AT");
  if (text == nullptr || *text == '\0') return;
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
