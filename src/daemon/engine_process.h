// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// EngineProcess: an engine as its keeper sees it: a child, and the socket to it, through which packets go
// when it has room for them.
//
// For the keeper's thread. Nothing waits but Reap.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/keeper_protocol.h"
#include "daemon/kept_items.h"
#include "os/fd.h"
#include "os/packet.h"
#include "os/process.h"

namespace vineyard::daemon {

class EngineProcess {
 public:
  /// `program`: a descriptor of what runs instead of what command[0] names; -1: nothing. Descriptors of
  /// kItems are looked up in `items`, which outlives this, when they are sent.
  static Result<std::unique_ptr<EngineProcess>> Start(const std::vector<std::string>& command,
                                                      int program, const KeptItems& items);
  EngineProcess(const EngineProcess&) = delete;
  EngineProcess& operator=(const EngineProcess&) = delete;
  ~EngineProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Readable once it has ended.
  [[nodiscard]] int end() const { return pidfd_.get(); }
  void Signal(int number) const;
  /// REQUIRES: it has ended, or is about to.
  os::ProcessEnd Reap();

  /// Sent as soon as the socket has room, in order. Of a kInventoryEnd, `a` is filled in here.
  void Say(const KeeperMessage& message);
  void Flush();

  struct Heard {
    KeeperMessage message;
    os::Packet packet;
  };
  /// nullopt: there is nothing (more) to hear now. An operation of 0: it was nonsense.
  std::optional<Heard> Hear();

  /// -1 once the engine has closed its end. One that has is ending, or of no use.
  [[nodiscard]] int socket() const { return closed_ ? -1 : socket_.get(); }
  [[nodiscard]] bool closed() const { return closed_; }
  /// Flush when the socket has room …
  [[nodiscard]] bool waits_for_room() const { return !outgoing_.empty() && !busy_; }
  /// … or after a pause: the kernel was short of something.
  [[nodiscard]] bool waits_for_kernel() const { return busy_; }

  bool serves = false;

 private:
  EngineProcess(pid_t pid, const KeptItems& items) : pid_(pid), items_(items) {}

  pid_t pid_;  // -1: reaped
  const KeptItems& items_;
  os::UniqueFd pidfd_;
  os::UniqueFd socket_;
  bool closed_ = false;
  bool busy_ = false;
  std::deque<KeeperMessage> outgoing_;
  uint64_t items_sent_ = 0;
};

}  // namespace vineyard::daemon
