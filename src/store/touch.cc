// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/touch.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "os/socket.h"

namespace vineyard::store {

namespace {

// Zeroing a page is most of making it, and one core zeroes at half of what the memory takes.
constexpr uint64_t kTouchAtOnce = uint64_t{2} << 20;
constexpr uint64_t kWorthAThread = uint64_t{4} << 20;
constexpr uint64_t kMostThreads = 4;
constexpr uint64_t kFewProcessors = 4;
constexpr std::chrono::milliseconds kLongestRest{2};  // it may have been put aside meanwhile

}  // namespace

Status TouchAll(std::span<os::Mapping> mappings, const OthersAreAbout& others_are_about) {
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
  const uint64_t cores = std::max(1U, std::thread::hardware_concurrency());
  const bool leaves_room = others_are_about != nullptr && cores <= kFewProcessors;
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Status first_failure;
  const auto work = [&] {
    for (size_t i = next++; i < pieces.size(); i = next++) {
      const Piece& p = pieces[i];
      const os::TimePoint begun = os::Clock::now();
      Status s = p.mapping->Populate(os::Access::kReadWrite, p.offset, p.length);
      if (s.ok()) {
        if (leaves_room && others_are_about()) {  // Note [Leaving room]
          const os::Clock::duration took = os::Clock::now() - begun;
          std::this_thread::sleep_for(std::min<os::Clock::duration>(took, kLongestRest));
        }
        continue;
      }
      next = pieces.size();
      const std::lock_guard lock(mutex);
      if (first_failure.ok()) first_failure = std::move(s);
    }
  };
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
