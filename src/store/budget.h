// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Budget: who may have memory, and who waits for it.
//
// It counts pages really held, and the memory files they are in, by volume: whoever makes shared memory takes from
// it first, and gives back once the memory is closed. Owned by the engine's thread.
//
// Spare memory (ready chunks) is there as well, but belongs to whoever asks: it counts as free, and its
// owner is told to give it up when what is left beside it does not do. Held and spare together stay
// within the limit.
//
// Note [What is kept for whom]
//
// A volume may have a guaranteed share. What it does not hold of that is its rest, and rests stay free: a volume
// can have what is free less the rests of all others. So no volume can bring another into waiting for what it was
// guaranteed. Only memory that the instance can't do without (see Take) can.
//
// Note [Whose turn it is]
//
// What can't be had now waits: the requests of one volume in the order they came, the volumes in turn.
//
//  * Volumes that wait stand in a ring, a new one behind all others. The one in front has the turn, and keeps it until
//    its first request has got its memory, or gives up; then it goes to the back. Whatever becomes free meanwhile
//    is kept together for that request, so that a large one is not starved by small ones, and the first
//    request of a volume waits for one of each other volume at most, however many these have.
//  * What lies within a volume's own rest needs no turn: it takes nothing from anybody. The order within the volume
//    stands.
//  * What a guarantee given later has put out of reach waits without holding up others.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "os/socket.h"
#include "vineyard/status.h"

namespace vineyard::store {

/// Whose memory it is: a volume, by its number.
enum class Holder : uint64_t {};

struct Amount {
  uint64_t bytes = 0;
  uint64_t files = 0;  // only counted
};

class Budget {
 public:
  explicit Budget(uint64_t limit) : limit_(limit) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  [[nodiscard]] uint64_t limit() const { return limit_; }
  [[nodiscard]] uint64_t held() const { return held_; }
  /// Memory files of all holders: those about to be made among them, and those about to be closed.
  [[nodiscard]] uint64_t files() const { return files_; }
  [[nodiscard]] uint64_t spare() const { return spare_; }
  /// To be had, if not at once, nor by everybody: spare memory is among it, and what is kept for somebody.
  [[nodiscard]] uint64_t free() const { return held_ >= limit_ ? 0 : limit_ - held_; }
  /// Neither held nor spare.
  [[nodiscard]] uint64_t unused() const { return spare_ >= free() ? 0 : free() - spare_; }
  [[nodiscard]] size_t waiting() const { return waiters_.size(); }

  // ---- shares

  /// From now on, instead of what it was before; 0: none. What is held already stays, so the rest may take a while
  /// to become free. REQUIRES: all guarantees together keep to the limit.
  void Guarantee(Holder who, uint64_t bytes);
  [[nodiscard]] uint64_t GuaranteedTo(Holder who) const { return ShareOf(who).guaranteed; }
  /// Of all.
  [[nodiscard]] uint64_t guaranteed() const { return guaranteed_; }
  [[nodiscard]] Amount HeldBy(Holder who) const { return ShareOf(who).held; }
  /// Of what is free, what is not kept for others, and its own rest in any case.
  [[nodiscard]] uint64_t FreeFor(Holder who) const;
  /// What it could have if nobody else held more than is guaranteed.
  [[nodiscard]] uint64_t MostFor(Holder who) const {
    return limit_ - (guaranteed_ - ShareOf(who).guaranteed);
  }
  /// Free memory that is kept for others: for each how much.
  [[nodiscard]] std::map<Holder, uint64_t> KeptForOthers(Holder who) const;
  /// Whether memory that is taken from it can become anybody's who waits.
  [[nodiscard]] bool HelpsToEvict(Holder who) const;

  // ---- taking and giving

  /// False when it does not fit now, or others have the turn. `ready` of the bytes are spare memory that the caller has
  /// at hand. Whoever is being let in (see Wait) may take from within its callback although others wait.
  bool TryTake(Holder who, Amount amount, uint64_t ready = 0);
  /// Without regard to the limit: memory the instance can't do without (catalogs).
  void Take(Holder who, Amount amount);
  /// Gives back, then lets those who wait go on.
  void Give(Holder who, Amount amount);
  /// Gives back without letting anybody in.
  void Untake(Holder who, Amount amount);

  // ---- spare memory

  /// `give_up` is asked for so many bytes; it may drop them at once, or later.
  void SetSpareOwner(std::function<void(uint64_t bytes)> give_up) { give_up_ = std::move(give_up); }
  /// Only from what nobody uses nor waits for.
  bool TryAddSpare(uint64_t bytes);
  /// It is closed; or it is held from now on, by whoever took so much less.
  void DropSpare(uint64_t bytes);

  // ---- waiting

  using Id = uint64_t;
  /// `granted` is called with OK once the amount has been taken for the caller, at the deadline with
  /// kOutOfMemory (see `explain`). Never from within this call.
  Id Wait(Holder who, Amount amount, os::TimePoint deadline, std::function<void(Status)> granted);
  /// Forgets a waiter; its callback is not called.
  void Cancel(Id id);
  /// It wants that now, and keeps its place. Lets nobody in.
  void Resize(Id id, Amount amount);
  struct Wish {
    uint64_t bytes = 0;
    os::TimePoint deadline;
  };
  /// Of one who waits.
  [[nodiscard]] std::optional<Wish> Find(Id id) const {
    const auto it = waiters_.find(id);
    if (it == waiters_.end()) return std::nullopt;
    return Wish{it->second.amount.bytes, it->second.deadline};
  }
  /// Who has the turn; 0: nobody who can ever have what it wants waits.
  [[nodiscard]] Id first() const;
  /// What those want in all who have time to wait for it, and what has to be free beside it: the rests that are
  /// kept then. 0 where nobody waits.
  [[nodiscard]] uint64_t Wanted(os::TimePoint now) const;
  /// The earliest deadline of those who wait.
  [[nodiscard]] std::optional<os::TimePoint> NextDeadline() const;
  /// Ends waits whose deadline has passed. `explain` says who holds the memory.
  void Expire(os::TimePoint now,
              const std::function<std::string(Holder who, uint64_t bytes)>& explain);
  /// Grants what fits now. Called by Give; by the engine after a cancelled wait.
  void Pump();

 private:
  struct Share {
    Amount held;
    uint64_t guaranteed = 0;
    std::set<Id> queue;  // those of it who wait, in order
    [[nodiscard]] uint64_t rest() const {
      return held.bytes >= guaranteed ? 0 : guaranteed - held.bytes;
    }
  };
  struct Waiter {
    Holder who;
    Amount amount;
    os::TimePoint deadline;
    std::function<void(Status)> granted;
  };
  [[nodiscard]] const Share& ShareOf(Holder who) const;
  template <typename Change>
  void ChangeShare(Holder who, Change change);
  void Charge(Holder who, Amount amount);
  /// Asks for spare memory where `more`, the part that is not at hand, needs it. True when it fits now.
  bool MakeRoom(Holder who, uint64_t bytes, uint64_t more);
  void AskForSpare(uint64_t bytes);
  /// Who goes next, of those who began to wait before `end`.
  std::optional<Id> Next(Id end);
  /// Who has the turn: the first whose request is within reach.
  [[nodiscard]] std::optional<Holder> Turn() const;
  [[nodiscard]] bool IsInReach(Holder who, uint64_t bytes) const { return bytes <= MostFor(who); }
  [[nodiscard]] Id FirstOf(Holder who) const { return *ShareOf(who).queue.begin(); }
  /// Out of all lists: it gets what it wants, or gives up.
  Waiter Remove(Id id);

  uint64_t limit_;
  uint64_t held_ = 0;
  uint64_t files_ = 0;
  uint64_t spare_ = 0;
  uint64_t guaranteed_ = 0;         // to all
  uint64_t kept_ = 0;               // the rests of all
  std::map<Holder, Share> shares_;  // of those that hold, wait for, or were guaranteed something
  std::function<void(uint64_t)> give_up_;
  Id next_ = 1;
  std::optional<Holder> letting_in_;  // whose callback runs
  std::map<Id, Waiter> waiters_;
  std::list<Holder> turns_;  // those who have waiters; who has the turn in front
  std::set<std::pair<os::TimePoint, Id>> deadlines_;
};

}  // namespace vineyard::store
