// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What is durable is there again when the keeper has been killed and an instance begins with the same folder: a
// real instance, real clients.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr size_t kMi = size_t{1} << 20;
constexpr Durability kDisk = Durability::kDisk;

class Durable : public ::testing::Test {
 protected:
  DaemonOptions Options(std::vector<std::string> more = {}) const {
    DaemonOptions options{.size = "64Mi"};
    options.flags = {"--spill_path", disk_.path()};
    options.flags.insert(options.flags.end(), more.begin(), more.end());
    return options;
  }
  static Result<ObjectId> Put(Client& client, uint64_t seed, size_t size, PutOptions options = {}) {
    const auto bytes = Pattern(seed, size);
    ObjectBuilder builder("test");
    builder.AddBuffer(bytes);
    if (options.durability == Durability::kMemory) options.durability = kDisk;
    return client.Put(builder, options);
  }
  static void Revive(TestDaemon& daemon) {
    daemon.KillKeeper();
    daemon.Start();
  }
  size_t Files(const std::string& ending = ".spill") const {
    size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(disk_.path())) {
      files += entry.path().filename().string().ends_with(ending) ? 1 : 0;
    }
    return files;
  }

  const TempFolder disk_;
};

TEST_F(Durable, ObjectsAndNamesAreThereAgainWithTheirIdsVersionsAndBytesAndNothingElseIs) {
  TestDaemon daemon(Options());
  ObjectId small;
  ObjectId large;
  ObjectId whole;
  ObjectId memory;
  {
    Client client = daemon.Connect();
    ASSERT_OK_AND_ASSIGN(small, Put(client, 1, 100, {.name = "small"}));
    ASSERT_OK_AND_ASSIGN(large, Put(client, 2, 5 * kMi + 3));
    ASSERT_OK_AND_ASSIGN(const ObjectId part, PutPattern(client, 3, 2 * kMi));
    ASSERT_OK_AND_ASSIGN(whole, client.Put(ObjectBuilder("test::whole").AddMember("part", part),
                                           {.durability = kDisk}));
    ASSERT_OK_AND_ASSIGN(memory, PutPattern(client, 4, 100, "memory"));
    ASSERT_OK(client.PutName("n", memory));
    EXPECT_EQ(client.PutName("n", large, {.durability = kDisk}).value(), 2u);
    EXPECT_TRUE(client.GetName("n")->durable);
    EXPECT_FALSE(client.GetName("memory")->durable);
    EXPECT_TRUE(client.GetPlaces(whole)->durable);
    EXPECT_FALSE(client.GetPlaces(memory)->durable);
    ASSERT_OK(client.SetLabels(small, {{"colour", "red"}}));
    EXPECT_EQ(client.GetStatus()->not_on_disk, 0u);
  }
  for (int i = 0; i < 2; ++i) {
    Revive(daemon);
    Client client = daemon.Connect();
    EXPECT_TRUE(HoldsPattern(client.Get(small), 1, 100));
    EXPECT_TRUE(HoldsPattern(client.Get(large), 2, 5 * kMi + 3));
    EXPECT_TRUE(HoldsPattern(client.Get("small"), 1, 100));
    ASSERT_OK_AND_ASSIGN(const NameInfo name, client.GetName("n"));
    EXPECT_EQ(name.id, large);
    EXPECT_EQ(name.version, 2u);
    ASSERT_OK_AND_ASSIGN(const Object got, client.Get(whole));
    EXPECT_TRUE(HoldsPattern(client.Get(got.info().members[0].id), 3, 2 * kMi));
    EXPECT_EQ(client.Get(small)->info().labels[0].value, "red");
    EXPECT_CODE(kNotFound, client.Get(memory));
    EXPECT_CODE(kNotFound, client.GetName("memory"));
    EXPECT_THAT(client.ListNames().value(), SizeIs(2));
    ASSERT_OK_AND_ASSIGN(const ObjectId fresh, PutPattern(client, 5, 100));
    EXPECT_GT(fresh, whole);
    EXPECT_EQ(client.GetStatus()->set_aside, 0u);
  }
}

TEST_F(Durable, WhatIsDeletedOrDroppedStaysAway) {
  TestDaemon daemon(Options());
  ObjectId kept;
  {
    Client client = daemon.Connect();
    ASSERT_OK_AND_ASSIGN(kept, Put(client, 1, 2 * kMi, {.name = "kept"}));
    ASSERT_OK_AND_ASSIGN(const ObjectId deleted, Put(client, 2, 2 * kMi, {.name = "deleted"}));
    ASSERT_OK(Put(client, 3, 2 * kMi, {.name = "dropped"}));
    ASSERT_OK(Put(client, 4, 2 * kMi, {.name = "replaced"}));
    ASSERT_OK(Put(client, 5, 100, {.name = "replaced"}));
    ASSERT_OK(client.Delete({deleted}));
    ASSERT_OK(client.DropName("dropped"));
  }
  Revive(daemon);
  Client client = daemon.Connect();
  EXPECT_THAT(client.ListNames().value(), SizeIs(2));
  EXPECT_THAT(client.List({.limit = SIZE_MAX}).value(), SizeIs(2));
  EXPECT_TRUE(HoldsPattern(client.Get("replaced"), 5, 100));
  EXPECT_EQ(client.GetName("replaced")->version, 2u);
  ASSERT_OK(client.Delete({kept}));
  ASSERT_OK(client.DropName("replaced"));
  EXPECT_EQ(Files(), 0u);
}

TEST_F(Durable, AnExistingObjectBecomesSoAndCostsNothingTwice) {
  TestDaemon daemon(Options());
  ObjectId id;
  {
    Client client = daemon.Connect();
    ASSERT_OK_AND_ASSIGN(id, PutPattern(client, 1, 3 * kMi));
    const ObjectId ids[] = {id};
    ASSERT_OK(client.Evict(ids));
    ASSERT_OK(client.MakeDurable(ids));
    ASSERT_OK(client.MakeDurable(ids));
    EXPECT_EQ(Files(), 3u);
  }
  Revive(daemon);
  Client client = daemon.Connect();
  EXPECT_TRUE(HoldsPattern(client.Get(id), 1, 3 * kMi));
}

TEST_F(Durable, AVolumeComesBackWithItsOptionsSocketsAndAllThatWasPutThere) {
  TestDaemon daemon(Options());
  const std::string folder = daemon.folder() + "/data";
  const std::string readers = daemon.folder() + "/readers/r.sock";
  {
    Client client = daemon.Connect();
    ASSERT_OK(client.CreateVolume("data", folder,
                                  {.quota = 16 * kMi,
                                   .guaranteed = 8 * kMi,
                                   .rights = {.mode = 0600},
                                   .read_only_socket = readers,
                                   .read_only_rights = {.mode = 0666},
                                   .durability = kDisk}));
    ASSERT_OK(client.CreateVolume("plain", daemon.folder() + "/plain", 0));
    ASSERT_OK_AND_ASSIGN(Client data, Client::Connect(folder + "/vineyard.sock"));
    ASSERT_OK(PutPattern(data, 1, 2 * kMi, "large"));
    ASSERT_OK(PutPattern(data, 2, 100, "small"));
    ASSERT_OK(data.Put(ObjectBuilder("test::lingers"), {.name = "lingers", .linger = Timeout(0)}));
    ASSERT_OK_AND_ASSIGN(Client plain, Client::Connect(daemon.folder() + "/plain/vineyard.sock"));
    EXPECT_CODE(kFailedPrecondition, Put(plain, 3, 100));
    ASSERT_OK(PutPattern(plain, 4, 100, "gone"));
  }
  Revive(daemon);
  Client client = daemon.Connect();
  ASSERT_OK_AND_ASSIGN(const std::vector<VolumeInfo> volumes, client.ListVolumes());
  ASSERT_THAT(volumes, SizeIs(2));
  const VolumeInfo& info = volumes[1];
  EXPECT_EQ(info.name, "data");
  EXPECT_TRUE(info.durable);
  EXPECT_EQ(info.quota, 16 * kMi);
  EXPECT_EQ(info.guaranteed, 8 * kMi);
  EXPECT_EQ(info.read_only_socket, readers);
  struct stat file{};
  ASSERT_EQ(::stat(info.socket.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat(readers.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0666u);
  ASSERT_OK_AND_ASSIGN(Client reader, Client::Connect(readers));
  EXPECT_TRUE(HoldsPattern(reader.Get("large"), 1, 2 * kMi));
  EXPECT_CODE(kPermissionDenied, reader.DropName("small"));
  ASSERT_OK_AND_ASSIGN(Client data, Client::Connect(info.socket));
  EXPECT_TRUE(HoldsPattern(data.Get("small"), 2, 100));
  EXPECT_THAT(data.ListNames().value(), SizeIs(2));
  daemon.KillEngine();
  EXPECT_TRUE(HoldsPattern(data.Get("large"), 1, 2 * kMi));
  ASSERT_OK(client.RemoveVolume("data"));
  EXPECT_EQ(Files(), 0u);
  Revive(daemon);
  EXPECT_THAT(daemon.Connect().ListVolumes().value(), SizeIs(1));
}

TEST_F(Durable, WithoutADiskItIsRefusedWithWhatToDo) {
  const TestDaemon daemon;
  Client client = daemon.Connect();
  const auto refused = Put(client, 1, 100);
  EXPECT_CODE(kNotSupported, refused);
  EXPECT_THAT(refused.status().message(), HasSubstr("--spill_path"));
  ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(client, 1, 100));
  EXPECT_CODE(kNotSupported, client.PutName("n", id, {.durability = kDisk}));
  EXPECT_CODE(kNotSupported, client.CreateVolume("data", daemon.folder() + "/data",
                                                 VolumeOptions{.durability = kDisk}));
  EXPECT_CODE(kNotSupported, client.MakeDurable(std::vector{id}));
}

TEST_F(Durable, AFullDiskRefusesAndNothingHasHappened) {
  TestDaemon daemon(Options({"--spill_limit", "6Mi"}));
  Client client = daemon.Connect();
  ASSERT_OK(Put(client, 1, 4 * kMi, {.name = "n"}));
  const auto refused = Put(client, 2, 4 * kMi, {.name = "n"});
  EXPECT_CODE(kOutOfMemory, refused);
  EXPECT_THAT(refused.status().message(), HasSubstr("disk full"));
  EXPECT_EQ(client.GetName("n")->version, 1u);
  const uint64_t used = Settled([&] { return client.GetStatus()->memory_usage; });
  EXPECT_LT(used, 5 * kMi);
  ASSERT_OK(client.DropName("n"));
  ASSERT_OK(Put(client, 2, 4 * kMi, {.name = "n"}));
}

TEST_F(Durable, AMemberOfAStreamOrWhatLingersIsRefused) {
  const TestDaemon daemon(Options());
  Client client = daemon.Connect();
  EXPECT_CODE(kInvalid, Put(client, 1, 100, {.name = "n", .linger = Timeout(0)}));
  ASSERT_OK_AND_ASSIGN(const ObjectId stream, client.Put(ObjectBuilder("test::stream")));
  ASSERT_OK(client.CreateStream(stream));
  EXPECT_CODE(kInvalid, Put(client, 1, 100, {.stream = stream}));
}

// Clients put, point elsewhere, drop and delete while keepers and engines die; each knows what was acknowledged.
TEST_F(Durable, ManyKillsLoseNothingThatWasAcknowledged) {
  TestDaemon daemon(Options());
  std::map<std::string, std::pair<uint64_t, size_t>> there;  // by name: seed, size
  std::mt19937 random(7);
  uint64_t seed = 0;
  const int rounds = (IsInstrumented() ? 3 : 8) * Scale();
  for (int round = 0; round < rounds; ++round) {
    Client client = daemon.Connect();
    for (const auto& [name, what] : there) {
      ASSERT_TRUE(HoldsPattern(client.Get(name), what.first, what.second))
          << name << " in round " << round;
    }
    ASSERT_THAT(client.ListNames().value(), SizeIs(there.size()));
    for (int step = 0; step < 12; ++step) {
      const std::string name = "n" + std::to_string(random() % 6);
      if (random() % 4 == 0 && there.contains(name)) {
        ASSERT_OK(client.DropName(name));
        there.erase(name);
      } else {
        const size_t size = random() % 2 == 0 ? 1000 : kMi;
        ASSERT_OK(Put(client, ++seed, size, {.name = name}));
        there[name] = {seed, size};
      }
      if (random() % 8 == 0) daemon.KillEngine();
    }
    client.Close();
    Revive(daemon);
  }
  Client client = daemon.Connect();
  for (const auto& [name, what] : there) ASSERT_OK(client.DropName(name));
  EXPECT_EQ(Files(), 0u);
}

TEST_F(Durable, ADamagedFileIsReportedSetAsideAndHarmsNothingElse) {
  TestDaemon daemon(Options());
  {
    Client client = daemon.Connect();
    ASSERT_OK(Put(client, 1, 100, {.name = "a"}));
  }
  fs::path file;
  for (const auto& entry : fs::recursive_directory_iterator(disk_.path())) {
    if (entry.path().filename().string().starts_with("02-")) file = entry.path();
  }
  {
    Client client = daemon.Connect();
    ASSERT_OK(Put(client, 2, 100, {.name = "b"}));
  }
  daemon.KillKeeper();
  {
    std::fstream damage(file, std::ios::in | std::ios::out | std::ios::binary);
    damage.seekp(300);
    damage.put('\x77');
  }
  daemon.Start();
  Client client = daemon.Connect();
  EXPECT_CODE(kNotFound, client.Get("a"));
  EXPECT_TRUE(HoldsPattern(client.Get("b"), 2, 100));
  EXPECT_EQ(client.GetStatus()->set_aside, 2u);
  EXPECT_THAT(daemon.log(), HasSubstr("damaged spill file set aside"));
}

}  // namespace
}  // namespace vineyard::testing
