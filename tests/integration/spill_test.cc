// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Large objects go to the disk when memory is short, and come back: a real instance, real clients.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr size_t kMi = size_t{1} << 20;

class Spilling : public ::testing::Test {
 protected:
  static DaemonOptions Options(const std::string& disk, std::vector<std::string> more = {}) {
    DaemonOptions options{.size = "64Mi"};
    options.flags = {"--spill_path", disk};
    options.flags.insert(options.flags.end(), more.begin(), more.end());
    return options;
  }
  std::vector<fs::path> Files() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(disk_.path())) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".spill") || name.ends_with(".part")) files.push_back(entry.path());
    }
    return files;
  }
  static ObjectId Put(Client& client, uint64_t seed, size_t size) {
    auto id = PutPattern(client, seed, size);
    EXPECT_OK(id);
    return id.ok() ? *id : ObjectId();
  }
  static void DeleteAll(Client& client) {
    auto objects = client.List({.limit = SIZE_MAX});
    ASSERT_OK(objects);
    std::vector<ObjectId> ids;
    for (const ObjectInfo& info : *objects) ids.push_back(info.id);
    ASSERT_OK(client.Delete(ids));
  }

  const TempFolder disk_;
};

TEST_F(Spilling, FourTimesTheMemoryIsPutAndRead) {
  const TestDaemon daemon(Options(disk_.path()));
  Client client = daemon.Connect();
  std::vector<ObjectId> ids;
  for (uint64_t i = 0; i < 64; ++i) ids.push_back(Put(client, i, 4 * kMi + i));
  for (const uint64_t step : std::initializer_list<uint64_t>{1, 5, 11}) {
    for (uint64_t i = 0; i < 64; ++i) {
      const uint64_t n = i * step % 64;
      const auto object = client.Get(ids[n]);
      ASSERT_OK(object) << n;
      ASSERT_TRUE(HoldsPattern(object, n, 4 * kMi + n)) << n;
    }
  }
  auto status = client.GetStatus();
  ASSERT_OK(status);
  EXPECT_LE(status->memory_held, status->instance_limit);
  EXPECT_LE(status->memory_usage, status->memory_limit);
  EXPECT_GT(status->spilled_bytes, 128 * kMi);
  EXPECT_GT(status->loads, 64u);
  DeleteAll(client);
  EXPECT_TRUE(Eventually([&] { return Files().empty(); }));
}

// Each client's objects and what it has deleted, against its own list; the engine is killed all the while.
TEST_F(Spilling, FourClientsUnderKillsLoseNothing) {
  TestDaemon daemon(Options(disk_.path()));
  constexpr int kClients = 4;
  const int steps = (IsInstrumented() ? 60 : 250) * Scale();
  std::atomic<int> running = kClients;
  std::vector<std::thread> threads;
  for (int c = 0; c < kClients; ++c) {
    threads.emplace_back([&, c] {
      Client client = daemon.Connect();
      std::mt19937_64 random(static_cast<uint64_t>(c));
      std::map<ObjectId, std::pair<uint64_t, size_t>> model;
      const auto any = [&] {
        auto it = model.begin();
        std::advance(it, static_cast<ptrdiff_t>(random() % model.size()));
        return it;
      };
      for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
        const uint64_t what = random() % 10;
        if (what < 4 && model.size() < 24) {
          const uint64_t seed = random();
          const size_t size = 1000 + random() % (5 * kMi);
          const ObjectId id = Put(client, seed, size);
          if (!id.is_null()) model[id] = {seed, size};
        } else if (what < 9 && !model.empty()) {
          const auto it = any();
          EXPECT_TRUE(HoldsPattern(client.Get(it->first), it->second.first, it->second.second));
        } else if (!model.empty()) {
          const auto it = any();
          EXPECT_OK(client.Delete({it->first}));
          EXPECT_CODE(kNotFound, client.Get(it->first));
          model.erase(it);
        }
      }
      for (const auto& [id, value] : model) {
        EXPECT_TRUE(HoldsPattern(client.Get(id), value.first, value.second));
      }
      --running;
    });
  }
  Client watching = daemon.Connect();
  uint64_t evictions = 0;
  while (running > 0) {
    // Some work between kills, however fast this machine is.
    auto status = watching.GetStatus();
    if (!status.ok() || status->evictions < 20) {
      std::this_thread::yield();
      continue;
    }
    evictions += status->evictions;
    daemon.KillEngine();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(evictions, 0u);
  DeleteAll(watching);
  EXPECT_TRUE(Eventually([&] { return Files().empty(); }));
  EXPECT_TRUE(Eventually([&] {
    auto status = watching.GetStatus();
    return status.ok() && status->memory_usage == 0 && status->spilled_bytes == 0;
  }));
}

TEST_F(Spilling, AnObjectOfSeveralLargePartsComesBackWhole) {
  const TestDaemon daemon(Options(disk_.path()));
  Client client = daemon.Connect();
  const auto put_whole = [&]() -> Result<ObjectId> {
    ObjectBuilder whole("whole");
    for (uint64_t i = 0; i < 5; ++i) {
      const auto bytes = Pattern(i, 6 * kMi);
      VY_ASSIGN_OR_RETURN(MutableBlob blob, client.CreateBlob(bytes.size()));
      std::ranges::copy(bytes, blob.data());
      VY_ASSIGN_OR_RETURN(const Blob sealed, client.Seal(std::move(blob)));
      whole.AddBuffer(sealed);
    }
    return client.Put(whole);
  };
  auto id = put_whole();
  ASSERT_OK(id);
  ASSERT_OK(client.Evict(std::vector{*id}));
  auto places = client.GetPlaces(*id);
  ASSERT_OK(places);
  EXPECT_EQ(places->memory_bytes, 0u);
  EXPECT_EQ(places->spilled_bytes, 30 * kMi);
  auto object = client.Get(*id);
  ASSERT_OK(object);
  for (uint64_t i = 0; i < 5; ++i) EXPECT_TRUE(IsPattern(object->buffers()[i].bytes(), i));
  std::vector<ObjectId> many{*id, Put(client, 9, 6 * kMi)};
  const auto all = client.GetMany(many);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_OK(all[0]);
  EXPECT_TRUE(HoldsPattern(all[1], 9, 6 * kMi));
}

TEST_F(Spilling, LoadEvictAndPinsDoWhatTheySay) {
  TestDaemon daemon(Options(disk_.path()));
  Client client = daemon.Connect();
  Client other = daemon.Connect();
  const ObjectId id = Put(client, 1, 4 * kMi);
  ASSERT_OK(client.Evict(std::vector{id}));
  EXPECT_EQ(client.GetPlaces(id)->memory_bytes, 0u);
  ASSERT_OK(client.Load(std::vector{id}, {.pin = true}));
  EXPECT_EQ(client.GetPlaces(id)->spilled_bytes, 0u);
  EXPECT_TRUE(client.GetPlaces(id)->pinned);
  EXPECT_CODE(kFailedPrecondition, other.Evict(std::vector{id}));
  daemon.KillEngine();
  EXPECT_TRUE(client.GetPlaces(id)->pinned) << "the client tells the next engine";
  ASSERT_OK(client.Unpin(std::vector{id}));
  {
    auto object = client.Get(id);
    ASSERT_OK(object);
    EXPECT_TRUE(other.GetPlaces(id)->in_use);
    EXPECT_CODE(kFailedPrecondition, other.Evict(std::vector{id}));
    EXPECT_TRUE(HoldsPattern(object, 1, 4 * kMi));
  }
  ASSERT_OK(client.Evict(std::vector{id}));
  EXPECT_TRUE(HoldsPattern(other.Get(id), 1, 4 * kMi));
  const ObjectId missing(12345);
  EXPECT_CODE(kNotFound, client.Load(std::vector{missing}));
  EXPECT_CODE(kNotFound, client.Evict(std::vector{missing}));
  EXPECT_CODE(kNotFound, client.GetPlaces(missing));
}

TEST_F(Spilling, APinEndsWithItsClient) {
  const TestDaemon daemon(Options(disk_.path()));
  Client client = daemon.Connect();
  const ObjectId id = Put(client, 1, 4 * kMi);
  const Bell pinned;
  Child child([&] {
    Client own = daemon.Connect();
    if (!own.Load(std::vector{id}, {.pin = true}).ok()) return 1;
    pinned.Ring();
    ::pause();
    return 0;
  });
  ASSERT_TRUE(pinned.Wait());
  EXPECT_TRUE(client.GetPlaces(id)->pinned);
  child.Kill();
  EXPECT_TRUE(Eventually([&] { return !client.GetPlaces(id)->pinned; }));
  EXPECT_OK(client.Evict(std::vector{id}));
}

TEST_F(Spilling, AGetWaitsForMemoryThatIsMappedAndSaysSoAtItsDeadline) {
  const TestDaemon daemon(Options(disk_.path()));
  Client client = daemon.Connect();
  const ObjectId small = Put(client, 1, 30 * kMi);
  ASSERT_OK(client.Evict(std::vector{small}));
  const ObjectId large = Put(client, 2, 40 * kMi);
  {
    auto held = client.Get(large);
    ASSERT_OK(held);
    const Status late = client.Get(small, {.timeout = Timeout(50)}).status();
    EXPECT_CODE(kOutOfMemory, late);
    EXPECT_THAT(late.message(), HasSubstr("mapped by clients"));
  }
  EXPECT_TRUE(HoldsPattern(client.Get(small), 1, 30 * kMi));
}

TEST_F(Spilling, AClientThatDiesWhileItsGetWaitsLeavesNothing) {
  const TestDaemon daemon(Options(disk_.path()));
  Client client = daemon.Connect();
  const ObjectId small = Put(client, 1, 30 * kMi);
  ASSERT_OK(client.Evict(std::vector{small}));
  const ObjectId large = Put(client, 2, 40 * kMi);
  auto held = client.Get(large);
  ASSERT_OK(held);
  const auto waiting = [&] {
    auto status = client.GetStatus();
    return status.ok() ? status->waiting : 0;
  };
  Child child([&] {
    Client own = daemon.Connect();
    return own.Get(small).ok() ? 0 : 1;
  });
  EXPECT_TRUE(Eventually([&] { return waiting() > 0; }));
  child.Kill();
  EXPECT_TRUE(Eventually([&] { return waiting() == 0; }));
  held = Status::NotFound("let go");
  EXPECT_TRUE(HoldsPattern(client.Get(small), 1, 30 * kMi));
}

TEST_F(Spilling, ADamagedFileIsReportedAndNeverServed) {
  const TestDaemon daemon(Options(disk_.path()));
  Client client = daemon.Connect();
  const ObjectId id = Put(client, 1, 4 * kMi);
  const ObjectId whole = Put(client, 2, 4 * kMi);
  ASSERT_OK(client.Evict(std::vector{id}));
  ASSERT_EQ(Files().size(), 1u);
  {
    std::fstream file(Files()[0], std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(2'000'000);
    const auto was = static_cast<char>(file.get());
    file.seekp(2'000'000);
    file.put(static_cast<char>(was ^ 4));
  }
  for (int i = 0; i < 2; ++i) EXPECT_CODE(kCorrupted, client.Get(id));
  auto listed = client.List({.limit = SIZE_MAX});
  ASSERT_OK(listed);
  EXPECT_EQ(listed->size(), 2u);
  EXPECT_TRUE(HoldsPattern(client.Get(whole), 2, 4 * kMi));
  EXPECT_EQ(client.GetStatus()->damaged, 1u);
  EXPECT_THAT(daemon.log(), HasSubstr("damaged spill file set aside"));
  EXPECT_OK(client.Delete({id}));
}

TEST_F(Spilling, AFullDiskRefusesCleanly) {
  const TestDaemon daemon(Options(disk_.path(), {"--spill_limit=5Mi"}));
  Client client = daemon.Connect();
  std::vector<ObjectId> ids;
  for (uint64_t i = 0; i < 13; ++i) ids.push_back(Put(client, i, 4 * kMi));
  const auto bytes = Pattern(99, 30 * kMi);
  ObjectBuilder large("test");
  large.AddBuffer(bytes);
  const Status full = client.Put(large, {.timeout = Timeout(300)}).status();
  EXPECT_CODE(kOutOfMemory, full);
  EXPECT_THAT(full.message(), HasSubstr("disk full"));
  for (uint64_t i = 0; i < ids.size(); ++i) {
    EXPECT_TRUE(HoldsPattern(client.Get(ids[i]), i, 4 * kMi));
  }
  EXPECT_THAT(daemon.log(), HasSubstr("objects can't be spilled, and stay in memory"));
  DeleteAll(client);
  EXPECT_OK(client.Put(large));
}

TEST_F(Spilling, WithoutADiskNothingIsSpilledAndEvictSaysSo) {
  const TestDaemon daemon({.size = "64Mi"});
  Client client = daemon.Connect();
  const ObjectId id = Put(client, 1, 4 * kMi);
  EXPECT_OK(client.Load(std::vector{id}, {.pin = true}));
  EXPECT_OK(client.Unpin(std::vector{id}));
  const Status refused = client.Evict(std::vector{id});
  EXPECT_CODE(kFailedPrecondition, refused);
  EXPECT_THAT(refused.message(), HasSubstr("--spill_path"));
  const auto bytes = Pattern(2, 62 * kMi);
  ObjectBuilder large("test");
  large.AddBuffer(bytes);
  EXPECT_CODE(kOutOfMemory, client.Put(large, {.timeout = Timeout(50)}));
}

TEST_F(Spilling, AColdStartRemovesWhatNobodyKnowsAnyMore) {
  TestDaemon daemon(Options(disk_.path()));
  {
    Client client = daemon.Connect();
    ASSERT_OK(client.Evict(std::vector{Put(client, 1, 4 * kMi), Put(client, 2, 4 * kMi)}));
  }
  EXPECT_EQ(Files().size(), 2u);
  daemon.KillGroup();
  daemon.Start();
  EXPECT_TRUE(Eventually([&] { return Files().empty(); }));
  EXPECT_THAT(daemon.log(), HasSubstr("files of spilled objects that are gone are removed"));
}

}  // namespace
}  // namespace vineyard::testing
