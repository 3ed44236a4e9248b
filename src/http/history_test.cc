// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/history.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vineyard::http {
namespace {

using nlohmann::json;

Sample At(int64_t unix_ms, uint64_t answered, uint64_t generation = 1) {
  Sample sample;
  sample.unix_ms = unix_ms;
  sample.figures.generation = generation;
  sample.figures.held = 500;
  VolumeFigures volume;
  volume.memory.sealed = 300;
  volume.waiting = 2;
  RequestFigures put{.kind = "Put", .answered = answered};
  put.buckets[4] = answered;
  volume.requests.push_back(put);
  sample.figures.volumes.push_back(volume);
  return sample;
}

TEST(History, TellsRatesOnceThereAreTwoPoints) {
  History history;
  const Sample first = At(10'000, 100);
  const Sample second = At(12'000, 150);
  history.Add(&first, 10'000);
  history.Add(&second, 12'000);
  const json told = json::parse(history.Json());
  EXPECT_EQ(told["time"], 12'000);
  EXPECT_EQ(told["step_s"], 2);
  EXPECT_EQ(told["series"]["requests_per_s"], json({nullptr, 25.0}));
  EXPECT_EQ(told["series"]["held"], json({500.0, 500.0}));
  EXPECT_EQ(told["series"]["used"], json({300.0, 300.0}));
  EXPECT_EQ(told["series"]["latency_p50_us"], json({nullptr, 12.0}));
}

TEST(History, NothingIsMadeUpWhereTheInstanceWasSilentOrAnotherEngineCounts) {
  History history;
  const Sample first = At(10'000, 100);
  const Sample third = At(14'000, 150);
  const Sample fourth = At(16'000, 160, 2);
  history.Add(&first, 10'000);
  history.Add(nullptr, 12'000);
  history.Add(&third, 14'000);
  history.Add(&fourth, 16'000);
  const json told = json::parse(history.Json());
  EXPECT_EQ(told["series"]["requests_per_s"], json({nullptr, nullptr, nullptr, nullptr}));
  EXPECT_EQ(told["series"]["held"], json({500.0, nullptr, 500.0, 500.0}));
}

TEST(History, ForgetsWhatIsOlderThanTenMinutes) {
  History history;
  for (size_t i = 0; i < History::kPoints + 5; ++i) history.Add(nullptr, 0);
  EXPECT_EQ(json::parse(history.Json())["series"]["used"].size(), History::kPoints);
}

TEST(Quantile, IsReadOffTheBuckets) {
  std::array<uint64_t, RequestFigures::kBuckets> buckets{};
  EXPECT_EQ(Quantile(buckets, 0.5), std::nullopt);
  buckets[0] = 50;
  buckets[10] = 50;
  EXPECT_EQ(Quantile(buckets, 0.5), 1.0);
  EXPECT_EQ(Quantile(buckets, 1.0), 1024.0);
  EXPECT_EQ(Quantile(buckets, 0.75), 768.0);
}

}  // namespace
}  // namespace vineyard::http
