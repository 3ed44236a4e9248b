// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// IdleTable: which of a client's reservations it keeps for later, and does not use now.
//
// A memory file that the client makes and both sides map. A slot holds the blob of a reservation whose
// memory nobody uses, or 0. The client alone sets slots; whoever changes one back to 0 by
// compare-and-swap has that memory: the client, to use it again, or the instance, which empties it at
// once. So memory that is kept delays nobody who needs it, and a client that is stopped can't keep any.
//
// The instance trusts nothing in it: a slot that names no reservation of this very client is passed over.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vineyard::layout {

struct IdleTable {
  static constexpr size_t kSlots = 512;
  std::array<std::atomic<uint64_t>, kSlots> slots;

  /// True: what the slot held is the caller's now.
  bool Claim(size_t slot, uint64_t blob) { return slots[slot].compare_exchange_strong(blob, 0); }
};
static_assert(sizeof(IdleTable) == 4096, "one page");
static_assert(std::atomic<uint64_t>::is_always_lock_free, "two processes share it");

}  // namespace vineyard::layout
