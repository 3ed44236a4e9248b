// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// spill/: one extent to the disk and back. What the disk itself can do is fio's to say, with the same
// size of request and as many at once:
//
//   fio --name=limit --rw=write --bs=1M --size=1G --direct=1 --numjobs=4 --filesize=256M --group_reporting
//
// Files are written below the present folder, or VINEYARD_BENCHMARK_FOLDER.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <string>
#include <vector>

#include "os/memfd.h"
#include "spill/transfers.h"

namespace vineyard::spill {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

class Fixture {
 public:
  Fixture(uint64_t size, unsigned threads) : size_(size) {
    const char* folder = std::getenv("VINEYARD_BENCHMARK_FOLDER");
    path_ = std::string(folder != nullptr ? folder : ".") + "/spill_benchmark";
    place_ = Place::Take({.path = path_, .instance = "one"}).value();
    crew_ = Crew::Start({.threads = threads}).value();
    memory_ = os::CreateMemfd("spill_benchmark", size).value();
    file_ = {memory_.get(), size};
    auto filling = MapDestination({&file_, 1}, size).value();
    // Different in each page, so that no disk finds it easy.
    for (uint64_t at = 0; at < size; at += 8) {
      const uint64_t word = (at + 1) * 0x9e3779b97f4a7c15ULL;
      std::memcpy(filling.spans[0].data() + at, &word, sizeof word);
    }
  }
  ~Fixture() {
    crew_.reset();
    place_.reset();
    std::filesystem::remove_all(path_);
  }
  Status Write(Durability durability) {
    std::promise<Status> told;
    auto future = told.get_future();
    spill::Write(
        place_, *crew_,
        {.key = key_, .source = MapSource({&file_, 1}, size_).value(), .durability = durability},
        [&](Status status) { told.set_value(std::move(status)); });
    return future.get();
  }
  Status Read() {
    std::promise<Status> told;
    auto future = told.get_future();
    spill::Read(place_, *crew_,
                {.key = key_, .destination = MapDestination({&file_, 1}, size_).value()},
                [&](Status status) { told.set_value(std::move(status)); });
    return future.get();
  }
  void Remove() { place_->Remove(key_, Durability::kInstance).IgnoreError(); }

 private:
  const uint64_t size_;
  const Key key_{.volume = 1, .id = 1, .kind = 1};
  std::string path_;
  std::shared_ptr<Place> place_;
  std::unique_ptr<Crew> crew_;
  os::UniqueFd memory_;
  os::FilePart file_;
};

void SpillMiB(benchmark::State& state, Durability durability) {
  const uint64_t size = static_cast<uint64_t>(state.range(0)) * kMiB;
  Fixture fixture(size, static_cast<unsigned>(state.range(1)));
  for (auto _ : state) {
    const Status written = fixture.Write(durability);
    if (!written.ok()) state.SkipWithError(written.ToString().c_str());
    state.PauseTiming();
    fixture.Remove();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(size));
}

void BringBackMiB(benchmark::State& state) {
  const uint64_t size = static_cast<uint64_t>(state.range(0)) * kMiB;
  Fixture fixture(size, static_cast<unsigned>(state.range(1)));
  if (!fixture.Write(Durability::kDisk).ok()) state.SkipWithError("cannot write");
  for (auto _ : state) {
    const Status read = fixture.Read();
    if (!read.ok()) state.SkipWithError(read.ToString().c_str());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(size));
}

BENCHMARK_CAPTURE(SpillMiB, Instance, Durability::kInstance)
    ->ArgsProduct({{1, 64, 1024}, {2, 4, 8}})
    ->UseRealTime();
BENCHMARK_CAPTURE(SpillMiB, Disk, Durability::kDisk)
    ->ArgsProduct({{1, 64, 1024}, {4}})
    ->UseRealTime();
BENCHMARK(BringBackMiB)->ArgsProduct({{1, 64, 1024}, {2, 4, 8}})->UseRealTime();

}  // namespace
}  // namespace vineyard::spill
