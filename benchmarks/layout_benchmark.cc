// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// layout/: finding an entry of the index, reading and writing a record: what a get consists of, without
// the instance.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "layout/index.h"
#include "layout/record.h"

namespace vineyard::layout {
namespace {

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

RecordFields Fields() {
  RecordFields fields;
  fields.kind = RecordKind::kObject;
  fields.id = 77;
  return fields;
}

// A slot with a descriptor's worth of head, and that many bytes.
class Slot {
 public:
  explicit Slot(size_t bytes)
      : head_(200, 'h'), bytes_(bytes, 'b'), memory_(RecordSize(200, bytes) / sizeof(Line) + 1),
        size_(memory_.size() * sizeof(Line)) {
    Write(1);
  }
  void Write(uint64_t sequence) {
    WriteRecord(at(), Fields(), Bytes(head_), Bytes(bytes_), sequence);
  }
  std::byte* at() { return reinterpret_cast<std::byte*>(memory_.data()); }
  [[nodiscard]] uint64_t size() const { return size_; }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::string head_, bytes_;
  std::vector<Line> memory_;
  uint64_t size_;
};

void ReadARecord(benchmark::State& state) {
  Slot slot(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(TryReadRecord(slot.at(), slot.size()));
}
BENCHMARK(ReadARecord)->Arg(0)->Arg(100)->Arg(4096)->Arg(65536);

void WriteARecord(benchmark::State& state) {
  Slot slot(static_cast<size_t>(state.range(0)));
  uint64_t sequence = 1;
  for (auto _ : state) slot.Write(++sequence);
}
BENCHMARK(WriteARecord)->Arg(0)->Arg(100)->Arg(4096)->Arg(65536);

// Entries in an order that the processor can't foresee: with many, each is a cache miss or two.
void ProbeTheIndex(benchmark::State& state) {
  const auto count = static_cast<uint64_t>(state.range(0));
  size_t buckets = 1;
  while (buckets * 2 < count) buckets *= 2;
  std::vector<Bucket> memory(buckets);
  IndexWriter writer(memory, {[](size_t) { return std::span<Bucket>(); }, [] {}});
  for (uint64_t key = 1; key <= count; ++key) {
    if (!writer.Apply(key, Ref(), Ref(RecordKind::kObject, 1, key % 1000 * kRecordAlign))) {
      state.SkipWithError("the index is full");
      return;
    }
  }
  uint64_t at = 1;
  for (auto _ : state) {
    at = Mix64(at);
    benchmark::DoNotOptimize(
        ProbeSegment(memory, at % count + 1, [](Ref ref) { return !ref.is_null(); }));
  }
}
BENCHMARK(ProbeTheIndex)->Arg(10)->Arg(10'000)->Arg(1'000'000);

}  // namespace
}  // namespace vineyard::layout
