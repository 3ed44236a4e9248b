// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// ExtentSecuring: sees that extents' files are on the disk, and stay there whatever happens, before a durable
// record names them.
//
// A file that eviction has written serves: it is synced. Else it is written as eviction does it, from memory that
// is sealed, published or not. What is being secured is not evicted meanwhile, and its file not dropped to make
// room. Where the disk is full, copies of what is in memory go first.
//
// Owned by the store, on the engine's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "store/disk.h"
#include "store/spiller.h"
#include "vineyard/ids.h"

namespace vineyard::store {

class ExtentSecuring {
 public:
  ExtentSecuring(Spiller& spiller, Disk& disk, Spiller::Extents& extents)
      : spiller_(spiller), disk_(disk), extents_(extents) {}

  /// `done` once all of them are secured, or one can't be: kOutOfMemory where the disk is full, kNotFound where
  /// it is gone. Possibly from within. REQUIRES: sealed.
  void Secure(std::span<const ObjectId> blobs, std::function<void(Status)> done);

 private:
  /// Of one extent, for all who ask.
  struct Job {
    std::vector<std::function<void(const Status&)>> told;
    bool made_room = false;
  };
  [[nodiscard]] Extent* Find(uint64_t blob) const;
  void Begin(uint64_t blob);
  void Write(uint64_t blob, Extent& extent);
  void Written(uint64_t blob, const spill::Key& key, const Status& status);
  void Sync(uint64_t blob, const Extent& extent);
  void Finish(uint64_t blob, const Status& status);

  Spiller& spiller_;
  Disk& disk_;
  Spiller::Extents& extents_;
  std::map<uint64_t, Job> jobs_;  // by blob
};

}  // namespace vineyard::store
