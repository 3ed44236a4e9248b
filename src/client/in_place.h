// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// InPlace: those buffers of one put that lie in allocations (vineyard/allocation.h) and are not copied.
//
// Made before the put is sent, which seals what it needs; other puts of memory that this one publishes
// wait until it goes. Used by one thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "client/allocated_memory.h"
#include "vineyard/object.h"

namespace vineyard::client {

class InPlace {
 public:
  InPlace() = default;
  InPlace(InPlace&&) = default;
  InPlace& operator=(InPlace&& other) noexcept;
  InPlace(const InPlace&) = delete;
  InPlace& operator=(const InPlace&) = delete;
  ~InPlace() { Release(false); }

  static Result<InPlace> Begin(Connection& connection, const ObjectBuilder& builder,
                               Copying copying, os::TimePoint deadline);

  [[nodiscard]] bool empty() const { return places_.empty(); }
  /// Where the builder's buffer of this index lies in the store; null: it is to be copied.
  [[nodiscard]] const BufferRef* Find(size_t buffer) const;
  /// Blobs to be published with the object, as the request wants them: pairs of id and size.
  [[nodiscard]] std::vector<uint64_t> Also() const;
  /// The clients of this process, besides the one that puts, that have reserved some of these.
  [[nodiscard]] std::vector<fb::Token> Siblings(const Connection& connection) const;
  /// The put has taken effect.
  void Published();

 private:
  void Release(bool published);

  std::vector<std::optional<BufferRef>> places_;  // of the buffers, where there are any
  std::vector<std::shared_ptr<internal::AllocatedMemory>> publishing_;
};

/// What Begin would do, for each buffer. `connection` null: each allocation's own client puts it.
std::vector<Placement> PlacementsOf(const Connection* connection,
                                    std::span<const std::span<const std::byte>> buffers,
                                    Copying copying);

}  // namespace vineyard::client
