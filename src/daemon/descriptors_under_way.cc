// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/descriptors_under_way.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "os/socket.h"

namespace vineyard::daemon {

namespace {

// Of a volume's, for one connection. One message always fits.
constexpr uint64_t kShareOfConnection = 8;
// What who has none under way gets when the volume's share is used up: a greeting, an object or two.
constexpr size_t kFew = 16;
// May wait of a volume, however many there are.
constexpr uint64_t kAlwaysWait = 2 * kFew;
constexpr std::chrono::milliseconds kBetweenLooks{200};

}  // namespace

void DescriptorsUnderWay::Counts::Remove(uint64_t volume, uint64_t count) {
  const auto found = of_.find(volume);
  if (found == of_.end()) return;
  found->second -= std::min(found->second, count);
  if (found->second == 0) of_.erase(found);
}

uint64_t DescriptorsUnderWay::Counts::Of(uint64_t volume) const {
  const auto found = of_.find(volume);
  return found == of_.end() ? 0 : found->second;
}

uint64_t DescriptorsUnderWay::Counts::VolumesWith(uint64_t volume) const {
  return of_.size() + (of_.contains(volume) ? 0 : 1);
}

bool DescriptorsUnderWay::MayGo(uint64_t volume, uint64_t own, size_t more) {
  const uint64_t together = sent_.Of(volume) + more;
  const uint64_t share = std::max(ShareOf(sent_, volume), uint64_t{os::kMaxFdsPerMessage});
  const uint64_t most = std::max(share / kShareOfConnection, uint64_t{os::kMaxFdsPerMessage});
  if (own + more > most) return false;
  if (together <= share) return true;
  return own == 0 && more <= kFew && together <= 2 * share;
}

Status DescriptorsUnderWay::MayWait(uint64_t volume, uint64_t own, size_t more) {
  const uint64_t together = waiting_.Of(volume) + more;
  const uint64_t share = std::max(ShareOf(waiting_, volume), kAlwaysWait);
  if (together <= share || (own == 0 && more <= kFew && together <= 2 * share)) return {};
  return Status::LimitExceeded(fmt::format(
      "this answer has {} descriptors, and {} of this volume wait already for clients that read no "
      "answers; {} may wait (the instance may have {} open: see `ulimit -n`)",
      more, together - more, share, limit_));
}

void DescriptorsUnderWay::Close(os::UniqueFd socket, uint64_t volume, uint64_t count) {
  if (count == 0) return;
  if (os::AllIsTaken(socket)) return Taken(volume, count);
  os::Shutdown(socket);  // the client finds its end behind what it has not read
  left_.push_back({std::move(socket), volume, count});
  LookLater();
}

void DescriptorsUnderWay::Stop() {
  left_.clear();
  timer_.cancel();
}

void DescriptorsUnderWay::Look() {
  for (auto it = left_.begin(); it != left_.end();) {
    if (os::AllIsTaken(it->socket)) {
      Taken(it->volume, it->count);
      it = left_.erase(it);
    } else {
      ++it;
    }
  }
}

void DescriptorsUnderWay::LookLater() {
  if (looking_ || left_.empty()) return;
  looking_ = true;
  timer_.expires_after(kBetweenLooks);
  timer_.async_wait([this](const asio::error_code& error) {
    if (error) return;  // cancelled: this may be gone
    looking_ = false;
    Look();
    LookLater();
  });
}

}  // namespace vineyard::daemon
