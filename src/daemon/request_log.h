// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// RequestLog: the last requests that were answered, always kept, so that who looks need not have asked beforehand.
//
// Rings of fixed sizes that are written over from their begins: one of all requests, which a busy client goes round in
// a fraction of a second; and beside it, for what people look for later, one of each kind of failure and one of each
// class of slowness. So many that fail in one way push out none that failed in another, and many that took a
// millisecond none that took a second. Owned by the engine's thread.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "messages_generated.h"
#include "os/socket.h"
#include "vineyard/status.h"

namespace vineyard::daemon {

struct AnsweredRequest {
  uint64_t sequence = 0;  ///< 1, 2, …
  uint64_t request_id = 0;
  uint64_t client = 0;
  uint64_t pid = 0;
  uint64_t volume = 0;
  uint64_t bytes = 0;
  os::TimePoint begun{};
  std::chrono::nanoseconds took{};
  std::chrono::nanoseconds waited{};  // of these
  fb::RequestBody kind{};
  StatusCode code{};
};

class RequestLog {
 public:
  static constexpr size_t kKept = 4096;         // 320 KiB
  static constexpr size_t kKeptOfFailed = 128;  // of each code: at most 200 KiB in all
  static constexpr size_t kKeptOfSlow = 256;    // of each class: at most 160 KiB in all
  /// The first class begins here, and each of the others at four times what the one before does.
  static constexpr std::chrono::nanoseconds kSlow = std::chrono::milliseconds(1);
  static constexpr size_t kClasses = 8;

  /// Gives it the next sequence.
  void Add(AnsweredRequest request) {
    request.sequence = ++last_;
    all_.Add(request, kKept);
    if (const auto slow = ClassOf(request.took)) slow_[*slow].Add(request, kKeptOfSlow);
    const auto code = static_cast<size_t>(request.code);
    if (code != 0) failed_[std::min(code, kCodes - 1)].Add(request, kKeptOfFailed);
  }

  [[nodiscard]] uint64_t last() const { return last_; }

  /// nullopt: it was quick.
  static std::optional<size_t> ClassOf(std::chrono::nanoseconds took) {
    if (took < kSlow) return std::nullopt;
    size_t number = 0;
    for (auto end = kSlow * 4; took >= end && number + 1 < kClasses; end *= 4) ++number;
    return number;
  }

  /// Calls `take` with those after the sequence that are still there, in their order, as long as it returns true.
  template <typename Take>
  void ForEachAfter(uint64_t after, const Take& take) const {
    const uint64_t first = last_ - all_.size() + 1;  // that all_ has
    if (after + 1 < first) {
      for (const AnsweredRequest& request : RememberedBetween(after, first)) {
        if (!take(request)) return;
      }
    }
    for (uint64_t sequence = std::max(after + 1, first); sequence <= last_; ++sequence) {
      if (!take(all_.At(sequence - 1, kKept))) return;
    }
  }

 private:
  static constexpr size_t kCodes = static_cast<size_t>(StatusCode::kProtocol) + 1;

  class Ring {
   public:
    void Add(const AnsweredRequest& request, size_t kept) {
      if (requests_.size() < kept) {
        requests_.push_back(request);
      } else {
        requests_[added_ % kept] = request;
      }
      ++added_;
    }
    [[nodiscard]] size_t size() const { return requests_.size(); }
    /// The one that was the `number`th to be added, from 0. REQUIRES: it is still there.
    [[nodiscard]] const AnsweredRequest& At(uint64_t number, size_t kept) const {
      return requests_[number % kept];
    }
    [[nodiscard]] const std::vector<AnsweredRequest>& requests() const { return requests_; }

   private:
    std::vector<AnsweredRequest> requests_;
    uint64_t added_ = 0;
  };

  // The slow and the failed ones of these sequences, the bounds left out.
  [[nodiscard]] std::vector<AnsweredRequest> RememberedBetween(uint64_t after,
                                                               uint64_t before) const {
    std::vector<AnsweredRequest> found;
    const auto add = [&](const Ring& ring) {
      for (const AnsweredRequest& request : ring.requests()) {
        if (request.sequence > after && request.sequence < before) found.push_back(request);
      }
    };
    std::ranges::for_each(slow_, add);
    std::ranges::for_each(failed_, add);
    std::ranges::sort(found, {}, &AnsweredRequest::sequence);
    const auto twice = std::ranges::unique(found, {}, &AnsweredRequest::sequence);
    found.erase(twice.begin(), twice.end());  // what was slow and failed
    return found;
  }

  Ring all_;
  std::array<Ring, kClasses> slow_;
  std::array<Ring, kCodes> failed_;
  uint64_t last_ = 0;
};

}  // namespace vineyard::daemon
