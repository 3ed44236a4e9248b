// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// DescriptorsUnderWay: how many descriptors have been sent to clients and not been taken yet.
//
// Note [Descriptors that nobody takes]
//
// The kernel lets the processes of a user have no more descriptors lying unread in sockets, all together, than one
// process may have open; only privileges lift that. A client that asks for many and reads none could so
// keep everybody from theirs, and the engine from giving the keeper its own. So each connection may have
// some under way, each volume as many as leave room for the others, and who has none under way
// always gets a few. A socket that is closed unread goes on counting, as the kernel goes on: it stays open
// on this side until its client has read, or is gone.
//
// For the engine's thread. The server owns it.
#pragma once

#define ASIO_STANDALONE
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>

#include "os/fd.h"

namespace vineyard::daemon {

class DescriptorsUnderWay {
 public:
  /// `limit`: the kernel's, for all of the user's processes.
  DescriptorsUnderWay(asio::io_context& io, uint64_t limit) : limit_(limit), timer_(io) {}

  /// Whether `more` may be sent now by a connection that has `own` under way.
  bool MayGo(uint64_t volume, uint64_t own, size_t more);
  void Sent(uint64_t volume, uint64_t count) { by_volume_[volume] += count; }
  void Taken(uint64_t volume, uint64_t count);
  /// Takes over a connection's socket when that ends.
  void Close(os::UniqueFd socket, uint64_t volume, uint64_t count);
  void Stop();

 private:
  struct Left {
    os::UniqueFd socket;
    uint64_t volume;
    uint64_t count;
  };
  void Look();
  void LookLater();

  uint64_t limit_;
  std::map<uint64_t, uint64_t> by_volume_;  // those that have any
  std::list<Left> left_;
  asio::steady_timer timer_;
  bool looking_ = false;
};

}  // namespace vineyard::daemon
