// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/heap_shares.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/size.h"

namespace vineyard::daemon {

// ---- Claim, Turn

HeapShares::Claim& HeapShares::Claim::operator=(Claim&& other) noexcept {
  if (this == &other) return *this;
  Release();
  state_ = std::move(other.state_);
  volume_ = other.volume_;
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

void HeapShares::Claim::Release() {
  if (bytes_ == 0) return;
  const auto found = state_->of.find(volume_);
  found->second -= bytes_;
  state_->all -= bytes_;
  if (found->second == 0) state_->of.erase(found);
  bytes_ = 0;
  state_->TellOfLess();
}

HeapShares::Turn& HeapShares::Turn::operator=(Turn&& other) noexcept {
  if (this == &other) return *this;
  Leave();
  state_ = std::move(other.state_);
  volume_ = other.volume_;
  ticket_ = std::exchange(other.ticket_, 0);
  return *this;
}

bool HeapShares::Turn::waits() const {
  if (ticket_ == 0) return false;
  const auto found = state_->waiting.find(volume_);
  return found != state_->waiting.end() && found->second.contains(ticket_);
}

void HeapShares::Turn::Leave() {
  const uint64_t ticket = std::exchange(ticket_, 0);
  if (ticket == 0) return;
  const auto found = state_->waiting.find(volume_);
  if (found == state_->waiting.end() || found->second.erase(ticket) == 0) return;
  if (found->second.empty()) state_->waiting.erase(found);
  state_->TellOfLess();  // those behind it may fit
}

// ---- State

uint64_t HeapShares::State::Of(uint64_t volume) const {
  const auto found = of.find(volume);
  return found == of.end() ? 0 : found->second;
}

uint64_t HeapShares::State::ShareOf(uint64_t volume) const {
  const uint64_t volumes = of.size() + (of.contains(volume) ? 0 : 1);
  return std::max(limits.of_one / volumes, limits.of_volume);
}

bool HeapShares::State::Fits(uint64_t volume, uint64_t bytes) const {
  const uint64_t share = ShareOf(volume);
  const uint64_t own = Of(volume);
  return bytes <= share && own <= share - bytes;
}

void HeapShares::State::TellOfLess() const {
  if (on_less) on_less();
}

// ---- HeapShares

HeapShares::HeapShares(Limits limits, std::function<void()> on_less)
    : state_(std::make_shared<State>()) {
  state_->limits = limits;
  state_->on_less = std::move(on_less);
}

HeapShares::~HeapShares() {
  state_->on_less = nullptr;
  state_->waiting.clear();
}

HeapShares::Claim HeapShares::Make(uint64_t volume, uint64_t bytes) {
  state_->of[volume] += bytes;
  state_->all += bytes;
  return {state_, volume, bytes};
}

std::optional<HeapShares::Claim> HeapShares::TakeNow(uint64_t volume, uint64_t bytes) {
  if (bytes == 0) return Claim();
  if (AnyWaits(volume) || !state_->Fits(volume, bytes)) return std::nullopt;
  return Make(volume, bytes);
}

Result<HeapShares::Claim> HeapShares::Take(uint64_t volume, uint64_t bytes, const char* what) {
  if (auto claim = TakeNow(volume, bytes)) return std::move(*claim);
  return Status::LimitExceeded(fmt::format(
      "{} of this volume have {} of the instance's own memory, and this is {} more, of at "
      "most {}; wait for some of them",
      what, FormatSize(state_->Of(volume)), FormatSize(bytes),
      FormatSize(state_->ShareOf(volume))));
}

HeapShares::Turn HeapShares::Await(uint64_t volume, uint64_t bytes,
                                   std::function<void(Claim)> then) {
  VY_CHECK(bytes > 0 && bytes <= state_->limits.of_volume);
  const uint64_t ticket = state_->next_ticket++;
  state_->waiting[volume].emplace(ticket, Waiting{bytes, std::move(then)});
  return {state_, volume, ticket};
}

void HeapShares::Grant() {
  std::vector<std::pair<std::function<void(Claim)>, Claim>> granted;
  for (auto it = state_->waiting.begin(); it != state_->waiting.end();) {
    auto& [volume, queue] = *it;
    while (!queue.empty() && state_->Fits(volume, queue.begin()->second.bytes)) {
      Waiting first = std::move(queue.begin()->second);
      queue.erase(queue.begin());
      granted.emplace_back(std::move(first.then), Make(volume, first.bytes));
    }
    it = queue.empty() ? state_->waiting.erase(it) : std::next(it);
  }
  // Which may take, release and wait again.
  for (auto& [then, claim] : granted) then(std::move(claim));
}

uint64_t HeapShares::bytes() const { return state_->all; }
bool HeapShares::AnyWaits() const { return !state_->waiting.empty(); }
bool HeapShares::AnyWaits(uint64_t volume) const { return state_->waiting.contains(volume); }

bool HeapShares::IsTight(uint64_t volume) const {
  return state_->Of(volume) >= state_->ShareOf(volume) / 2;
}

}  // namespace vineyard::daemon
