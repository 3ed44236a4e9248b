// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What a fork means for a client: the child gets a connection of its own, and does not see shared memory
// that its parent is filling (it finds zeros there, and keeps none of it).
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "os/mapping.h"

namespace vineyard::client {

/// Grows by one in every forked child. What was made in another epoch belongs to an ancestor.
uint64_t ForkEpoch();

/// What is done before every fork of this process, in no order. In the child nothing of it is left: who
/// added it belongs to the parent.
struct BeforeFork {
  /// `action` is called by the forking thread, and adds or removes nothing itself.
  static void Add(const void* owner, std::function<void()> action);
  /// Once this has returned, `action` is not running.
  static void Remove(const void* owner);
};

/// A writable shared mapping that children must not have, and the descriptors it is made of: a child
/// that kept one would keep the memory, as far as the kernel can tell the instance. Held while the
/// mapping is made, filled and sealed.
class ForkShield {
 public:
  ForkShield() = default;
  ForkShield(const ForkShield&) = delete;
  ForkShield& operator=(const ForkShield&) = delete;
  ~ForkShield() { CloseFiles(); }

  /// Maps the parts writable, hidden from children from the first moment. Children close `files`,
  /// which must outlive this.
  Result<os::Mapping*> Map(std::span<const os::FilePart> parts, std::vector<os::UniqueFd>* files);
  /// From now on children inherit the mapping: it is private.
  void Lower();
  /// The mapping is no longer needed, the files are.
  void Unmap();
  /// The files are no longer needed.
  void CloseFiles();
  [[nodiscard]] os::Mapping& mapping() { return mapping_; }

 private:
  friend struct ForkHandlers;
  os::Mapping mapping_;
  std::vector<os::UniqueFd>* files_ = nullptr;
  bool raised_ = false;
};

}  // namespace vineyard::client
