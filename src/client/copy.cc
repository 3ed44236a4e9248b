// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/copy.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "client/copy_crew.h"
#include "client/stream_copy.h"

namespace vineyard {
namespace client {

namespace {

// From twice as much on, the second thread's help is worth waking it.
constexpr size_t kPerThread = size_t{2} << 20;
// One core comes near half of what a memory channel gives; more than four seldom add anything.
constexpr size_t kMostThreads = 4;
// So much is copied between two looks at whether anybody else has done the rest, or calls it off.
constexpr size_t kPiece = size_t{4} << 20;
constexpr size_t kSmallPiece = size_t{1} << 20;
// Less may be found in a cache by whoever reads it next.
constexpr size_t kPastCaches = size_t{16} << 20;
constexpr size_t kPerReport = size_t{64} << 20;
constexpr std::chrono::milliseconds kPerInterruption{100};

using Copy = void (*)(std::byte* to, const std::byte* from, size_t size);

void CachedCopy(std::byte* to, const std::byte* from, size_t size) {
  if (size > 0) std::memcpy(to, from, size);
}

// The bytes [begin, end) of all jobs laid end to end.
void CopyRange(std::span<const CopyJob> jobs, size_t begin, size_t end, Copy copy) {
  size_t at = 0;
  for (const CopyJob& job : jobs) {
    const size_t first = std::max(begin, at);
    const size_t last = std::min(end, at + job.from.size());
    if (first < last) copy(job.to + (first - at), job.from.data() + (first - at), last - first);
    at += job.from.size();
    if (at >= end) return;
  }
}

/// Asks the caller, now and then.
class Asking {
 public:
  Asking(const CopyOptions& options, size_t total) : options_(options), total_(total) {}

  bool GoOn(size_t done) {
    if (options_.progress && done >= reported_ + kPerReport && done < total_) {
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

size_t ThreadsFor(size_t total) {
  static const size_t kCores = std::max(1U, std::thread::hardware_concurrency());
  return std::clamp<size_t>(total / kPerThread, 1, std::min(kCores, kMostThreads));
}

/// A stretch of the bytes: one thread's, until another that has done its own takes pieces of it.
struct Share {
  std::atomic<size_t> next{0};
  size_t end = 0;
};

}  // namespace

Status CopyAll(std::span<const CopyJob> jobs, const CopyOptions& options) {
  size_t total = 0;
  for (const CopyJob& job : jobs) total += job.from.size();
  const size_t threads = ThreadsFor(total);
  const Copy copy = total >= kPastCaches ? StreamCopy : CachedCopy;
  const size_t piece = total >= kPastCaches ? kPiece : kSmallPiece;
  // Long stretches: threads that take turns in one file hinder one another.
  const size_t each = total / threads + (total % threads == 0 ? 0 : 1);
  const size_t length = (each + 4095) / 4096 * 4096;
  std::array<Share, kMostThreads> shares;
  for (size_t i = 0; i < threads; ++i) {
    shares[i].next = std::min(total, i * length);
    shares[i].end = std::min(total, (i + 1) * length);
  }
  std::atomic<size_t> done{0};
  std::atomic<bool> stopped{false};
  Asking asking(options, total);
  RunWithCrew(threads, [&](size_t self) {
    for (size_t turn = 0; turn < threads; ++turn) {
      Share& share = shares[(self + turn) % threads];
      while (!stopped.load(std::memory_order_relaxed)) {
        const size_t at = share.next.fetch_add(piece, std::memory_order_relaxed);
        if (at >= share.end) break;
        const size_t end = std::min(share.end, at + piece);
        CopyRange(jobs, at, end, copy);
        const size_t copied = done.fetch_add(end - at, std::memory_order_relaxed) + end - at;
        if (self == 0 && !asking.GoOn(copied)) stopped = true;
      }
    }
  });
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
