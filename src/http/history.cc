// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/history.h"

#include <cmath>
#include <numeric>

#include <nlohmann/json.hpp>

namespace vineyard::http {

std::optional<double> Quantile(const std::array<uint64_t, RequestFigures::kBuckets>& buckets,
                               double share) {
  const uint64_t total = std::accumulate(buckets.begin(), buckets.end(), uint64_t{0});
  if (total == 0) return std::nullopt;
  const double wanted = share * static_cast<double>(total);
  double below = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    const auto here = static_cast<double>(buckets[i]);
    if (here > 0 && below + here >= wanted) {
      // Within a bucket nothing is known: as if they were spread evenly.
      const double low = i == 0 ? 0 : std::exp2(static_cast<double>(i) - 1);
      const double high = std::exp2(static_cast<double>(i));
      return low + (high - low) * (wanted - below) / here;
    }
    below += here;
  }
  return std::exp2(static_cast<double>(buckets.size()));
}

History::Counted History::Count(const Sample& sample) {
  Counted counted;
  counted.generation = sample.figures.generation;
  counted.unix_ms = sample.unix_ms;
  for (const VolumeFigures& volume : sample.figures.volumes) {
    for (const RequestFigures& request : volume.requests) {
      counted.answered += request.answered;
      counted.failed += request.failed;
      for (size_t i = 0; i < request.buckets.size(); ++i) counted.buckets[i] += request.buckets[i];
    }
  }
  return counted;
}

void History::AddRates(const Counted& now, Point& point) const {
  // Another engine, or a volume that is gone with its counts: no difference means anything.
  if (!before_ || before_->generation != now.generation || now.answered < before_->answered ||
      now.failed < before_->failed || now.unix_ms <= before_->unix_ms) {
    return;
  }
  const double seconds = static_cast<double>(now.unix_ms - before_->unix_ms) / 1000;
  point.requests = static_cast<double>(now.answered - before_->answered) / seconds;
  point.failed = static_cast<double>(now.failed - before_->failed) / seconds;
  std::array<uint64_t, RequestFigures::kBuckets> buckets{};
  for (size_t i = 0; i < buckets.size(); ++i) {
    if (now.buckets[i] < before_->buckets[i]) return;
    buckets[i] = now.buckets[i] - before_->buckets[i];
  }
  point.p50 = Quantile(buckets, 0.5);
  point.p99 = Quantile(buckets, 0.99);
}

void History::Add(const Sample* sample, int64_t unix_ms) {
  Point point;
  last_ms_ = unix_ms;
  if (sample == nullptr) {
    before_.reset();
  } else {
    const MemoryFigures total = TotalMemory(sample->figures);
    point.used = static_cast<double>(total.sealed + total.writing + total.records);
    point.held = static_cast<double>(sample->figures.held);
    double spilled = 0;
    double waiting = 0;
    for (const VolumeFigures& volume : sample->figures.volumes) {
      spilled += static_cast<double>(volume.spilled);
      waiting += static_cast<double>(volume.waiting);
    }
    point.spilled = spilled;
    point.waiting = waiting;
    const Counted now = Count(*sample);
    AddRates(now, point);
    before_ = now;
  }
  points_.push_back(point);
  if (points_.size() > kPoints) points_.pop_front();
}

std::string History::Json() const {
  const auto column = [&](std::optional<double> Point::* field) {
    nlohmann::json values = nlohmann::json::array();
    for (const Point& point : points_) {
      const std::optional<double>& value = point.*field;
      values.push_back(value ? nlohmann::json(std::round(*value * 10) / 10) : nlohmann::json());
    }
    return values;
  };
  const nlohmann::json json = {{"step_s", kStep.count() / 1000},
                               {"time", last_ms_},
                               {"series",
                                {{"used", column(&Point::used)},
                                 {"held", column(&Point::held)},
                                 {"spilled", column(&Point::spilled)},
                                 {"requests_per_s", column(&Point::requests)},
                                 {"failed_per_s", column(&Point::failed)},
                                 {"waiting", column(&Point::waiting)},
                                 {"latency_p50_us", column(&Point::p50)},
                                 {"latency_p99_us", column(&Point::p99)}}}};
  return json.dump();
}

}  // namespace vineyard::http
