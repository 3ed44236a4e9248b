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
constexpr uint64_t kOfSocket = 2;  // itself, and what watches it
// Clients that a socket may have at most, although others came before it was there.
constexpr uint64_t kFew = 4;
constexpr uint64_t kMostSilent = 64;
constexpr uint64_t kLeastSilent = 4;
// Of the instance itself: logs, timers, the keeper, the first arenas.
constexpr uint64_t kOwn = 16;

// Half of all in even parts; where that is not even one, all of it.
uint64_t EvenPart(uint64_t all, size_t parties) {
  const uint64_t n = std::max<uint64_t>(parties, 1);
  return std::max(all / 2 / n, std::min<uint64_t>(all / n, 1));
}

}  // namespace

// An eighth of the ledger's rows is for the few of those who come late.
DescriptorShares::DescriptorShares(uint64_t limit)
    : limit_(limit),
      most_clients_(std::clamp(limit / 2 / kOfClient, kFew, uint64_t{layout::kMaxClients} / 8 * 7)),
      most_with_memory_(limit - std::min(limit, limit / 4 + limit / 16 + kOwn)) {}

uint64_t DescriptorShares::ClientsOfEach(size_t sockets) const {
  return EvenPart(most_clients_, sockets);
}

Status DescriptorShares::MayServe(const Clients& now) const {
  if (now.of_all + now.kept < most_clients_) return {};
  // Who came before this socket was there may have what it is promised. No more than each is promised, or those
  // who come early would take it from those who come late.
  const uint64_t beyond = most_clients_ / 8;
  const uint64_t few = std::min({kFew, beyond / now.sockets, ClientsOfEach(now.sockets)});
  if (now.of_socket < few && now.of_all < most_clients_ + beyond) return {};
  return Status::LimitExceeded(
      fmt::format("this socket has {} clients, and the instance {} of at most {}, beside {} that "
                  "are kept for other sockets (it may have {} descriptors open: see `ulimit -n`); "
                  "close some, or start the instance with a higher limit",
                  now.of_socket, now.of_all, most_clients_, now.kept, limit_));
}

uint64_t DescriptorShares::FilesOfEach(size_t volumes) const {
  return EvenPart(most_with_memory_, volumes);
}

uint64_t DescriptorShares::Others(const Tables& tables) {
  return tables.clients * kOfClient + tables.silent * kOfSilent + tables.sockets * kOfSocket +
         tables.memory;
}

Status DescriptorShares::MayMake(const Files& now) const {
  const uint64_t kept = now.wanted <= now.rest ? 0 : now.kept;
  if (now.used + now.wanted + kept <= most_with_memory_) return {};
  return Status::LimitExceeded(fmt::format(
      "this takes {} memory {}, and {} descriptors are in use, and {} kept for other "
      "volumes, of the {} that may be (of {}, see `ulimit -n`, the rest is for connections); "
      "delete objects, or start the instance with a higher limit",
      now.wanted, now.wanted == 1 ? "file" : "files", now.used, now.kept, most_with_memory_,
      limit_));
}

size_t DescriptorShares::MostSilent(size_t sockets_with_any) const {
  const uint64_t all = std::min(limit_ / 32 / kOfSilent, kMostSilent);
  return std::max(all / std::max<size_t>(sockets_with_any, 1), kLeastSilent);
}

}  // namespace vineyard::daemon
