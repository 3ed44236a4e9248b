// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/budget.h"

#include <algorithm>
#include <string>
#include <utility>

namespace vineyard::store {

bool Budget::TryTake(uint64_t bytes) {
  if ((!waiters_.empty() && !letting_in_) || !MakeRoom(bytes)) return false;
  held_ += bytes;
  return true;
}

void Budget::Take(uint64_t bytes) {
  if (bytes > unused()) AskForSpare(bytes - unused());
  held_ += bytes;
}

bool Budget::MakeRoom(uint64_t bytes) {
  if (bytes > unused() && bytes <= free()) AskForSpare(bytes - unused());
  return bytes <= unused();
}

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

void Budget::UseSpare(uint64_t bytes) {
  DropSpare(bytes);
  held_ += bytes;
}

void Budget::Give(uint64_t bytes) {
  VY_CHECK(bytes <= held_);
  held_ -= bytes;
  Pump();
}

Budget::Id Budget::Wait(uint64_t bytes, os::TimePoint deadline,
                        std::function<void(Status)> granted) {
  waiters_.push_back({next_, bytes, deadline, std::move(granted)});
  return next_++;
}

void Budget::Cancel(Id id) {
  waiters_.remove_if([id](const Waiter& w) { return w.id == id; });
}

uint64_t Budget::Wanted(os::TimePoint now) const {
  uint64_t bytes = 0;
  for (const Waiter& w : waiters_) bytes += w.deadline > now ? w.bytes : 0;
  return bytes;
}

std::optional<os::TimePoint> Budget::NextDeadline() const {
  if (waiters_.empty()) return std::nullopt;
  return std::ranges::min_element(waiters_, {}, &Waiter::deadline)->deadline;
}

void Budget::Expire(os::TimePoint now, const std::function<std::string(uint64_t)>& explain) {
  std::list<Waiter> expired;
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    const auto next = std::next(it);
    if (it->deadline <= now) expired.splice(expired.end(), waiters_, it);
    it = next;
  }
  for (Waiter& w : expired) w.granted(Status::OutOfMemory(explain(w.bytes)));
  if (!expired.empty()) Pump();
}

void Budget::Pump() {
  // Whoever begins to wait meanwhile gets its turn at the next give, or this might never end.
  const Id end = next_;
  while (!waiters_.empty() && waiters_.front().id < end && MakeRoom(waiters_.front().bytes)) {
    Waiter w = std::move(waiters_.front());
    waiters_.pop_front();
    held_ += w.bytes;
    const bool before = std::exchange(letting_in_, true);
    w.granted(Status::OK());
    letting_in_ = before;
  }
}

}  // namespace vineyard::store
