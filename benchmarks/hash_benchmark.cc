// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// base/: the hashes that every look-up and every record's checksum go through.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/hash.h"

namespace vineyard {
namespace {

void Mix64OfAnId(benchmark::State& state) {
  uint64_t id = 1;
  for (auto _ : state) benchmark::DoNotOptimize(id = Mix64(id));
}
BENCHMARK(Mix64OfAnId);

void HashBytesOfThatMany(benchmark::State& state) {
  const std::string text(static_cast<size_t>(state.range(0)), 'v');
  for (auto _ : state) benchmark::DoNotOptimize(HashBytes(text, 7));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(HashBytesOfThatMany)->Arg(16)->Arg(100)->Arg(1024)->Arg(1 << 20);

void HashLongBytesOfThatMany(benchmark::State& state) {
  const std::vector<std::byte> bytes(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(HashLongBytes(bytes, 7));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(HashLongBytesOfThatMany)->Arg(4096)->Arg(1 << 20);

}  // namespace
}  // namespace vineyard
