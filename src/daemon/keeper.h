// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The keeper: the process a user starts. It binds the instance's socket, starts the engine and holds,
// for as long as the instance lives, the descriptors of everything that an engine may leave behind: so
// an engine can crash, be killed or be replaced by a newer program, and the next one gets it all back.
// It reads nothing that a client sent, only its engine's packets (keeper_protocol.h).
//
// One thread, in the foreground, sleeping in poll(). The keeper keeps the engine alive: the engine ends
// when the keeper does (os::DieWithParent, and the end of their socket).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "daemon/succession.h"
#include "os/tcp.h"

namespace vineyard::daemon {

struct KeeperOptions {
  std::string socket;
  mode_t socket_mode = 0660;
  /// A second socket of the first volume, for those who only read. Empty: none.
  std::string read_only_socket{};
  mode_t read_only_socket_mode = 0660;
  /// How an engine is started: the program's absolute path, then its arguments. The path is looked up
  /// at each start, so that a program put in its place is what runs next; if that does not serve well, the
  /// one before is started again, though its file may be gone (succession.h).
  std::vector<std::string> engine_command;
  /// The instance ends when this process does.
  std::optional<pid_t> exit_with_parent;
  /// What the trial of a new program may take (program_trial.h).
  std::chrono::milliseconds trial_patience{10'000};
  Succession::Periods succession{};
  /// Where a second child answers HTTP (http_process.h); nullopt: nobody does.
  std::optional<os::TcpAddress> http{};
  /// Gives up what it does not need, and what no engine may have (os::GiveUpKeepersRights).
  bool sandbox = true;
};

/// In the engine's environment: the number of its end of the socket to the keeper.
inline constexpr const char* kEngineFdVariable = "VINEYARD_ENGINE_FD";
/// Also there, for people: set to 1 in an engine.
inline constexpr const char* kEngineVariable = "VINEYARD_ENGINE";
/// The volume that the instance's own socket serves.
inline constexpr uint64_t kFirstVolume = 1;

/// Returns the exit code when the instance has ended: 0 after SIGTERM, SIGINT, kStop or the parent's
/// end; 1 where it could not begin; the engine's own, where that gave up before any had served.
/// Prints failures. REQUIRES: the process has one thread. Blocks SIGTERM and SIGINT, and ignores
/// SIGHUP and SIGPIPE, in it and in the engine (which gets the former unblocked).
int RunKeeper(const KeeperOptions& options);

}  // namespace vineyard::daemon
