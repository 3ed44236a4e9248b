// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/http_process.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include <fmt/format.h>

#include "base/logging.h"

namespace vineyard::daemon {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{10'000};
// One that has lived so long has ended for a reason of its own: the next one is started at once.
constexpr milliseconds kLongLife{10'000};

os::ProgramFile ProgramAt(const std::string& path) {
  const auto program = os::OpenProgram(path);
  if (!program.ok()) return {};
  const auto file = os::LookAtProgram(*program);
  return file.ok() ? *file : os::ProgramFile{};
}

}  // namespace

HttpProcess::~HttpProcess() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  os::Reap(pid_).status().IgnoreError();
}

std::optional<os::TimePoint> HttpProcess::start_at() const {
  if (pid_ >= 0) return std::nullopt;
  return start_at_;
}

void HttpProcess::StartIfDue(os::TimePoint now) {
  if (pid_ >= 0 || now < start_at_) return;
  started_ = now;
  if (Status started = Start(); !started.ok()) {
    pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
    start_at_ = now + pause_;
    log::Error("cannot start the process that answers HTTP",
               {{"why", started.message()}, {"next_try_ms", pause_.count()}});
  }
}

Status HttpProcess::Start() {
  program_ = ProgramAt(command_[0]);
  const std::string value = fmt::format("{},{}", listener_.get(), os::ThisProcess());
  VY_ASSIGN_OR_RETURN(const pid_t pid, os::Spawn({.command = command_,
                                                  .environment = {{kHttpVariable, value}},
                                                  .inherited_fd = listener_.get()}));
  auto pidfd = os::OpenPidFd(pid);
  if (!pidfd.ok()) {
    ::kill(pid, SIGKILL);
    os::Reap(pid).status().IgnoreError();
    return std::move(pidfd).status();
  }
  pid_ = pid;
  pidfd_ = std::move(pidfd).value();
  return {};
}

void HttpProcess::HandleEnd(os::TimePoint now) {
  pidfd_.Reset();
  const pid_t pid = std::exchange(pid_, -1);
  const auto end = os::Reap(pid);
  pause_ = now - started_ >= kLongLife ? milliseconds(0)
                                       : std::clamp(pause_ * 2, kFirstPause, kLongestPause);
  start_at_ = now + pause_;
  log::Warning("the process that answers HTTP has ended; another starts",
               {{"pid", pid},
                {"signal", end.ok() && end->by_signal ? end->code : 0},
                {"code", end.ok() && !end->by_signal ? end->code : 0},
                {"pause_ms", pause_.count()}});
}

void HttpProcess::FollowProgram() {
  if (pid_ < 0 || ProgramAt(command_[0]) == program_) return;
  ::kill(pid_, SIGTERM);
}

}  // namespace vineyard::daemon
