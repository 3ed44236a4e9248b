// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// RequestLog: the last requests that were answered, always kept, so that who looks need not have asked beforehand.
//
// A ring of a fixed size that is written over from its begin. Owned by the engine's thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "messages_generated.h"
#include "os/socket.h"
#include "vineyard/status.h"

namespace vineyard::daemon {

struct AnsweredRequest {
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
  static constexpr size_t kKept = 4096;  // 288 KiB

  /// Gets the next sequence: 1, 2, …
  void Add(const AnsweredRequest& request) {
    ++last_;
    if (requests_.size() < kKept) {
      requests_.push_back(request);
    } else {
      requests_[(last_ - 1) % kKept] = request;
    }
  }

  [[nodiscard]] uint64_t last() const { return last_; }
  /// The first one after `after` that is still there.
  [[nodiscard]] uint64_t FirstAfter(uint64_t after) const {
    const uint64_t forgotten = last_ > kKept ? last_ - kKept : 0;
    return std::max(std::min(after, last_), forgotten) + 1;
  }
  /// REQUIRES: it is still there.
  [[nodiscard]] const AnsweredRequest& At(uint64_t sequence) const {
    return requests_[(sequence - 1) % kKept];
  }

 private:
  std::vector<AnsweredRequest> requests_;
  uint64_t last_ = 0;
};

}  // namespace vineyard::daemon
