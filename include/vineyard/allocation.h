// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Allocation: memory in the store that a program uses like any other, and can put without a copy.
//
// `Client::Put` recognises buffers that lie in one, wherever they come from, and seals the memory where it
// lies: what was written until then is what is stored, for ever. The program goes on reading and writing
// it; what it writes after the put is seen by this process alone (the pages it touches are copied then).
//
// Copies of an Allocation share the memory. It stays valid until the last of them goes, whatever becomes
// of the client, the instance, and what was put. A forked child has it as it was at the fork, and neither
// sees what the other writes from then on. Any thread may use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace vineyard {

namespace internal {
class AllocatedMemory;
}

class Allocation {
 public:
  Allocation() = default;
  explicit Allocation(std::shared_ptr<internal::AllocatedMemory> memory)
      : memory_(std::move(memory)) {}

  /// Not initialised. Begins at a multiple of 64 bytes.
  [[nodiscard]] std::span<std::byte> bytes() const;
  [[nodiscard]] std::byte* data() const { return bytes().data(); }
  [[nodiscard]] size_t size() const { return bytes().size(); }
  [[nodiscard]] bool valid() const { return memory_ != nullptr; }

  /// All of the allocation in the store that these bytes lie in; empty if they lie in none.
  [[nodiscard]] static std::span<std::byte> Containing(std::span<const std::byte> bytes);

 private:
  std::shared_ptr<internal::AllocatedMemory> memory_;
};

/// Whether a put copies buffers that lie in allocations.
enum class Copying {
  kAuto,   ///< As kAvoid; or as kForce, where this client's puts were mostly written to afterwards.
  kAvoid,  ///< Only where it must: see Placement.
  kForce,  ///< Always. A program that goes on writing to all of it pays for one copy, not for two.
};

/// What a put does with a buffer, and why.
enum class Placement : uint8_t {
  kOwn,        ///< Copied: it does not lie in an allocation.
  kInPlace,    ///< Not copied: its allocation is sealed where it lies.
  kReferred,   ///< Not copied: it was put before, and has not been written to since.
  kSmallPart,  ///< Copied: the put uses less than half of its allocation, which it would keep whole.
  kChanged,  ///< Copied: its allocation was put (or forked) before, and it has been written to since.
  kElsewhere,  ///< Copied: it was allocated by another client, volume, instance or process.
  kRefused,    ///< Copied: the kernel refused to seal it before, since others can write to it.
  kForced,     ///< Copied: as asked for.
  kHabit,      ///< Copied: what was put in place before was mostly written to afterwards.
};

/// What a put of these buffers would do with each now, by the client that allocated it. Changes nothing.
std::vector<Placement> PlacementsOf(std::span<const std::span<const std::byte>> buffers,
                                    Copying copying = Copying::kAuto);

}  // namespace vineyard
