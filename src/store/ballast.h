// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Ballast: memory held from the start (--reserve_memory), so that what the instance promises is there.
//
// It is one memory file with all its pages present. Pages are given up just before an extent is made
// from as many, and taken back once an extent has been closed: between the two the instance can always
// make what it has admitted, whatever other programs take meanwhile. Called on the pool's threads.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>

#include "os/fd.h"
#include "os/mapping.h"
#include "vineyard/status.h"

namespace vineyard::store {

class Ballast {
 public:
  /// Takes `bytes` now, with several threads. kOutOfMemory when the machine does not have them.
  static Result<std::unique_ptr<Ballast>> Make(uint64_t bytes);

  /// Gives up to `bytes` back to the machine, for an extent about to be made.
  void Yield(uint64_t bytes);
  /// Takes `bytes` back, as far as the machine still has them.
  void Recover(uint64_t bytes);

  /// Bytes of pages it really has, as the kernel counts them.
  [[nodiscard]] uint64_t PagesHeld();

 private:
  Ballast() = default;

  std::mutex mutex_;  // guards all below
  os::UniqueFd fd_;
  os::Mapping mapping_;
  uint64_t present_ = 0;  // of the mapping, from its beginning
};

}  // namespace vineyard::store
