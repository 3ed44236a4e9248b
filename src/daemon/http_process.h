// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// HttpProcess: the process that answers HTTP, as its keeper sees it: a child that gets a listening socket and nothing
// else, and that is started again, after a pause, whenever it ends. Nobody else waits for it or minds its end.
//
// For the keeper's thread. Nothing waits but the destructor and HandleEnd, for a child that has ended or been killed.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "os/fd.h"
#include "os/process.h"
#include "os/socket.h"

namespace vineyard::daemon {

/// In its environment: the number of the listening socket, a comma, and the keeper's process.
inline constexpr const char* kHttpVariable = "VINEYARD_HTTP_LISTENER";

class HttpProcess {
 public:
  /// `command` as in KeeperOptions. Starts nothing yet.
  HttpProcess(std::vector<std::string> command, os::UniqueFd listener)
      : command_(std::move(command)), listener_(std::move(listener)) {}
  HttpProcess(const HttpProcess&) = delete;
  HttpProcess& operator=(const HttpProcess&) = delete;
  ~HttpProcess();

  /// If it does not run and its time has come.
  void StartIfDue(os::TimePoint now);
  /// When that is; nullopt: it runs.
  [[nodiscard]] std::optional<os::TimePoint> start_at() const;
  /// REQUIRES: it has ended.
  void HandleEnd(os::TimePoint now);
  /// Where another program lies at the path by now, that one runs instead.
  void FollowProgram();

  /// -1: it does not run.
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Readable once it has ended; -1: it does not run.
  [[nodiscard]] int end() const { return pidfd_.get(); }

 private:
  Status Start();

  std::vector<std::string> command_;
  os::UniqueFd listener_;
  pid_t pid_ = -1;
  os::UniqueFd pidfd_;
  os::ProgramFile program_;
  os::TimePoint started_;
  os::TimePoint start_at_{};  // at once
  std::chrono::milliseconds pause_{0};
};

}  // namespace vineyard::daemon
