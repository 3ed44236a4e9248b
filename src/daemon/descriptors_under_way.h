// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// DescriptorsUnderWay: how many descriptors have been sent to clients and not been taken yet, and how many wait
// here to be sent.
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
// An answer that may not go yet waits here with its descriptors open, and those count against what the engine
// may have open itself. Such a connection is not read from meanwhile, and what waits for all connections of
// a volume is bounded in the same way: an answer beyond that is an error instead.
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
#include "vineyard/status.h"

namespace vineyard::daemon {

class DescriptorsUnderWay {
 public:
  /// `limit`: the kernel's, for all of the user's processes.
  DescriptorsUnderWay(asio::io_context& io, uint64_t limit) : limit_(limit), timer_(io) {}

  /// Whether `more` may be sent now by a connection that has `own` under way.
  bool MayGo(uint64_t volume, uint64_t own, size_t more);
  void Sent(uint64_t volume, uint64_t count) { sent_.Add(volume, count); }
  void Taken(uint64_t volume, uint64_t count) { sent_.Remove(volume, count); }
  /// Whether an answer with `more` may wait for a connection that has `own` waiting already.
  Status MayWait(uint64_t volume, uint64_t own, size_t more);
  void Waits(uint64_t volume, uint64_t count) { waiting_.Add(volume, count); }
  void WaitsNoMore(uint64_t volume, uint64_t count) { waiting_.Remove(volume, count); }
  /// Takes over a connection's socket when that ends.
  void Close(os::UniqueFd socket, uint64_t volume, uint64_t count);
  void Stop();

 private:
  // Of the limit, for a volume that is the only one with any; the rest is for the others, the keeper, and what else the user runs.
  static constexpr uint64_t kShare = 8;
  class Counts {
   public:
    void Add(uint64_t volume, uint64_t count) { of_[volume] += count; }
    void Remove(uint64_t volume, uint64_t count);
    [[nodiscard]] uint64_t Of(uint64_t volume) const;
    /// Volumes that have any, `volume` counted as one of them.
    [[nodiscard]] uint64_t VolumesWith(uint64_t volume) const;

   private:
    std::map<uint64_t, uint64_t> of_;  // those that have any
  };
  struct Left {
    os::UniqueFd socket;
    uint64_t volume;
    uint64_t count;
  };
  /// What a volume may have of the limit.
  [[nodiscard]] uint64_t ShareOf(const Counts& counts, uint64_t volume) const {
    return limit_ / kShare / counts.VolumesWith(volume);
  }
  void Look();
  void LookLater();

  uint64_t limit_;
  Counts sent_;
  Counts waiting_;
  std::list<Left> left_;
  asio::steady_timer timer_;
  bool looking_ = false;
};

}  // namespace vineyard::daemon
