// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests: a folder of one's own, and transfers that are waited for.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/logging.h"
#include "base/testing.h"
#include "spill/transfers.h"

namespace vineyard::spill {

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

inline constexpr uint8_t kKind = 1;
inline Key KeyOf(uint64_t id) { return {.volume = 1, .id = id, .kind = kKind}; }

inline Bytes RandomBytes(uint64_t size, uint64_t seed) {
  Bytes bytes(size);
  std::mt19937_64 random(seed);
  for (uint64_t at = 0; at < size; at += 8) {
    const uint64_t word = random();
    std::memcpy(bytes.data() + at, &word, std::min<uint64_t>(8, size - at));
  }
  return bytes;
}

/// Its spans lie in `bytes`, which must live until the end is told.
inline Source SourceOf(const Bytes& bytes) { return {.spans = {std::span(bytes)}}; }

inline std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void WriteAll(const std::string& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// What is said by `call`'s callback.
template <typename Value, typename Call>
Value WaitFor(Call call) {
  auto told = std::make_shared<std::promise<Value>>();
  auto future = told->get_future();
  call([told](Value value) { told->set_value(std::move(value)); });
  return future.get();
}

class PlaceTest : public testing::Test {
 protected:
  void SetUp() override {
    log::Configure(log::Level::kOff, log::Format::kText);
    std::string folder = testing::TempDir() + "/spill_XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    outside_ = folder;
  }
  void TearDown() override {
    Leave();
    log::Configure(log::Level::kInfo, log::Format::kText);
    fs::remove_all(outside_);
  }

  [[nodiscard]] std::string folder() const { return outside_ + "/one"; }
  [[nodiscard]] std::string PathOf(const Key& key) const { return folder() + "/" + FileName(key); }
  [[nodiscard]] PlaceOptions Options(Limits limits = {}) const {
    return {.path = outside_, .instance = "one", .limits = limits};
  }
  [[nodiscard]] Place& place() { return *place_; }

  void Enter(Limits limits = {}) {
    Leave();
    ASSERT_OK_AND_ASSIGN(place_, Place::Take(Options(limits)));
    ASSERT_OK_AND_ASSIGN(crew_, Crew::Start({.threads = 3}));
  }
  void Leave() {
    crew_.reset();
    place_.reset();
  }

  Status WriteNow(WriteRequest request) {
    return WaitFor<Status>(
        [&](auto done) { Write(place_, *crew_, std::move(request), std::move(done)); });
  }
  Status WriteNow(uint64_t id, const Bytes& bytes, Durability durability = Durability::kInstance) {
    return WriteNow({.key = KeyOf(id), .source = SourceOf(bytes), .durability = durability});
  }
  Status ReadNow(ReadRequest request) {
    return WaitFor<Status>(
        [&](auto done) { Read(place_, *crew_, std::move(request), std::move(done)); });
  }
  Result<Bytes> ReadNow(uint64_t id, uint64_t offset, uint64_t size) {
    Bytes bytes(size);
    VY_RETURN_IF_ERROR(ReadNow(
        {.key = KeyOf(id), .offset = offset, .destination = {.spans = {std::span(bytes)}}}));
    return bytes;
  }
  Status CheckNow(uint64_t id) {
    return WaitFor<Status>([&](auto done) { Check(place_, *crew_, KeyOf(id), std::move(done)); });
  }
  struct Scanned {
    Result<ScanReport> report = Status::Internal("not told");
    std::vector<Found> found;
  };
  Scanned ScanNow() {
    Scanned scanned;
    std::mutex mutex;
    scanned.report = WaitFor<Result<ScanReport>>([&](auto done) {
      const auto found = [&](std::vector<Found> some) {
        const std::lock_guard lock(mutex);
        for (Found& one : some) scanned.found.push_back(std::move(one));
      };
      Scan(place_, *crew_, found, std::move(done));
    });
    return scanned;
  }

  /// Names in a folder of the place, sorted.
  [[nodiscard]] std::vector<std::string> Names(const std::string& below = "") const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder() + below)) {
      names.push_back(entry.path().filename().string());
    }
    std::ranges::sort(names);
    return names;
  }

  std::string outside_;
  std::shared_ptr<Place> place_;
  std::unique_ptr<Crew> crew_;
};

}  // namespace vineyard::spill
