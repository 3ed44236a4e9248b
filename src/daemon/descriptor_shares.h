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
//  * clients together have at most half of the limit, and a volume alone at most three quarters of that, or its
//    even part where other volumes have clients too. Beyond that every volume gets a few;
//  * those that have connected and not said who they are count apart: a volume has a few dozen, and one more
//    ends the one that has been silent longest;
//  * chunks are made as long as a quarter of the limit, and some for the instance itself, stays free.
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

  struct Clients {
    uint64_t of_volume = 0;
    uint64_t of_all = 0;
    uint64_t volumes = 1;  // that have any, the volume itself counted as one of them
  };
  /// Whether the volume may have one client more.
  [[nodiscard]] Status MayServe(const Clients& now) const;

  /// Whether so many memory files may be made. `lowest_free`: see os::LowestFreeDescriptor; `promised`: others that
  /// are about to be made.
  [[nodiscard]] Status MayMake(uint64_t files, uint64_t promised, uint64_t lowest_free) const;

  /// Connections of a volume that may be silent.
  [[nodiscard]] size_t MostSilent(size_t volumes_with_any) const;

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
