// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/budget.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace vineyard::store {

// ---- shares

const Budget::Share& Budget::ShareOf(Holder who) const {
  static const Share kNone;
  const auto it = shares_.find(who);
  return it == shares_.end() ? kNone : it->second;
}

template <typename Change>
void Budget::ChangeShare(Holder who, Change change) {
  const auto it = shares_.try_emplace(who).first;
  Share& share = it->second;
  kept_ -= share.rest();
  files_ -= share.held.files;
  change(share);
  kept_ += share.rest();
  files_ += share.held.files;
  const Amount& held = share.held;
  if (held.bytes == 0 && held.files == 0 && share.guaranteed == 0 && share.queue.empty()) {
    shares_.erase(it);
  }
}

void Budget::Guarantee(Holder who, uint64_t bytes) {
  ChangeShare(who, [&](Share& share) {
    guaranteed_ -= std::exchange(share.guaranteed, bytes);
    guaranteed_ += bytes;
  });
  VY_CHECK(guaranteed_ <= limit_);
}

uint64_t Budget::FreeFor(Holder who) const {
  const uint64_t rest = ShareOf(who).rest();
  const uint64_t for_others = kept_ - rest;
  // Where there is less than all rests together each may have of it what lies within its own.
  return std::max(for_others >= free() ? 0 : free() - for_others, std::min(rest, free()));
}

std::map<Holder, uint64_t> Budget::KeptForOthers(Holder who) const {
  std::map<Holder, uint64_t> kept;
  for (const auto& [holder, share] : shares_) {
    if (holder != who && share.rest() > 0) kept[holder] = share.rest();
  }
  return kept;
}

bool Budget::HelpsToEvict(Holder who) const {
  const Share& share = ShareOf(who);
  return share.held.bytes > share.guaranteed || !share.queue.empty();
}

// ---- taking and giving

void Budget::Charge(Holder who, Amount amount) {
  ChangeShare(who, [&](Share& share) {
    share.held.bytes += amount.bytes;
    share.held.files += amount.files;
  });
  held_ += amount.bytes;
}

void Budget::Untake(Holder who, Amount amount) {
  ChangeShare(who, [&](Share& share) {
    VY_CHECK(amount.bytes <= share.held.bytes && amount.files <= share.held.files);
    share.held.bytes -= amount.bytes;
    share.held.files -= amount.files;
  });
  held_ -= amount.bytes;
}

bool Budget::TryTake(Holder who, Amount amount, uint64_t ready) {
  VY_CHECK(ready <= amount.bytes);
  if (!waiters_.empty() && letting_in_ != who) {
    const Share& share = ShareOf(who);
    if (!share.queue.empty() || amount.bytes > share.rest()) return false;
  }
  if (!MakeRoom(who, amount.bytes, amount.bytes - ready)) return false;
  DropSpare(ready);
  Charge(who, amount);
  return true;
}

void Budget::Take(Holder who, Amount amount) {
  if (amount.bytes > unused()) AskForSpare(amount.bytes - unused());
  Charge(who, amount);
}

void Budget::Give(Holder who, Amount amount) {
  Untake(who, amount);
  Pump();
}

bool Budget::MakeRoom(Holder who, uint64_t bytes, uint64_t more) {
  if (bytes > FreeFor(who)) return false;
  if (more > unused()) AskForSpare(more - unused());
  return more <= unused();
}

// ---- spare memory

void Budget::AskForSpare(uint64_t bytes) {
  if (spare_ > 0 && give_up_) give_up_(std::min(bytes, spare_));
}

bool Budget::TryAddSpare(uint64_t bytes) {
  if (!waiters_.empty() || bytes > unused()) return false;
  spare_ += bytes;
  return true;
}

void Budget::DropSpare(uint64_t bytes) {
  VY_CHECK(bytes <= spare_);
  spare_ -= bytes;
}

// ---- waiting

Budget::Id Budget::Wait(Holder who, Amount amount, os::TimePoint deadline,
                        std::function<void(Status)> granted) {
  const Id id = next_++;
  ChangeShare(who, [&](Share& share) {
    if (share.queue.empty()) turns_.push_back(who);
    share.queue.insert(id);
  });
  deadlines_.emplace(deadline, id);
  waiters_.emplace(id, Waiter{who, amount, deadline, std::move(granted)});
  return id;
}

std::optional<Holder> Budget::Turn() const {
  for (const Holder who : turns_) {
    if (IsInReach(who, waiters_.at(FirstOf(who)).amount.bytes)) return who;
  }
  return std::nullopt;
}

Budget::Waiter Budget::Remove(Id id) {
  const Holder who = waiters_.at(id).who;
  const bool passes_on = Turn() == who && FirstOf(who) == id;
  Waiter waiter = std::move(waiters_.extract(id).mapped());
  deadlines_.erase({waiter.deadline, id});
  bool more_wait = false;
  ChangeShare(who, [&](Share& share) {
    share.queue.erase(id);
    more_wait = !share.queue.empty();
  });
  if (passes_on || !more_wait) turns_.remove(who);
  if (passes_on && more_wait) turns_.push_back(who);
  return waiter;
}

void Budget::Cancel(Id id) {
  if (waiters_.contains(id)) Remove(id);
}

void Budget::Resize(Id id, Amount amount) { waiters_.at(id).amount = amount; }

Budget::Id Budget::first() const {
  const std::optional<Holder> who = Turn();
  return who ? FirstOf(*who) : 0;
}

uint64_t Budget::Wanted(os::TimePoint now) const {
  uint64_t bytes = 0;
  std::map<Holder, uint64_t> by;
  for (const auto& [id, w] : waiters_) {
    if (w.deadline <= now) continue;
    bytes += w.amount.bytes;
    by[w.who] += w.amount.bytes;
  }
  if (by.empty()) return 0;
  for (const auto& [who, share] : shares_) {
    const auto wants = by.find(who);
    const uint64_t its = wants == by.end() ? 0 : wants->second;
    bytes += share.rest() > its ? share.rest() - its : 0;
  }
  return bytes;
}

std::optional<os::TimePoint> Budget::NextDeadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

void Budget::Expire(os::TimePoint now,
                    const std::function<std::string(Holder who, uint64_t bytes)>& explain) {
  std::vector<Waiter> expired;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    expired.push_back(Remove(deadlines_.begin()->second));
  }
  for (Waiter& w : expired) w.granted(Status::OutOfMemory(explain(w.who, w.amount.bytes)));
  if (!expired.empty()) Pump();
}

std::optional<Budget::Id> Budget::Next(Id end) {
  bool has_turn = true;
  for (const Holder who : turns_) {
    const Id first = FirstOf(who);
    const uint64_t bytes = waiters_.at(first).amount.bytes;
    if (first >= end || !IsInReach(who, bytes)) continue;
    if ((has_turn || bytes <= ShareOf(who).rest()) && MakeRoom(who, bytes, bytes)) return first;
    has_turn = false;
  }
  return std::nullopt;
}

void Budget::Pump() {
  // Whoever begins to wait meanwhile gets its turn at the next give, or this might never end.
  const Id end = next_;
  while (const std::optional<Id> id = Next(end)) {
    Waiter w = Remove(*id);
    Charge(w.who, w.amount);
    const auto before = std::exchange(letting_in_, w.who);
    w.granted(Status::OK());
    letting_in_ = before;
  }
}

}  // namespace vineyard::store
