// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Budget: who may have memory, and who waits for it.
//
// It counts pages really held: whoever makes shared memory takes from it first, and gives back once
// the memory is closed. Owned by the engine's thread. What can't fit now waits in order; nobody
// overtakes, so that a large request is not starved by small ones.
//
// Spare memory (ready chunks) is there as well, but belongs to whoever asks: it counts as free, and its
// owner is told to give it up when what is left beside it does not do. Held and spare together stay
// within the limit.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>

#include "os/socket.h"
#include "vineyard/status.h"

namespace vineyard::store {

class Budget {
 public:
  explicit Budget(uint64_t limit) : limit_(limit) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  [[nodiscard]] uint64_t limit() const { return limit_; }
  [[nodiscard]] uint64_t held() const { return held_; }
  [[nodiscard]] uint64_t spare() const { return spare_; }
  /// To be had, if not at once: spare memory is among it.
  [[nodiscard]] uint64_t free() const { return held_ >= limit_ ? 0 : limit_ - held_; }
  /// To be had at once.
  [[nodiscard]] uint64_t unused() const { return spare_ >= free() ? 0 : free() - spare_; }
  [[nodiscard]] size_t waiting() const { return waiters_.size(); }
  /// What those want in all who have time to wait for it.
  [[nodiscard]] uint64_t Wanted(os::TimePoint now) const;

  /// False when it does not fit now, or others wait for memory already. Whoever is being let in (see
  /// Wait) may take from within its callback although others wait behind it.
  bool TryTake(uint64_t bytes);
  /// Without regard to the limit: memory the instance can't do without (catalogs).
  void Take(uint64_t bytes);
  /// Gives back, then lets those who wait go on, in order.
  void Give(uint64_t bytes);

  /// Gives back without letting anybody in.
  void Untake(uint64_t bytes) { held_ -= bytes; }

  // ---- spare memory

  /// `give_up` is asked for so many bytes; it may drop them at once, or later.
  void SetSpareOwner(std::function<void(uint64_t bytes)> give_up) { give_up_ = std::move(give_up); }
  /// Only from what nobody uses nor waits for.
  bool TryAddSpare(uint64_t bytes);
  /// It is closed.
  void DropSpare(uint64_t bytes);
  /// It is held from now on, by whoever took so much less.
  void UseSpare(uint64_t bytes);

  using Id = uint64_t;
  /// `granted` is called with OK once `bytes` have been taken for the caller, at the deadline with
  /// kOutOfMemory (see `explain`). Never from within this call.
  Id Wait(uint64_t bytes, os::TimePoint deadline, std::function<void(Status)> granted);
  /// Forgets a waiter; its callback is not called.
  void Cancel(Id id);

  /// The earliest deadline of those who wait.
  [[nodiscard]] std::optional<os::TimePoint> NextDeadline() const;
  /// Ends waits whose deadline has passed. `explain` says who holds the memory.
  void Expire(os::TimePoint now, const std::function<std::string(uint64_t bytes)>& explain);
  /// Grants what fits now. Called by Give; by the engine after a cancelled wait.
  void Pump();

 private:
  struct Waiter {
    Id id;
    uint64_t bytes;
    os::TimePoint deadline;
    std::function<void(Status)> granted;
  };
  /// Asks for spare memory where `bytes` need it. True when they fit now.
  bool MakeRoom(uint64_t bytes);
  void AskForSpare(uint64_t bytes);

  uint64_t limit_;
  uint64_t held_ = 0;
  uint64_t spare_ = 0;
  std::function<void(uint64_t)> give_up_;
  Id next_ = 1;
  bool letting_in_ = false;  // a waiter's callback runs
  std::list<Waiter> waiters_;
};

}  // namespace vineyard::store
