// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/descriptor_shares.h"

#include <algorithm>

#include <fmt/format.h>

#include "layout/ledger.h"

namespace vineyard::daemon {

namespace {

constexpr uint64_t kOfClient = 6;
constexpr uint64_t kOfSilent = 3;
// Clients that every volume may have while the machine allows any.
constexpr uint64_t kFew = 4;
constexpr uint64_t kMostSilent = 64;
constexpr uint64_t kLeastSilent = 4;
// Of the instance itself: logs, timers, the keeper, the first arenas.
constexpr uint64_t kOwn = 16;

}  // namespace

// An eighth of the ledger's rows is for the few of those who come late.
DescriptorShares::DescriptorShares(uint64_t limit)
    : limit_(limit),
      most_clients_(std::clamp(limit / 2 / kOfClient, kFew, uint64_t{layout::kMaxClients} / 8 * 7)),
      most_with_memory_(limit - std::min(limit, limit / 4 + limit / 16 + kOwn)) {}

Status DescriptorShares::MayServe(const Clients& now) const {
  const uint64_t share = now.volumes <= 1 ? most_clients_ * 3 / 4 : most_clients_ / now.volumes;
  if (now.of_all < most_clients_ && now.of_volume < std::max(share, kFew)) return {};
  if (now.of_volume < kFew && now.of_all < most_clients_ + most_clients_ / 8) return {};
  return Status::LimitExceeded(
      fmt::format("this volume has {} clients, and the instance {} of at most {} (it may have {} "
                  "descriptors open: "
                  "see `ulimit -n`); close some, or start the instance with a higher limit",
                  now.of_volume, now.of_all, most_clients_, limit_));
}

Status DescriptorShares::MayMake(uint64_t files, uint64_t promised, uint64_t lowest_free) const {
  const uint64_t needed = lowest_free + promised + files;
  if (needed <= most_with_memory_) return {};
  return Status::LimitExceeded(fmt::format(
      "this takes {} memory {}, and {} descriptors are open or promised of the {} that may be (of "
      "{}, see "
      "`ulimit -n`, the rest is for connections); delete objects, or start the instance with a "
      "higher limit",
      files, files == 1 ? "file" : "files", lowest_free + promised, most_with_memory_, limit_));
}

size_t DescriptorShares::MostSilent(size_t volumes_with_any) const {
  const uint64_t all = std::min(limit_ / 32 / kOfSilent, kMostSilent);
  return std::max(all / std::max<size_t>(volumes_with_any, 1), kLeastSilent);
}

}  // namespace vineyard::daemon
