// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// KeeperLink: the engine's end of the socket to its keeper (keeper_protocol.h). Owned and used by the
// engine's thread, whose io_context must outlive it. Nothing here blocks, ReceiveInventory excepted.
//
// What the socket has no room for waits in a queue, in order, with a duplicate of its descriptor: the
// caller may close its own at once.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "daemon/keeper_protocol.h"
#include "os/fd.h"
#include "vineyard/status.h"

namespace vineyard::daemon {

struct InventoryItem {
  KeeperMessage what;  // its kind and a … f
  os::UniqueFd fd;
};

/// What the keeper tells a new engine.
struct Inventory {
  uint64_t generation = 0;  // of this engine; 1 is the instance's first
  KeeperStart start = KeeperStart::kFirst;
  uint64_t instance[2] = {0, 0};
  bool former_program = false;      // this one served before; the present one does not
  bool on_probation = false;        // the former one comes back if this one ends by a fault
  uint64_t keeper_descriptors = 0;  // that it may have; 0: it does not say
  std::vector<InventoryItem> items;
};

class KeeperLink {
 public:
  using Answer = std::function<void(Status)>;
  using Done = std::function<void()>;

  /// Reads all that the keeper sends a new engine, waiting for it. Before the io_context runs.
  /// kUnavailable when the keeper is gone, kProtocol when it is of another version.
  static Result<Inventory> ReceiveInventory(const os::UniqueFd& socket);

  /// `on_lost` is called once, from the io_context, when the keeper is gone: the engine must end.
  /// Answers that are still due are never called then.
  KeeperLink(asio::io_context& io, os::UniqueFd socket, Done on_lost);
  KeeperLink(const KeeperLink&) = delete;
  KeeperLink& operator=(const KeeperLink&) = delete;

  /// Gives the keeper a thing to hold; its kind, a … f are read from `what`. True when the kernel has
  /// it, so that it is safe even if this process ends now. False when it waits in the queue: what
  /// depends on its being safe is done by WhenFlushed. Fails where the descriptor cannot be queued
  /// (kLimitExceeded) or the keeper is gone (kUnavailable); `on_held` is not called then.
  /// `on_held` tells that the keeper has done it (a catalog: its page is mapped), or why not.
  Result<bool> Hold(const KeeperMessage& what, int fd, Answer on_held = {});

  /// Has the keeper close its descriptor of a thing; `on_dropped` when it has.
  void Drop(KeptKind kind, uint64_t a, uint64_t b, Done on_dropped = {});

  /// The engine serves.
  void Ready();
  /// Asks for the end of the instance. The keeper answers with SIGTERM.
  void Stop();
  /// The keeper has said that the probation of this engine's program has ended well.
  [[nodiscard]] bool settled() const { return settled_; }
  /// Has the keeper try the program that it would start next. OK: it can take over; then this engine may end.
  /// kFailedPrecondition says why not.
  void TryProgram(Answer on_tried);

  /// True when the kernel has everything that was said so far.
  [[nodiscard]] bool Flushed() const { return queue_.empty(); }
  /// Calls when the kernel has everything that was said so far: at once, from here, if it has.
  void WhenFlushed(Done callback);

 private:
  struct Queued {
    KeeperMessage message;
    os::UniqueFd fd;
  };
  struct Waiting {
    uint64_t position;  // called once so many of the queue have gone
    Done callback;
  };

  Result<bool> Send(const KeeperMessage& message, int fd);
  void Flush();
  void CallFlushed();
  void WaitWritable();
  void WaitReadable();
  void ReadAll();
  void HandleAnswer(const KeeperMessage& message);
  void Lose();

  os::UniqueFd socket_;                     // the descriptor that packets go through
  asio::posix::stream_descriptor watched_;  // a duplicate of it, to wait on
  asio::steady_timer retry_;
  Done on_lost_;
  bool lost_ = false;
  bool settled_ = false;
  bool waiting_to_send_ = false;

  std::deque<Queued> queue_;
  uint64_t queued_ = 0;   // ever
  uint64_t flushed_ = 0;  // of those, gone
  std::deque<Waiting> when_flushed_;

  uint64_t last_sequence_ = 0;
  std::unordered_map<uint64_t, Answer> answers_;

  std::shared_ptr<int> alive_ = std::make_shared<int>();  // handlers of asio hold it weakly
};

}  // namespace vineyard::daemon
