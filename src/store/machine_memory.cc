// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/machine_memory.h"

#include <algorithm>
#include <chrono>
#include <mutex>

#include <fmt/format.h>

#include "base/size.h"
#include "os/memory_info.h"
#include "os/socket.h"

namespace vineyard::store {

namespace {

// The kernel's own, for page tables and the like, and what others take meanwhile.
constexpr uint64_t kSpared = uint64_t{16} << 20;
// To look takes as long as to make a MiB. So what was seen counts for a while, as far as this part of it.
constexpr uint64_t kTrusted = 8;
constexpr std::chrono::milliseconds kTrustedFor{50};

struct LastLook {
  std::mutex mutex;
  uint64_t left = 0;
  os::TimePoint until;
};

// One machine, one look.
LastLook& TheLastLook() {
  static LastLook last;
  return last;
}

}  // namespace

Status MayTouch(uint64_t bytes) {
  LastLook& last = TheLastLook();
  const std::lock_guard lock(last.mutex);
  const os::TimePoint now = os::Clock::now();
  if (bytes <= last.left && now < last.until) {
    last.left -= bytes;
    return {};
  }
  const auto available = os::ReadAvailableMemory();
  if (!available.ok()) return {};  // without /proc nobody can say
  const uint64_t free = *available - std::min(*available, kSpared);
  if (bytes > free) {
    return Status::OutOfMemory(fmt::format(
        "the machine (or the instance's control group) has {} of memory left, and this takes {}; "
        "free some, or give the instance a --size that it can have",
        FormatSize(*available), FormatSize(bytes)));
  }
  last.left = (free - bytes) / kTrusted;
  last.until = now + kTrustedFor;
  return {};
}

}  // namespace vineyard::store
