// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/descriptors_under_way.h"

#include <algorithm>
#include <chrono>

#include "os/socket.h"

namespace vineyard::daemon {

namespace {

// Of the limit, for a volume that is the only one with any; the rest is for the others, the keeper, and what else
// the user runs.
constexpr uint64_t kShare = 8;
// Of a volume's, for one connection. One message always fits.
constexpr uint64_t kShareOfConnection = 8;
// What who has none under way gets when the volume's share is used up: a greeting, an object or two.
constexpr size_t kFew = 16;
constexpr std::chrono::milliseconds kBetweenLooks{200};

}  // namespace

bool DescriptorsUnderWay::MayGo(uint64_t volume, uint64_t own, size_t more) {
  const auto found = by_volume_.find(volume);
  const uint64_t together = (found == by_volume_.end() ? 0 : found->second) + more;
  const uint64_t volumes = by_volume_.size() + (found == by_volume_.end() ? 1 : 0);
  const uint64_t share = std::max(limit_ / kShare / volumes, uint64_t{os::kMaxFdsPerMessage});
  const uint64_t most = std::max(share / kShareOfConnection, uint64_t{os::kMaxFdsPerMessage});
  if (own + more > most) return false;
  if (together <= share) return true;
  return own == 0 && more <= kFew && together <= 2 * share;
}

void DescriptorsUnderWay::Taken(uint64_t volume, uint64_t count) {
  const auto found = by_volume_.find(volume);
  if (found == by_volume_.end()) return;
  found->second -= std::min(found->second, count);
  if (found->second == 0) by_volume_.erase(found);
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
