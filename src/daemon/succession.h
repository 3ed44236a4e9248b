// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Succession: which program the next engine runs, and how long the keeper waits before it starts one.
//
// The program that is installed runs. It counts as good once an engine of it has served for the
// probation without a fault; until then the program that was good before is kept as an open file, and
// is what runs next (the former program) when an engine of the installed one
//   * ends by a fault on its probation,
//   * ends before it serves, twice in a row,
//   * or does not begin to serve in time: then it is to be killed.
// A file that failed so is not run again until another lies in its place or somebody asks for it (an
// upgrade); where the former program can't serve either, they take turns. Of an instance's first
// program there is none before: it is good as soon as it serves.
//
// Knows nothing of processes and reads no clock: the keeper, whose thread it belongs to, tells it what
// happens and when.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "daemon/keeper_protocol.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/socket.h"

namespace vineyard::daemon {

class Succession {
 public:
  using Milliseconds = std::chrono::milliseconds;

  struct Periods {
    Milliseconds probation{10'000};
    /// What an engine may take to serve; ten times what the last one took, if that is more.
    Milliseconds start{60'000};
  };
  enum class Standing : uint8_t { kGood, kOnProbation, kFormer };
  struct Choice {
    Standing standing = Standing::kGood;
    int program =
        -1;  ///< What runs instead of what lies at the path; -1: nothing. Stays this object's.
  };

  explicit Succession(const Periods& periods) : periods_(periods) {}

  /// An engine is started now. `installed`: what lies at the path, if anything can be opened there.
  Choice Begin(Result<os::UniqueFd> installed, os::TimePoint now);
  /// It serves, and writes these formats.
  void Serves(const Formats& writes, os::TimePoint now);
  /// It has ended. Returns the pause before the next one.
  Milliseconds Ended(bool by_fault, os::TimePoint now);
  /// No process could be made of it. Likewise.
  Milliseconds CouldNotStart();
  /// Somebody asks for the program that is installed: it gets another chance.
  void Pardon() { rejected_.reset(); }

  /// True once, when the probation of the engine's program has ended well.
  bool Settle(os::TimePoint now);
  /// The engine has taken so long to serve that it is to be killed.
  [[nodiscard]] bool IsLate(os::TimePoint now) const;
  /// When one of these two changes.
  [[nodiscard]] std::optional<os::TimePoint> NextLook() const;
  /// What the engine that served last writes.
  [[nodiscard]] const Formats& formats() const { return formats_; }

 private:
  struct Running {
    Standing standing = Standing::kGood;
    os::UniqueFd program;
    os::ProgramFile file;  // all zero: there is none
    bool serves = false;
    os::TimePoint since;  // that it serves, or was started
  };

  void Adopt();
  void Reject(const char* why);
  [[nodiscard]] Milliseconds Patience() const;
  Milliseconds PauseAfter(bool by_fault, os::TimePoint now);

  Periods periods_;
  std::unique_ptr<Running> running_;  // null: none runs
  os::UniqueFd good_;
  os::ProgramFile good_file_;
  Formats good_writes_;
  Formats formats_;
  std::optional<os::ProgramFile> rejected_;
  int failures_ = 0;  // engines that ended before they served, since one served or was rejected
  Milliseconds last_start_{0};
  Milliseconds pause_{0};
  Milliseconds pause_after_faults_{0};
};

}  // namespace vineyard::daemon
