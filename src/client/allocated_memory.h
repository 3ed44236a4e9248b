// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// AllocatedMemory: the memory behind an Allocation, from its reservation to its end.
//
// Note [Sealing in place]
// It begins as a shared writable mapping of a reserved extent. To seal it, that mapping is replaced, at
// the same address, by a private writable one of the same pages (from here on what the owner writes goes
// to pages of its own), and the kernel is asked for the seal, which it grants only if no other writable
// mapping is left. Where it refuses (another process maps the memory, a device has pinned a page), the
// private mapping stays: mapping back would lose what was written since. The put copies then, and a later
// put asks again. So the owner's bytes are what it last wrote, at every moment, whatever fails.
//
// Whether the pages are still the extent's is asked of the kernel (os/private_pages.h) at each put after
// that; only then may a put refer to the extent.
//
// Before a fork every allocation of the process is made private and sealed, so that both sides have what
// was there, and neither sees what the other writes. Where the seal is refused, all pages are copied:
// the instance empties unsealed memory when the process that reserved it ends. Where the kernel has no
// memory even for the private mapping, the child does not get the allocation, and ends if it touches it.
// A child that no handler hears of does not get what is still shared either: it could change what is
// put, or keep it from being sealed.
//
// Any thread may use it. Locks, in this order: the gate that forks close, the registry's, its own. Under
// none of them anything waits for the instance, or for what may: a fork waits for all three.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "client/impl.h"
#include "os/mapping.h"
#include "vineyard/allocation.h"

namespace vineyard::internal {

class AllocationPool;

/// A reserved extent, mapped shared and writable, that nobody has been given or that came back unsealed.
struct MappedReservation {
  struct Origin {
    std::string instance_uuid;
    std::string volume;
  };
  std::shared_ptr<const Origin> origin;
  client::ReservedExtent extent;
  os::Mapping mapping;
  uint64_t written = 0;  // the bytes behind these are as the instance made them: zero
};

class AllocatedMemory {
 public:
  /// `size` bytes of an extent; up to the instance's inline_max, of this process's heap.
  static Result<std::shared_ptr<AllocatedMemory>> Make(std::shared_ptr<Client::Impl> impl,
                                                       uint64_t size, os::TimePoint deadline);
  /// Of a pool, which gets it back unless it was sealed. REQUIRES: the registry's mutex is held, and
  /// 0 < size <= what is mapped.
  static std::shared_ptr<AllocatedMemory> MakeLocked(std::shared_ptr<AllocationPool> pool,
                                                     std::shared_ptr<Client::Impl> impl,
                                                     MappedReservation memory, uint64_t size);
  /// What the connection has reserved. No child comes to have the mapping.
  static Result<MappedReservation> Map(client::Connection& connection,
                                       client::ReservedExtent extent);
  ~AllocatedMemory();
  AllocatedMemory(const AllocatedMemory&) = delete;
  AllocatedMemory& operator=(const AllocatedMemory&) = delete;

  /// The allocation in an extent, of this process or inherited, that all of these bytes lie in, or null.
  static std::shared_ptr<AllocatedMemory> Find(std::span<const std::byte> bytes);
  /// False: Find finds nothing.
  static bool Any();
  /// One that holds itself, and begins here: it is let go of. Null if there is none.
  static std::shared_ptr<AllocatedMemory> Release(void* address);
  /// Makes one that holds itself longer or shorter where it lies, keeping what is in it; false if there
  /// is none at the address, or it can't. `size` is set to what it was.
  static bool Resize(void* address, uint64_t new_size, uint64_t* size);

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  [[nodiscard]] ObjectId blob() const { return extent_.blob; }
  /// Lives until Release. REQUIRES: the registry's mutex is held.
  void HoldItself(std::shared_ptr<AllocatedMemory> self) { self_ = std::move(self); }

  /// Of the client that allocated it; null in a forked child, where that is another process's.
  [[nodiscard]] client::Connection* connection();
  /// How that client's program treats what it has put. REQUIRES: connection() is not null.
  [[nodiscard]] client::WritingHabit& habit() { return connection_->habit(); }

  using Ranges = std::span<const std::span<const std::byte>>;
  /// What a put through the connection would do with these parts of it: kInPlace, kReferred, or why it
  /// copies. Changes nothing.
  Placement Judge(const client::Connection& connection, Ranges ranges);
  /// Makes it so, for a put that is being made. After kInPlace the memory is sealed, and this put alone
  /// publishes it, until EndPut; others that want it wait. Fails when the deadline passes, or the call
  /// is interrupted, meanwhile.
  Result<Placement> Take(client::Connection& connection, Ranges ranges, os::TimePoint deadline);
  void EndPut(bool published);
  /// True until the first seal is tried: every byte written so far is in the extent.
  [[nodiscard]] bool IsFresh();

 private:
  friend struct AllocationRegistry;
  using Facts = client::Connection::Facts;
  AllocatedMemory() = default;
  void Begin(MappedReservation memory, uint64_t size);
  Placement JudgeLocked(const Facts& facts, Ranges ranges, bool* rewritten) const;
  Status Seal(int attempts);
  void FreezeForFork();
  void BecomeInherited();
  bool ReturnToPool();

  std::shared_ptr<Client::Impl> impl_;
  client::Connection* connection_ = nullptr;  // of impl_, in the process that allocated
  std::shared_ptr<const MappedReservation::Origin> origin_;
  client::ReservedExtent extent_;
  os::Mapping mapping_;
  uint64_t written_ = 0;  // see MappedReservation
  std::shared_ptr<AllocationPool> pool_;
  std::shared_ptr<AllocatedMemory> self_;  // guarded by the registry's mutex
  struct FreeAligned {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte[], FreeAligned> small_;
  std::span<std::byte> bytes_;

  std::mutex mutex_;          // guards all below
  size_t private_parts_ = 0;  // of the extent's chunks, the first so many are mapped private
  bool sealed_ = false;
  bool refused_ = false;     // the last time the kernel was asked
  bool publishing_ = false;  // a put is under way
  bool published_ = false;
  bool rewritten_ = false;  // has been seen written to after its seal
  bool inherited_ = false;  // this is a forked child
};

}  // namespace vineyard::internal
