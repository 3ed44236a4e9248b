// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Keeper: the loop behind RunKeeper. keeper.cc begins and ends it, and waits for what happens;
// keeper_engine.cc is what it does with its engine.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "daemon/engine_process.h"
#include "daemon/http_process.h"
#include "daemon/instance_socket.h"
#include "daemon/keeper.h"
#include "daemon/keeper_protocol.h"
#include "daemon/kept_items.h"
#include "daemon/program_trial.h"
#include "daemon/succession.h"
#include "os/fd.h"
#include "os/socket.h"

namespace vineyard::daemon {

class Keeper {
 public:
  explicit Keeper(const KeeperOptions& options)
      : options_(options), succession_(options.succession) {}
  int Run();

 private:
  Status Begin();
  Status WatchParent();
  Status OpenSocket();
  Status OpenHttp();
  void CleanUp();

  // keeper_engine.cc
  Status StartEngine();
  void StartEngineAfter(std::chrono::milliseconds pause) { start_at_ = os::Clock::now() + pause; }
  void Greet(Succession::Standing standing);
  void Try(const KeeperMessage& message);
  void FinishTrial();
  void LookAtProgram(os::TimePoint now);
  bool HearEngine();
  void HandleMessage(const KeeperMessage& message, os::Packet packet);
  void Answer(KeeperOp op, const KeeperMessage& to, StatusCode outcome);
  void HandleEngineEnd();

  void Turn();
  [[nodiscard]] int PollTimeout() const;
  void HandleSignals();
  void HandleTimers();
  void Stop(std::string_view why);
  void KillEngine();

  // What an engine may take to end when asked to. Then it is killed.
  static constexpr std::chrono::seconds kStopPatience{10};

  const KeeperOptions& options_;
  os::UniqueFd signals_;
  os::UniqueFd parent_;  // a pidfd
  InstanceSocket socket_;
  InstanceSocket readers_;  // the read-only one, if there is one
  KeptItems items_;
  std::array<uint64_t, 2> uuid_{};

  std::unique_ptr<HttpProcess> http_;  // null: not asked for
  std::unique_ptr<EngineProcess> engine_;
  uint64_t generation_ = 0;  // of the engine started last
  KeeperStart start_ = KeeperStart::kFirst;
  Succession succession_;
  bool ever_served_ = false;
  std::unique_ptr<ProgramTrial> trial_;
  std::optional<os::TimePoint> start_at_;
  std::optional<os::TimePoint> kill_at_;
  int signals_seen_ = 0;
  bool stopping_ = false;
  bool finished_ = false;
  int exit_code_ = 0;
};

}  // namespace vineyard::daemon
