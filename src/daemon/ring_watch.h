// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// RingWatch: the engine's loop, which watches the rings of clients in a burst beside its sockets.
//
// Nothing tells the kernel of a request in a ring. While there are requests the thread stays awake and
// looks; when none has come for some tens of microseconds it tells the clients that they must ring the
// bell and sleeps. An instance without work uses no processor time. Owned by the
// engine's thread.
#pragma once

#define ASIO_STANDALONE
#include <asio/io_context.hpp>

#include <memory>
#include <vector>

#include "os/processor.h"
#include "os/socket.h"

namespace vineyard::daemon {

class Connection;

class RingWatch {
 public:
  /// Its ring has requests, or is about to get some. REQUIRES: it has one.
  void Add(const std::shared_ptr<Connection>& connection);
  /// Until `io` is stopped.
  void Run(asio::io_context& io);

 private:
  void MakeWay(os::TimePoint now);
  bool Look(bool give_way);
  bool PollAll();
  /// All that are in a burst: its clients, and this thread.
  [[nodiscard]] int Partners() const { return static_cast<int>(awake_.size()) + 1; }
  /// True: all sleep, and nothing is watched any more.
  bool AllFallAsleep();
  void StayAwake(asio::io_context& io);

  std::vector<std::shared_ptr<Connection>> awake_;
  os::WaitingAwake awake_is_better_;
  bool client_is_here_ = false;  // on this processor: the one that was added last
  os::TimePoint moved_at_;
  os::TimePoint asleep_at_;
};

}  // namespace vineyard::daemon
