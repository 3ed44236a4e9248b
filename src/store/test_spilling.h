// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests of a store that spills: one of a Machine with a folder of its own, 16 MiB of memory unless said
// otherwise, and clients that put, read and check what they read.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/logging.h"
#include "base/testing.h"
#include "os/mapping.h"
#include "os/memfd.h"
#include "store/test_machine.h"

namespace vineyard::store {

namespace fs = std::filesystem;

constexpr uint64_t kMi = uint64_t{1} << 20;
constexpr auto kNever = os::TimePoint::max();

class SpillingTest : public ::testing::Test {
 protected:
  static StoreOptions Options(uint64_t limit = 16 * kMi) {
    StoreOptions options = Machine::DefaultOptions();
    options.limit = limit;
    options.spill_marks = {.lower = 1, .upper = 1};  // only who waits makes it evict
    return options;
  }
  void SetUp() override {
    log::Configure(log::Level::kOff, log::Format::kText);
    std::string folder = testing::TempDir() + "/spilling_XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    Begin(Options());
  }
  void TearDown() override {
    if (machine_) {
      machine_->Run();
      machine_->CheckConsistent();
    }
    machine_.reset();
    fs::remove_all(folder_);
    log::Configure(log::Level::kInfo, log::Format::kText);
  }
  void Begin(const StoreOptions& options) {
    machine_.reset();
    machine_.emplace(options, folder_);
    client_ = machine_->AddClient();
  }

  Store& store() { return machine_->store(); }
  Spiller& spiller() { return *store().spiller(); }
  Volume& volume() { return machine_->volume(); }
  void Run() { machine_->Run(); }
  Extent& extent(ObjectId blob) { return *store().FindExtent(blob); }
  ExtentState StateOf(ObjectId blob) { return extent(blob).state; }

  static std::string Bytes(uint64_t seed, uint64_t size) {
    std::string bytes(size, '\0');
    std::mt19937_64 random(seed);
    for (char& c : bytes) c = static_cast<char>(random());
    return bytes;
  }
  /// An object in an extent; the extent's blob. Its bytes are those of the seed.
  ObjectId Put(uint64_t seed, uint64_t size = 2 * kMi, const std::string& name = {}) {
    auto answer = machine_->Put(client_, {.bytes = Bytes(seed, size), .name = name, .large = true});
    EXPECT_OK(answer);
    Run();
    return answer.ok() ? ObjectId(answer->id).own_blob() : ObjectId();
  }
  Result<layout::Answer> Delete(ObjectId blob) {
    return volume().Delete(machine_->NextRequest(client_),
                           std::vector{blob.owner_of_blob().value()}, true, true);
  }

  /// What came of a Load or an Evict. REQUIRES: lives until it has.
  struct Outcome {
    int calls = 0;
    Status status = Status::Internal("no answer");
    std::function<void(Status)> Callback() {
      return [this](Status s) {
        ++calls;
        status = std::move(s);
      };
    }
  };
  Status Load(std::vector<ObjectId> blobs) {
    Outcome outcome;
    spiller().Load(blobs, kNever, outcome.Callback());
    Run();
    return outcome.status;
  }
  Status Evict(std::vector<ObjectId> blobs) {
    Outcome outcome;
    spiller().Evict(blobs, kNever, outcome.Callback());
    Run();
    return outcome.status;
  }

  /// As a reader has it: an opening of its own for each chunk.
  struct Reader {
    std::vector<os::UniqueFd> fds;
    os::Mapping mapping;
  };
  Reader Open(ObjectId blob) {
    Reader reader;
    std::vector<os::FilePart> parts;
    for (const Chunk& chunk : extent(blob).chunks) {
      reader.fds.push_back(os::Reopen(chunk.fd, os::Access::kRead).value());
      parts.push_back({reader.fds.back().get(), chunk.size});
    }
    reader.mapping = os::Mapping::Open(parts, os::Access::kRead).value();
    return reader;
  }
  /// Brings it back if need be, and compares.
  void ExpectBytes(ObjectId blob, uint64_t seed, uint64_t size = 2 * kMi) {
    ASSERT_OK(Load({blob}));
    ASSERT_TRUE(IsInMemory(extent(blob)));
    const Reader reader = Open(blob);
    const std::string_view bytes(reinterpret_cast<const char*>(reader.mapping.data()), size);
    EXPECT_TRUE(bytes == Bytes(seed, size)) << "blob " << blob.ToString();
  }
  size_t Files() const {
    size_t files = 0;
    for (const auto& entry : fs::directory_iterator(folder_ + "/instance")) {
      const std::string name = entry.path().filename().string();
      files += name.ends_with(".spill") || name.ends_with(".part") ? 1 : 0;
    }
    return files;
  }
  std::string FileOf(ObjectId blob) const {
    return folder_ + "/instance/" +
           spill::FileName({.volume = 1,
                            .id = blob.value(),
                            .kind = kExtentFile,
                            .instance = machine_->instance()});
  }

  /// As an instance writes it. REQUIRES: no engine runs.
  void WriteFile(const spill::Key& key, const std::string& bytes) const {
    auto place =
        spill::Place::Take({.path = folder_, .instance = "instance", .limits = {}}).value();
    const auto crew = spill::Crew::Start({.threads = 2}).value();
    std::promise<Status> told;
    spill::Write(place, *crew,
                 {.key = key,
                  .source = {.spans = {std::as_bytes(std::span(bytes))}, .hold = nullptr},
                  .description = {},
                  .if_there = spill::IfThere::kReplace},
                 [&told](Status status) { told.set_value(std::move(status)); });
    ASSERT_OK(told.get_future().get());
  }

  std::string folder_;
  std::optional<Machine> machine_;
  uint64_t client_ = 0;
};

}  // namespace vineyard::store
