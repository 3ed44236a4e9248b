// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Processes: starting one, descriptors that tell when one ends or a signal comes, dying with a parent,
// and where a test makes this process die.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "os/fd.h"
#include "vineyard/status.h"

namespace vineyard::os {

/// Readable once the process has ended, also while forked children of it live.
Result<UniqueFd> OpenPidFd(pid_t pid);
/// Does not block. True when the process of the pidfd has ended.
bool HasEnded(const UniqueFd& pidfd);
/// Sends SIGKILL when the parent's thread that forked this process ends.
void DieWithParent();
/// Its number.
pid_t ThisProcess();
/// True when that process has started this one, and has not ended.
bool IsChildOf(pid_t parent);

struct SpawnOptions {
  std::vector<std::string> command;  ///< command[0] is a path, looked up anew at each start
  std::vector<std::pair<std::string, std::string>> environment;  ///< added to this process's own
  int inherited_fd = -1;  ///< stays open in the new program, under the same number
  int program = -1;       ///< an open file (OpenProgram) that runs instead of what command[0] names
};
/// Starts a program, with no signal blocked. SIGINT is ignored in it: Ctrl-C goes to all processes of
/// a terminal, and the one that started the others says what becomes of them. A program that cannot
/// be started says so on stderr and ends with 127. REQUIRES: this process has one thread.
Result<pid_t> Spawn(const SpawnOptions& options);

/// The program that lies at the path now, whatever will lie there later.
Result<UniqueFd> OpenProgram(const std::string& path);

/// Which file a program is, and of when.
struct ProgramFile {
  uint64_t device = 0;
  uint64_t number = 0;
  uint64_t size = 0;
  int64_t changed_ns = 0;  ///< The time of its contents.

  /// Whatever has been written into it since.
  [[nodiscard]] bool IsSameAs(const ProgramFile& other) const {
    return device == other.device && number == other.number;
  }
  friend bool operator==(const ProgramFile&, const ProgramFile&) = default;
};
Result<ProgramFile> LookAtProgram(const UniqueFd& program);

struct ProcessEnd {
  bool by_signal = false;
  int code = 0;  ///< the signal's number, or the exit code
};
/// Waits for a child to end.
Result<ProcessEnd> Reap(pid_t child);

/// As process 1 of a container: forgets those that have ended and were left to it by processes that ended
/// before them; but for `child`, its own. Elsewhere it does nothing. REQUIRES: no other child of this process's own
/// is to be reaped later.
void ReapOrphans(pid_t child = -1);

/// Blocks the signals and makes them readable from the descriptor instead, except those that this
/// process was started to ignore (nohup, a shell's background jobs).
Result<UniqueFd> WatchSignals(const std::vector<int>& signals);
/// Number of the next signal that has come; 0 if none has.
int NextSignal(const UniqueFd& watched);

enum class CoreDumps { kAllowed, kNone };
/// For this process and those it starts.
void SetCoreDumps(CoreDumps wanted);

/// Absolute path of the program that this process runs.
Result<std::string> ProgramPath();

/// Opens /dev/null where stdin, stdout or stderr is closed, so that no other file gets its number.
void FillStandardDescriptors();

/// Ends this process well, without waiting for its threads or running what is to run at its end.
[[noreturn]] void EndAtOnce();

/// Gives the machine what malloc keeps of memory that is free. Takes milliseconds where that is much.
void GiveBackFreeMemory();

/// The most memory of its own that this process may have; to ask for more fails. What it shares with others, as memory
/// files, does not count.
Status LimitPrivateMemory(uint64_t bytes);

/// Of this process: a constant, at most 15 bytes. Before other threads ask for ProgramOfThisProcess.
void SetProcessName(const char* name);

/// "python3", from /proc/PID/comm; empty if it is gone.
std::string ProcessName(pid_t pid);
/// Whether a descriptor is a terminal.
bool IsTerminal(int fd);

/// As people would call it: "train.py" of "python3 train.py", "-m pipeline.step" of "python3 -m pipeline.step", else the
/// program's own name. At most 128 bytes.
std::string ProgramOfThisProcess();
/// The same, of its arguments.
std::string ProgramOf(const std::vector<std::string>& arguments);

/// No signal is delivered to this thread, or to threads that it starts, while this lives.
class SignalsBlocked {
 public:
  SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked();

 private:
  sigset_t before_;
};

/// Called around every fork of this process from now on: before, and after in the parent and the child.
bool OnFork(void (*before)(), void (*in_parent)(), void (*in_child)());

}  // namespace vineyard::os
