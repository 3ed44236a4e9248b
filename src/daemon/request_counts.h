// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// RequestCounts: how many requests of each kind a volume's clients have made, how long they took, and what was refused.
//
// A kind that was never asked for takes no memory. Owned by the engine's thread.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <memory>

#include "messages_generated.h"
#include "vineyard/status.h"

namespace vineyard::daemon {

class RequestCounts {
 public:
  /// Number i counts what took less than 2^i microseconds, and not less than half of that; the last one the rest,
  /// from a minute on.
  static constexpr size_t kBuckets = 28;
  struct Kind {
    uint64_t answered = 0;
    uint64_t failed = 0;
    uint64_t total_ns = 0;
    std::array<uint64_t, kBuckets> buckets{};
  };

  static size_t BucketOf(std::chrono::nanoseconds took) {
    const auto micros = static_cast<uint64_t>(std::max<int64_t>(took.count(), 0)) / 1000;
    return std::min<size_t>(std::bit_width(micros), kBuckets - 1);
  }

  void Note(fb::RequestBody kind, std::chrono::nanoseconds took, StatusCode code) {
    // A client may send any number; those that mean nothing count as none.
    const bool is_known = kind <= fb::RequestBody::MAX;
    std::unique_ptr<Kind>& slot = kinds_.at(is_known ? static_cast<size_t>(kind) : 0);
    if (slot == nullptr) slot = std::make_unique<Kind>();
    ++slot->answered;
    slot->total_ns += static_cast<uint64_t>(std::max<int64_t>(took.count(), 0));
    ++slot->buckets[BucketOf(took)];
    if (code == StatusCode::kOk) return;
    ++slot->failed;
    if (code == StatusCode::kOutOfMemory) ++refused_memory_;
    if (code == StatusCode::kPermissionDenied) ++refused_access_;
    if (code == StatusCode::kDeadlineExceeded) ++late_;
  }

  /// Null: there was none.
  [[nodiscard]] const Kind* Find(fb::RequestBody kind) const {
    return kinds_.at(static_cast<size_t>(kind)).get();
  }
  [[nodiscard]] uint64_t refused_memory() const { return refused_memory_; }
  [[nodiscard]] uint64_t refused_access() const { return refused_access_; }
  [[nodiscard]] uint64_t late() const { return late_; }

 private:
  std::array<std::unique_ptr<Kind>, static_cast<size_t>(fb::RequestBody::MAX) + 1> kinds_;
  uint64_t refused_memory_ = 0;
  uint64_t refused_access_ = 0;
  uint64_t late_ = 0;
};

}  // namespace vineyard::daemon
