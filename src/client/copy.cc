// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/copy.h"

#include <algorithm>
#include <cstring>
#include <system_error>
#include <thread>

namespace vineyard::client {

namespace {

// Starting a thread costs some tens of microseconds, as long as copying a megabyte.
constexpr size_t kPerThread = size_t{4} << 20;
// One core comes near half of what a memory channel gives; more than four seldom add anything.
constexpr size_t kMostThreads = 4;

// The bytes [begin, end) of all jobs laid end to end.
void CopyRange(std::span<const CopyJob> jobs, size_t begin, size_t end) {
  size_t at = 0;
  for (const CopyJob& job : jobs) {
    const size_t first = std::max(begin, at);
    const size_t last = std::min(end, at + job.from.size());
    if (first < last)
      std::memcpy(job.to + (first - at), job.from.data() + (first - at), last - first);
    at += job.from.size();
    if (at >= end) return;
  }
}

}  // namespace

void CopyAll(std::span<const CopyJob> jobs) {
  size_t total = 0;
  for (const CopyJob& job : jobs) total += job.from.size();
  const size_t cores = std::max(1U, std::thread::hardware_concurrency());
  const size_t threads = std::clamp<size_t>(total / kPerThread, 1, std::min(cores, kMostThreads));
  const size_t share = (total / threads + 4095) / 4096 * 4096;
  std::vector<std::jthread> helpers;
  helpers.reserve(threads - 1);
  for (size_t i = 1; i < threads; ++i) {
    const auto copy = [=] { CopyRange(jobs, i * share, std::min(total, (i + 1) * share)); };
    try {
      helpers.emplace_back(copy);
    } catch (const std::system_error&) {
      copy();  // the process may have no more threads
    }
  }
  CopyRange(jobs, 0, std::min(total, share));
}

}  // namespace vineyard::client
