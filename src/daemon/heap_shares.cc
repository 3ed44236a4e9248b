// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/heap_shares.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/size.h"
#include "wire/frame.h"

namespace vineyard::daemon {

static_assert(HeapShares::kOfVolume >= wire::kMaxBody + wire::kMaxPayload + 4096);

namespace {
// Of all, for a volume that is the only one with any.
constexpr uint64_t kShareOfOne = 4;
}  // namespace

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
}

Result<HeapShares::Claim> HeapShares::Take(uint64_t volume, uint64_t bytes, const char* what) {
  if (bytes == 0) return Claim();
  const auto found = state_->of.find(volume);
  const uint64_t own = found == state_->of.end() ? 0 : found->second;
  const uint64_t volumes = state_->of.size() + (own == 0 ? 1 : 0);
  const uint64_t share = std::max(kAll / kShareOfOne / volumes, kOfVolume);
  if (bytes > share || own > share - bytes) {
    return Status::LimitExceeded(fmt::format(
        "{} of this volume have {} of the instance's own memory, and this is {} more, of at "
        "most {}; wait for some of them",
        what, FormatSize(own), FormatSize(bytes), FormatSize(share)));
  }
  state_->of[volume] += bytes;
  state_->all += bytes;
  return Claim(state_, volume, bytes);
}

}  // namespace vineyard::daemon
