// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "layout/ledger.h"

#include <algorithm>
#include <cstring>

#include "base/hash.h"

namespace vineyard::layout {

namespace {

// Of the intent's fields, the checksum apart, and its changes.
uint64_t IntentChecksum(const IntentHeader& intent, std::span<const IntentChange> changes) {
  IntentHeader without = intent;
  without.checksum = 0;
  return HashBytes(std::as_bytes(changes), HashBytes(std::as_bytes(std::span(&without, 1))));
}

}  // namespace

void Ledger::Initialize(uint64_t generation, uint64_t next_id) {
  LedgerHeader& h = header();
  h.version = kLedgerVersion;
  h.generation = generation;
  h.next_id.store(next_id, std::memory_order_relaxed);
  h.intent.store(0, std::memory_order_relaxed);
  h.magic = kLedgerMagic;
}

Status Ledger::Check() const {
  if (header().magic != kLedgerMagic) return Status::Corrupted("this is no ledger");
  if (header().version != kLedgerVersion) {
    return Status::Protocol("the ledger has layout version " + std::to_string(header().version));
  }
  return {};
}

void Ledger::Publish(uint64_t client_key, const Answer& answer,
                     std::span<const IntentChange> changes) {
  VY_CHECK(changes.size() <= kMaxChanges);
  IntentHeader intent{client_key, answer, changes.size(), 0};
  intent.checksum = IntentChecksum(intent, changes);
  std::byte* area = base_ + kLedgerPage;
  std::memcpy(area, &intent, sizeof intent);
  std::ranges::copy(std::as_bytes(changes), area + sizeof intent);
  header().intent.store(sizeof intent + changes.size_bytes(), std::memory_order_release);
}

Result<std::optional<Ledger::Intent>> Ledger::ReadIntent() const {
  const uint64_t bytes = header().intent.load(std::memory_order_acquire);
  if (bytes == 0) return std::optional<Intent>();
  if (bytes < sizeof(IntentHeader) || bytes > kIntentArea) {
    return Status::Corrupted("the ledger's intent has an impossible length");
  }
  IntentHeader stored;
  const std::byte* area = base_ + kLedgerPage;
  std::memcpy(&stored, area, sizeof stored);
  if (stored.changes > kMaxChanges ||
      sizeof stored + stored.changes * sizeof(IntentChange) != bytes) {
    return Status::Corrupted("the ledger's intent has an impossible length");
  }
  Intent intent{stored.client_key, stored.answer, {}};
  intent.changes.resize(stored.changes);
  std::ranges::copy(std::span(area + sizeof stored, bytes - sizeof stored),
                    std::as_writable_bytes(std::span(intent.changes)).data());
  if (IntentChecksum(stored, intent.changes) != stored.checksum) {
    return Status::Corrupted("the ledger's intent does not match its checksum");
  }
  return std::optional(std::move(intent));
}

}  // namespace vineyard::layout
