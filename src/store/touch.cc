// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/touch.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace vineyard::store {

namespace {

// Zeroing a page is most of making it, and one core zeroes at half of what the memory takes.
constexpr uint64_t kTouchAtOnce = uint64_t{4} << 20;
constexpr uint64_t kWorthAThread = uint64_t{4} << 20;
constexpr uint64_t kMostThreads = 4;

}  // namespace

Status TouchAll(std::span<os::Mapping> mappings) {
  struct Piece {
    os::Mapping* mapping;
    uint64_t offset;
    uint64_t length;
  };
  std::vector<Piece> pieces;
  uint64_t total = 0;
  for (os::Mapping& m : mappings) {
    for (uint64_t at = 0; at < m.size(); at += kTouchAtOnce) {
      pieces.push_back({&m, at, std::min(kTouchAtOnce, m.size() - at)});
    }
    total += m.size();
  }
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Status first_failure;
  const auto work = [&] {
    for (size_t i = next++; i < pieces.size(); i = next++) {
      const Piece& p = pieces[i];
      Status s = p.mapping->Populate(os::Access::kReadWrite, p.offset, p.length);
      if (s.ok()) continue;
      next = pieces.size();
      const std::lock_guard lock(mutex);
      if (first_failure.ok()) first_failure = std::move(s);
    }
  };
  const uint64_t cores = std::max(1U, std::thread::hardware_concurrency());
  const uint64_t threads =
      std::clamp<uint64_t>(total / kWorthAThread, 1, std::min(cores, kMostThreads));
  {
    std::vector<std::jthread> helpers;
    try {
      for (uint64_t i = 1; i < threads; ++i) helpers.emplace_back(work);
    } catch (const std::system_error&) {
      // No more threads to be had: this one does it alone.
    }
    work();
  }
  return first_failure;
}

}  // namespace vineyard::store
