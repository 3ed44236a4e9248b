// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The ledger: the engine's journal, in shared memory so that it outlives the engine, and given to
// nobody but the keeper. docs/formats/ledger.md describes it.
//
//   LedgerHeader (one page) | the intent (kIntentArea bytes) | client rows
//
// A request that changes something is carried out in four steps: its new records are written where
// nobody looks yet; the intent is written, with its answer; the store to `intent` publishes it (this
// is the commit); the index entries are changed, the answer is noted in the client's row, and the
// intent is taken back. A new engine that finds an intent carries it out again: every change says what
// was and what is to be, so doing it twice is doing it once.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "layout/index.h"
#include "vineyard/status.h"

namespace vineyard::layout {

inline constexpr uint64_t kLedgerMagic = 0x315244474c445659ULL;  // "YVDLGDR1"
inline constexpr uint32_t kLedgerVersion = 1;
inline constexpr uint64_t kLedgerPage = 4096;
inline constexpr uint64_t kIntentArea = uint64_t{16} << 20;  // touched only as far as it is used
/// Changing requests that one client may have unanswered.
inline constexpr uint32_t kAnswerWindow = 64;
inline constexpr uint32_t kMaxClients = 4096;

struct LedgerHeader {
  uint64_t magic;
  uint32_t version;
  std::atomic<uint32_t> serving;  // 1 once this generation has taken over all of the one before
  uint64_t generation;
  std::atomic<uint64_t> intent;   // bytes of the published intent; 0: none
  std::atomic<uint64_t> next_id;  // ids below it may have been given out
  // What the engine's thread is at, for whoever comes after its death: of which client, 0: of none, and
  // that client's own number of the request.
  std::atomic<uint64_t> running_client;
  std::atomic<uint64_t> running_request;
};
static_assert(sizeof(LedgerHeader) <= kLedgerPage);

struct Answer {
  uint64_t number;  // of the request; 0: empty
  uint64_t id;
  uint64_t value;
  uint64_t reserved;
};

struct IntentHeader {
  uint64_t client_key;  // 0: nobody asked (the instance's own housekeeping)
  Answer answer;
  uint64_t changes;
  uint64_t checksum;  // of the fields above and the changes
};

struct IntentChange {
  uint64_t volume;
  uint64_t key;
  uint64_t was;  // Ref
  uint64_t now;  // Ref

  /// The volume goes, with all that is in it.
  static IntentChange VolumeEnds(uint64_t volume) { return {volume, 0, 0, 0}; }
  [[nodiscard]] bool ends_volume() const { return was == 0 && now == 0; }
};
inline constexpr size_t kMaxChanges = (kIntentArea - sizeof(IntentHeader)) / sizeof(IntentChange);

struct ClientRow {
  std::atomic<uint64_t> client_key;  // 0: free
  uint64_t token_high;
  uint64_t token_low;
  uint64_t pid;
  uint64_t volume;
  uint64_t acknowledged;
  uint64_t faults;                // engines that ended by a fault in a request of this client
  uint64_t fatal_request;         // the last of these; 0: none
  Answer answers[kAnswerWindow];  // at number % kAnswerWindow
};
static_assert(sizeof(ClientRow) % 64 == 0);

inline constexpr uint64_t kLedgerSize =
    kLedgerPage + kIntentArea + uint64_t{kMaxClients} * sizeof(ClientRow);

/// A view of a mapped ledger; the engine's own, or an older one that is only read.
class Ledger {
 public:
  Ledger() = default;
  /// REQUIRES: kLedgerSize bytes that outlive this.
  explicit Ledger(std::byte* base) : base_(base) {}

  void Initialize(uint64_t generation, uint64_t next_id);
  /// Of a ledger that another program wrote.
  [[nodiscard]] Status Check() const;

  [[nodiscard]] LedgerHeader& header() const { return *reinterpret_cast<LedgerHeader*>(base_); }
  [[nodiscard]] ClientRow& row(uint32_t n) const {
    return reinterpret_cast<ClientRow*>(base_ + kLedgerPage + kIntentArea)[n];
  }

  /// Writes and publishes. REQUIRES: no intent is published, changes.size() <= kMaxChanges.
  void Publish(uint64_t client_key, const Answer& answer, std::span<const IntentChange> changes);
  void Clear() {
    EndRequest();  // what is left of it, others would do as well
    header().intent.store(0, std::memory_order_release);
  }
  void BeginRequest(uint64_t client_key, uint64_t request) {
    header().running_request.store(request, std::memory_order_relaxed);
    header().running_client.store(client_key, std::memory_order_release);
  }
  void EndRequest() { header().running_client.store(0, std::memory_order_release); }

  struct Intent {
    uint64_t client_key;
    Answer answer;
    std::vector<IntentChange> changes;
  };
  /// What a dead engine published and did not clear; kCorrupted when it can't be.
  [[nodiscard]] Result<std::optional<Intent>> ReadIntent() const;

 private:
  std::byte* base_ = nullptr;
};

}  // namespace vineyard::layout
