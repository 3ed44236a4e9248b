// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What a fork means for a client: the child gets a connection of its own, and does not see shared memory
// that its parent is filling (it finds zeros there, and keeps none of it).
#pragma once

#include <cstdint>
#include <mutex>

#include "os/mapping.h"

namespace vineyard::client {

/// Grows by one in every forked child. What was made in another epoch belongs to an ancestor.
uint64_t ForkEpoch();

/// A writable shared mapping that children must not have. Held while the mapping is made, filled and
/// sealed.
class ForkShield {
 public:
  ForkShield() = default;
  ForkShield(const ForkShield&) = delete;
  ForkShield& operator=(const ForkShield&) = delete;
  ~ForkShield() { Lower(); }

  /// Maps the parts writable, hidden from children from the first moment.
  Result<os::Mapping*> Map(std::span<const os::FilePart> parts);
  /// From now on children inherit the mapping (it is private, or gone).
  void Lower();
  [[nodiscard]] os::Mapping& mapping() { return mapping_; }

 private:
  friend struct ForkHandlers;
  os::Mapping mapping_;
  bool raised_ = false;
};

}  // namespace vineyard::client
