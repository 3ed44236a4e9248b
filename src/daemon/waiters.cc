// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/waiters.h"

#include <iterator>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace vineyard::daemon {

void Waiters::Add(Waiter waiter) {
  std::list<Waiter>& others = of_volume_[waiter.volume];
  if (others.size() >= kMostOfVolume) {
    return waiter.reply.Fail(Status::LimitExceeded(
        fmt::format("{} requests of this volume wait already, which are the most", kMostOfVolume)));
  }
  waiter.reply.NoteWaits();
  deadlines_.insert(waiter.deadline);
  others.push_back(std::move(waiter));
}

std::list<Waiter> Waiters::Take(uint64_t volume, const Which& which) {
  std::list<Waiter> taken;
  const auto found = of_volume_.find(volume);
  if (found == of_volume_.end()) return taken;
  std::list<Waiter>& all = found->second;
  for (auto it = all.begin(); it != all.end();) {
    const auto next = std::next(it);
    if (which(*it)) {
      deadlines_.erase(deadlines_.find(it->deadline));
      taken.splice(taken.end(), all, it);
    }
    it = next;
  }
  if (all.empty()) of_volume_.erase(found);
  return taken;
}

std::list<Waiter> Waiters::TakeLate(os::TimePoint now) {
  std::list<Waiter> late;
  if (deadlines_.empty() || *deadlines_.begin() > now) return late;
  std::vector<uint64_t> volumes;
  for (const auto& [volume, waiters] : of_volume_) volumes.push_back(volume);
  for (const uint64_t volume : volumes) {
    late.splice(late.end(), Take(volume, [now](const Waiter& w) { return w.deadline <= now; }));
  }
  return late;
}

void Waiters::Return(std::list<Waiter> waiters) {
  while (!waiters.empty()) {
    deadlines_.insert(waiters.front().deadline);
    std::list<Waiter>& all = of_volume_[waiters.front().volume];
    all.splice(all.end(), waiters, waiters.begin());
  }
}

void Waiters::Drop() {
  for (auto& [volume, waiters] : of_volume_) {
    for (Waiter& w : waiters) w.reply.Drop();
  }
  of_volume_.clear();
  deadlines_.clear();
}

void Waiters::ForEach(uint64_t volume, const std::function<void(const Waiter&)>& look) const {
  const auto found = of_volume_.find(volume);
  if (found == of_volume_.end()) return;
  for (const Waiter& waiter : found->second) look(waiter);
}

std::optional<os::TimePoint> Waiters::NextDeadline() const {
  return deadlines_.empty() ? std::nullopt : std::optional(*deadlines_.begin());
}

}  // namespace vineyard::daemon
