// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Transaction: one change of a volume, made whole by one store to the ledger.
//
// New records are staged where nobody looks; Commit publishes all changes of the index at once, as far
// as a crash can tell, together with the answer to the request. Destroyed uncommitted, it leaves no
// trace. Lives within one call on the engine's thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "layout/ledger.h"
#include "layout/record.h"
#include "store/clients.h"
#include "vineyard/status.h"

namespace vineyard::store {

class Volume;

class Transaction {
 public:
  /// kMoves: records change their places, and nothing else.
  enum class Purpose : uint8_t { kChanges, kMoves };
  explicit Transaction(Volume& volume, Purpose purpose = Purpose::kChanges)
      : volume_(volume), moves_(purpose == Purpose::kMoves) {}
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  /// Writes the record into a fresh slot. kOutOfMemory: there is no room now.
  Result<layout::Ref> Stage(const layout::RecordFields& fields, std::span<const std::byte> head,
                            std::span<const std::byte> bytes);

  /// The entry (key, was) becomes (key, now); either may be null, not both. The record at `was` is
  /// freed after the commit.
  void Change(uint64_t key, layout::Ref was, layout::Ref now);

  /// `client` null: housekeeping without an answer.
  Status Commit(layout::Ledger ledger, ClientTable* clients, const ClientState* client,
                const layout::Answer& answer);

 private:
  Volume& volume_;
  const bool moves_;
  std::vector<layout::Ref> staged_;
  std::vector<layout::IntentChange> changes_;
  size_t links_ = 0;
  bool committed_ = false;
};

}  // namespace vineyard::store
