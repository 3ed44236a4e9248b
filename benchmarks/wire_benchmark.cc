// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// wire/: descriptors, as a put encodes and a get decodes them.
#include <benchmark/benchmark.h>

#include "wire/codec.h"
#include "wire/test_object.h"

namespace vineyard::wire {
namespace {

void EncodeADescriptor(benchmark::State& state) {
  const ObjectInfo info = ExampleObject();
  for (auto _ : state) benchmark::DoNotOptimize(EncodeDescriptor(info));
}
BENCHMARK(EncodeADescriptor);

void DecodeADescriptor(benchmark::State& state) {
  const std::vector<std::byte> bytes = EncodeDescriptor(ExampleObject());
  for (auto _ : state) benchmark::DoNotOptimize(DecodeDescriptor(bytes));
}
BENCHMARK(DecodeADescriptor);

void DecodeADescriptorToAnObject(benchmark::State& state) {
  const std::vector<std::byte> bytes = EncodeDescriptor(ExampleObject());
  for (auto _ : state) {
    const auto descriptor = DecodeDescriptor(bytes);
    if (!descriptor.ok()) {
      state.SkipWithError("not decoded");
      break;
    }
    benchmark::DoNotOptimize(ToObjectInfo(**descriptor));
  }
}
BENCHMARK(DecodeADescriptorToAnObject);

// Members make a descriptor long: what grows with their number must grow in proportion.
void DecodeADescriptorOfManyMembers(benchmark::State& state) {
  ObjectInfo info = ExampleObject();
  for (uint64_t i = 1; i <= static_cast<uint64_t>(state.range(0)); ++i) {
    info.members.push_back({"member " + std::to_string(i), ObjectId(i)});
  }
  const std::vector<std::byte> bytes = EncodeDescriptor(info);
  for (auto _ : state) benchmark::DoNotOptimize(DecodeDescriptor(bytes));
}
BENCHMARK(DecodeADescriptorOfManyMembers)->Arg(100)->Arg(10'000);

}  // namespace
}  // namespace vineyard::wire
