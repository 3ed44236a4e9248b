// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// ProgramTrial: the keeper's look at the program that it would start next, before the engine that runs gives way to
// it. The program is started with --self_test after the engine's own arguments: it reads these, enters its sandbox,
// says which formats it can take over (KeeperOp::kCapable), and ends. One that is something else, or older than
// this, refuses the flag.
//
// For the keeper's thread. Nothing waits but the destructor, for a child that it has killed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/keeper_protocol.h"
#include "os/fd.h"
#include "os/socket.h"

namespace vineyard::daemon {

class ProgramTrial {
 public:
  static Result<std::unique_ptr<ProgramTrial>> Start(const std::vector<std::string>& engine_command,
                                                     uint64_t sequence, os::TimePoint deadline);
  ProgramTrial(const ProgramTrial&) = delete;
  ProgramTrial& operator=(const ProgramTrial&) = delete;
  ~ProgramTrial();

  /// Readable once it has ended.
  [[nodiscard]] int end() const { return pidfd_.get(); }
  [[nodiscard]] os::TimePoint deadline() const { return deadline_; }
  /// Of the request that asks for it.
  [[nodiscard]] uint64_t sequence() const { return sequence_; }

  struct Verdict {
    TrialOutcome outcome{};
    uint64_t detail = 0;
  };
  /// Of one that has ended, or whose time is up.
  Verdict Finish(const Formats& in_use);

 private:
  ProgramTrial() = default;

  pid_t pid_ = -1;  // -1: reaped
  os::UniqueFd pidfd_;
  os::UniqueFd socket_;
  os::TimePoint deadline_;
  uint64_t sequence_ = 0;
};

/// What the program does with --self_test: says over `socket` what it can take over.
Status ReportCapabilities(const os::UniqueFd& socket);

}  // namespace vineyard::daemon
