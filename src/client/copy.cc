// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/copy.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#include <fmt/format.h>

namespace vineyard {
namespace client {

namespace {

// Starting a thread costs some tens of microseconds, as long as copying a megabyte.
constexpr size_t kPerThread = size_t{4} << 20;
// One core comes near half of what a memory channel gives; more than four seldom add anything.
constexpr size_t kMostThreads = 4;
// Some ten milliseconds of copying; memcpy passes the caches for as much, which fresh memory wants.
constexpr size_t kPiece = size_t{64} << 20;
constexpr std::chrono::milliseconds kPerInterruption{100};

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

/// Asks the caller, now and then.
class Asking {
 public:
  Asking(const CopyOptions& options, size_t total) : options_(options), total_(total) {}

  bool GoOn(size_t done) {
    if (options_.progress && done >= reported_ + kPiece && done < total_) {
      reported_ = done;
      if (!options_.progress(done, total_)) return false;
    }
    if (!options_.interrupted) return true;
    const auto now = std::chrono::steady_clock::now();
    if (now < asked_ + kPerInterruption) return true;
    asked_ = now;
    return !options_.interrupted();
  }

 private:
  const CopyOptions& options_;
  const size_t total_;
  size_t reported_ = 0;
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
};

}  // namespace

Status CopyAll(std::span<const CopyJob> jobs, const CopyOptions& options) {
  size_t total = 0;
  for (const CopyJob& job : jobs) total += job.from.size();
  const size_t cores = std::max(1U, std::thread::hardware_concurrency());
  const size_t threads = std::clamp<size_t>(total / kPerThread, 1, std::min(cores, kMostThreads));
  // Long stretches: threads that take turns in one file hinder one another.
  const size_t share = (total / threads + 4095) / 4096 * 4096;
  std::atomic<size_t> done{0};
  std::atomic<bool> stopped{false};
  const auto copy_share = [&](size_t i, Asking* asking) {
    const size_t end = std::min(total, (i + 1) * share);
    for (size_t at = i * share; at < end && !stopped.load(std::memory_order_relaxed);) {
      const size_t piece = std::min(kPiece, end - at);
      CopyRange(jobs, at, at + piece);
      at += piece;
      const size_t copied = done.fetch_add(piece, std::memory_order_relaxed) + piece;
      if (asking != nullptr && !asking->GoOn(copied)) stopped = true;
    }
  };
  {
    std::vector<std::jthread> helpers;
    helpers.reserve(threads - 1);
    for (size_t i = 1; i < threads; ++i) {
      try {
        helpers.emplace_back(copy_share, i, nullptr);
      } catch (const std::system_error&) {
        copy_share(i, nullptr);  // the process may have no more threads
      }
    }
    Asking asking(options, total);
    copy_share(0, &asking);
  }
  if (!stopped && (!options.progress || options.progress(total, total))) return {};
  return Status::Cancelled(
      fmt::format("the transfer was called off after {} of {} bytes", done.load(), total));
}

}  // namespace client

Status CopyBytes(std::span<const Blob> blobs, std::span<const std::span<std::byte>> to,
                 const CopyOptions& options) {
  VY_CHECK(blobs.size() == to.size());
  std::vector<client::CopyJob> jobs;
  jobs.reserve(blobs.size());
  for (size_t i = 0; i < blobs.size(); ++i) {
    VY_CHECK(blobs[i].size() == to[i].size());
    jobs.push_back({to[i].data(), blobs[i].bytes()});
  }
  return client::CopyAll(jobs, options);
}

}  // namespace vineyard
