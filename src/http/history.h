// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// History: the last ten minutes of a few figures, a point each two seconds. Owned by the sampler's thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "http/sample.h"

namespace vineyard::http {

class History {
 public:
  static constexpr std::chrono::milliseconds kStep{2'000};
  static constexpr size_t kPoints = 300;

  /// nullptr: nothing was known then. To be called once a step.
  void Add(const Sample* sample, int64_t unix_ms);
  /// As GET /api/v1/history answers.
  [[nodiscard]] std::string Json() const;

 private:
  struct Counted {
    uint64_t generation = 0;
    int64_t unix_ms = 0;
    uint64_t answered = 0;
    uint64_t failed = 0;
    std::array<uint64_t, RequestFigures::kBuckets> buckets{};
  };
  struct Point {
    std::optional<double> used, held, spilled, requests, failed, waiting, p50, p99;
  };

  static Counted Count(const Sample& sample);
  void AddRates(const Counted& now, Point& point) const;

  std::deque<Point> points_;
  std::optional<Counted> before_;
  int64_t last_ms_ = 0;
};

/// The time, in microseconds, that this share of requests stayed below, read off their buckets; nullopt: there were none.
std::optional<double> Quantile(const std::array<uint64_t, RequestFigures::kBuckets>& buckets,
                               double share);

}  // namespace vineyard::http
