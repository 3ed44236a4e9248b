// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// SpillRequests: who waits for extents to come into memory, or to go to the disk, and until when.
//
// It moves nothing and knows no extent: the spiller says what has happened. A request that is over is found
// by its ticket until its callback has been called, and by nothing else. Owned by the spiller, on the
// engine's thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "os/socket.h"
#include "store/budget.h"
#include "vineyard/status.h"

namespace vineyard::store {

struct SpillRequest {
  enum class Kind : uint8_t { kLoad, kEvict };
  Kind kind{};
  std::vector<uint64_t> blobs{};           // in order, each once
  std::unordered_set<uint64_t> awaited{};  // of these, what it still waits for
  os::TimePoint deadline{};
  std::function<void(Status)> done{};
  Status status{};    // the first failure
  bool over = false;  // and its callback not called yet

  // ---- a load's: Note [One place in the line] in spiller.h
  Budget::Id place = 0;  // in the line for memory; 0: it stands in none
  Holder who{};          // whose memory it is to be
  Amount asks{};         // what it wants there
  size_t away = 0;       // of what it awaits, on the disk, and nobody has memory for it yet
  bool holds = false;    // what it wants is not evicted

  // ---- an eviction's
  size_t looked_at = 0;  // so many of `blobs`
};

class SpillRequests {
 public:
  using Kind = SpillRequest::Kind;

  /// REQUIRES: its blobs are in order. A load is found by all of them, an eviction by what it awaits.
  uint64_t Add(SpillRequest request);
  /// Null: there is none, or it is over.
  SpillRequest* Find(uint64_t ticket);
  [[nodiscard]] const SpillRequest* Find(uint64_t ticket) const {
    return const_cast<SpillRequests*>(this)->Find(ticket);
  }
  [[nodiscard]] bool Contains(uint64_t ticket) const { return all_.contains(ticket); }
  [[nodiscard]] size_t size() const { return all_.size(); }
  [[nodiscard]] const std::unordered_map<uint64_t, SpillRequest>& all() const { return all_; }

  /// An eviction, from now on.
  void Await(uint64_t ticket, uint64_t blob);
  /// Not any more. False: it did not.
  bool Arrived(uint64_t ticket, uint64_t blob);
  /// Those of a kind that want the blob, the oldest first.
  [[nodiscard]] std::vector<uint64_t> WhoWant(Kind kind, uint64_t blob) const;
  /// The oldest; 0: none.
  [[nodiscard]] uint64_t First(Kind kind, uint64_t blob) const;

  /// It is over, and among those that TakeOver gives. Returns it. REQUIRES: Find finds it.
  SpillRequest& Finish(uint64_t ticket, Status status);
  /// The next that is over; it is gone from here.
  std::optional<SpillRequest> TakeOver();
  [[nodiscard]] bool any_over() const { return !over_.empty(); }
  /// Its callback is not called.
  std::optional<SpillRequest> Remove(uint64_t ticket);

  [[nodiscard]] std::optional<os::TimePoint> NextDeadline() const;
  [[nodiscard]] std::vector<uint64_t> Late(os::TimePoint now) const;

 private:
  using Index = std::unordered_map<uint64_t, std::set<uint64_t>>;
  [[nodiscard]] const Index& IndexOf(Kind kind) const {
    return by_blob_[static_cast<size_t>(kind)];
  }
  Index& IndexOf(Kind kind) { return by_blob_[static_cast<size_t>(kind)]; }
  void Unlink(uint64_t ticket, const SpillRequest& request);
  void Unlink(uint64_t ticket, uint64_t blob, Kind kind);

  std::unordered_map<uint64_t, SpillRequest> all_;          // by ticket
  std::array<Index, 2> by_blob_;                            // tickets, by kind
  std::set<std::pair<os::TimePoint, uint64_t>> deadlines_;  // of tickets
  std::deque<uint64_t> over_;                               // tickets; some may have been removed
  uint64_t next_ticket_ = uint64_t{1} << 63;                // none of the store's own
};

}  // namespace vineyard::store
