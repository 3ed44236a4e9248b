// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// DescriptorShares: how many clients there may be, and how many memory files, where descriptors are short.
//
// Note [Descriptors are shared out]
//
// A process has a limit of descriptors, and keeper and engine live below it together. A client costs the engine
// six of them: its socket and what watches that, the pidfd that the kernel gave with the socket, another that outlives
// the connection and what watches it, and a ring's bell. (The keeper has one of them.) An extent costs one for each
// chunk. So that nobody can use up what another needs:
//
//  * clients together have at most half of the limit. Half of that is promised in even parts to all sockets that
//    there are, a volume's for readers apart from its other one; the rest is for who comes first. So one socket may
//    have all that is not kept for the others. A socket that is there only since may have a few beyond that;
//  * those that have connected and not said who they are count apart: a socket has a few dozen, and one more
//    ends the one that has been silent longest;
//  * chunks are made as long as a quarter of the limit, and some for the instance itself, stays free. Half of those that
//    may be are promised in even parts to all volumes; the rest is for who comes first, and for chunks that are made
//    ready for nobody yet. Files count from when they are about to be made, not while their maker waits for memory,
//    until they are known to be closed.
//
// All of it is reckoned from what the engine's tables say. The kernel tells only the lowest descriptor that is
// free, which is far below how many are open where many were closed, and says it while others threads close and open
// some: what had been kept for one volume was given to another by that.
//
// Who comes too late gets kLimitExceeded, and all others notice nothing.
//
// Stateless: for any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vineyard/status.h"

namespace vineyard::daemon {

class DescriptorShares {
 public:
  /// `limit`: of descriptors, the lower one of engine's and keeper's.
  explicit DescriptorShares(uint64_t limit);

  /// What each of so many sockets is promised.
  [[nodiscard]] uint64_t ClientsOfEach(size_t sockets) const;
  struct Clients {
    uint64_t of_socket = 0;
    uint64_t of_all = 0;
    uint64_t kept = 0;  // for other sockets: what these have not of what they are promised
    size_t sockets = 1;
  };
  /// Whether the socket may have one client more.
  [[nodiscard]] Status MayServe(const Clients& now) const;

  /// What each of so many volumes is promised.
  [[nodiscard]] uint64_t FilesOfEach(size_t volumes) const;
  struct Files {
    uint64_t wanted = 0;
    uint64_t rest = 0;  // what the volume has not of what it is promised
    uint64_t kept = 0;  // the same of all other volumes
    uint64_t used = 0;  // memory files that there are, and Others
  };
  struct Tables {
    uint64_t clients = 0;
    uint64_t silent = 0;   // connections that have not said who they are
    uint64_t sockets = 0;  // that are listened to
    uint64_t memory = 0;   // catalogs and arenas
  };
  /// Descriptors of what is not a chunk, the instance's own few apart.
  [[nodiscard]] static uint64_t Others(const Tables& tables);

  /// Whether so many memory files may be made. Where clients have so many descriptors that there is less than all
  /// rests together, each volume may have of it what lies within its own.
  [[nodiscard]] Status MayMake(const Files& now) const;

  /// Connections of a socket that may be silent.
  [[nodiscard]] size_t MostSilent(size_t sockets_with_any) const;

  /// For clients of all volumes.
  [[nodiscard]] uint64_t most_clients() const { return most_clients_; }
  /// For all that is open when memory files are made.
  [[nodiscard]] uint64_t most_with_memory() const { return most_with_memory_; }

 private:
  uint64_t limit_;
  uint64_t most_clients_;
  uint64_t most_with_memory_;
};

}  // namespace vineyard::daemon
