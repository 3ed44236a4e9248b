// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The engine dies at each place the source has a name for: whatever was acknowledged is there, clients
// go on, and every request takes effect once.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "crash/workload.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

namespace fs = std::filesystem;

// The same changes without any crash: how much memory they leave in use.
Figures UndisturbedFigures() {
  const TestDaemon daemon;
  Client client = daemon.Connect();
  Workload work(client);
  work.First();
  work.Second();
  work.Check(client);
  const Figures settled = FiguresOf(client);
  EXPECT_TRUE(Eventually([&] { return FiguresOf(client).lingering == 0; }));
  return {settled.usage, settled.objects, settled.blobs, settled.names, 0, 0};
}

struct Place {
  const char* name;
  int times;       // the engine dies when it passes there for the n-th time
  int generation;  // the engine that dies; of the second, the first is killed at half-time
};

std::ostream& operator<<(std::ostream& out, const Place& place) {
  return out << place.name << ":" << place.times << "@" << place.generation;
}

// Every name in the source; EveryPlaceInTheSourceIsTried compares.
constexpr const char* kNames[] = {"reserve.made",
                                  "reserve.between_holds",
                                  "reserve.held",
                                  "keeper.hold",
                                  "keeper.held",
                                  "keeper.drop",
                                  "put.staged",
                                  "record.written",
                                  "commit.before",
                                  "commit.published",
                                  "commit.between_changes",
                                  "commit.applied",
                                  "commit.noted",
                                  "commit.cleared",
                                  "reply.before",
                                  "reply.after",
                                  "delete.committed",
                                  "status.begun",
                                  "stream.committed",
                                  "free.begin",
                                  "free.keeper_dropped",
                                  "create_volume.held",
                                  "create_volume.opened",
                                  "remove_volume.before",
                                  "remove_volume.published",
                                  "remove_volume.noted",
                                  "remove_volume.cleared",
                                  "recovery.before_serving",
                                  "recovery.serving"};

// Those that only an instance with a disk passes. SpillingEngineKilledAt tries them.
constexpr const char* kSpillingNames[] = {
    "spill.made",           "spill.block_written", "spill.blocks_written",
    "spill.head_written",   "spill.named",         "spill.removed",
    "evict.written",        "evict.before_drops",  "evict.between_drops",
    "evict.keeper_dropped", "load.made",           "load.filled",
    "load.sealed",          "load.between_holds",  "load.held"};
// Those of what is durable. DurableEngineKilledAt tries them.
constexpr const char* kDurableNames[] = {
    "secure.written",       "spill.synced_again",     "secure.synced",       "reply.awaits_disk",
    "mirror.begun",         "mirror.volumes_written", "spill.synced",        "spill.kept",
    "mirror.entry_written", "mirror.entries_written", "mirror.name_written", "mirror.names_written",
    "mirror.removed"};
// What needs a damaged disk, or a first start: src/spill tries these.
constexpr const char* kElsewhere[] = {"spill.set_aside", "spill.identity_written",
                                      "spill.identity_named"};

std::vector<Place> AllPlaces() {
  std::vector<Place> places;
  for (const char* name : kNames) {
    places.push_back({name, 1, 1});
    places.push_back({name, 1, 2});
    if (std::string_view(name).starts_with("recovery")) continue;  // passed once
    places.push_back({name, 2, 1});
    places.push_back({name, 2, 2});
    for (int i = 3; i < 3 * Scale(); ++i) places.push_back({name, i, 1});
  }
  return places;
}

class EngineKilledAt : public ::testing::TestWithParam<Place> {};

TEST_P(EngineKilledAt, NothingAcknowledgedIsLostAndEverythingHappensOnce) {
  const Place place = GetParam();
  const Figures wanted = UndisturbedFigures();
  TestDaemon daemon(
      {.environment = {{"VINEYARD_CRASH_AT", fmt::format("{}:{}", place.name, place.times)},
                       {"VINEYARD_CRASH_GENERATION", std::to_string(place.generation)}}});
  Client client = daemon.Connect();
  const uint64_t at_start = FiguresOf(client).usage;
  Workload work(client);
  work.First();
  if (place.generation == 2) daemon.KillEngine();
  work.Second();
  work.Check(client);
  Client other = daemon.Connect();
  work.Check(other);
  Figures now;
  EXPECT_TRUE(Eventually([&] { return (now = FiguresOf(client)) == wanted; }))
      << "now:    " << now << "\nwanted: " << wanted;
  work.DeleteAll();
  EXPECT_TRUE(Eventually([&] {
    now = FiguresOf(client);
    return now.usage == at_start && now.lingering == 0 && now.objects == 0 && now.names == 0;
  })) << now;
  auto status = client.GetStatus();
  ASSERT_OK(status);
  EXPECT_EQ(status->generation, static_cast<uint64_t>(place.generation) + 1)
      << "it did not die there";
  EXPECT_EQ(daemon.log().find("set aside"), std::string::npos) << daemon.log();
  EXPECT_EQ(daemon.Stop(), 0);
}

std::string NameOf(const ::testing::TestParamInfo<Place>& test) {
  std::string name =
      fmt::format("{}_{}_ofEngine{}", test.param.name, test.param.times, test.param.generation);
  std::ranges::replace(name, '.', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(EveryPlace, EngineKilledAt, ::testing::ValuesIn(AllPlaces()), NameOf);

class SpillingEngineKilledAt : public ::testing::TestWithParam<Place> {};

// Whatever nobody maps goes to the disk at once, and comes back when it is asked for.
TEST_P(SpillingEngineKilledAt, NothingAcknowledgedIsLostAndEverythingHappensOnce) {
  const Place place = GetParam();
  const TempFolder disk;
  TestDaemon daemon(
      {.flags = {"--spill_path", disk.path(), "--spill_lower_rate=0", "--spill_upper_rate=0"},
       .environment = {{"VINEYARD_CRASH_AT", fmt::format("{}:{}", place.name, place.times)},
                       {"VINEYARD_CRASH_GENERATION", std::to_string(place.generation)}}});
  Client client = daemon.Connect();
  Workload work(client);
  work.First();
  if (place.generation == 2) daemon.KillEngine();
  work.Second();
  work.Check(client);
  const auto spilled = [&] {
    auto status = client.GetStatus();
    return status.ok() && status->spilled_blobs > 0;
  };
  EXPECT_TRUE(Eventually(spilled));
  Client other = daemon.Connect();
  work.Check(other);
  work.DeleteAll();
  Figures now;
  EXPECT_TRUE(Eventually([&] {
    now = FiguresOf(client);
    return now.lingering == 0 && now.objects == 0 && now.names == 0 && now.blobs == 0;
  })) << now;
  const auto died = [&] {
    auto status = client.GetStatus();
    return status.ok() && status->generation == static_cast<uint64_t>(place.generation) + 1;
  };
  EXPECT_TRUE(Eventually(died)) << "it did not die there";
  EXPECT_TRUE(Eventually([&] {
    auto status = client.GetStatus();
    return status.ok() && status->disk_bytes == 0 && status->spilled_blobs == 0;
  }));
  EXPECT_EQ(daemon.log().find("set aside"), std::string::npos) << daemon.log();
  EXPECT_EQ(daemon.Stop(), 0);
}

std::vector<Place> SpillingPlaces() {
  std::vector<Place> places;
  for (const char* name : kSpillingNames) {
    for (const int generation : {1, 2}) places.push_back({name, 1, generation});
    places.push_back({name, 3, 1});
  }
  return places;
}

INSTANTIATE_TEST_SUITE_P(EveryPlace, SpillingEngineKilledAt, ::testing::ValuesIn(SpillingPlaces()),
                         NameOf);

class DurableEngineKilledAt : public ::testing::TestWithParam<Place> {};

// The client goes on as if nothing had happened; after that everything dies.
TEST_P(DurableEngineKilledAt, WhatWasAcknowledgedIsThereWhenEverythingHasDied) {
  const Place place = GetParam();
  const TempFolder disk;
  TestDaemon daemon(
      {.flags = {"--spill_path", disk.path()},
       .environment = {{"VINEYARD_CRASH_AT", fmt::format("{}:{}", place.name, place.times)},
                       {"VINEYARD_CRASH_GENERATION", std::to_string(place.generation)}}});
  const auto put = [](Client& client, uint64_t seed, size_t size, std::string name) {
    const std::vector<std::byte> bytes = Pattern(seed, size);
    ObjectBuilder builder("test");
    builder.AddBuffer(bytes);
    return client.Put(builder, {.name = std::move(name), .durability = Durability::kDisk});
  };
  {
    Client client = daemon.Connect();
    for (uint64_t round = 0; round < 2; ++round) {
      ASSERT_OK(put(client, 1, kLarge, "a"));
      ASSERT_OK(put(client, 2, 100, "b"));
      ASSERT_OK(client.CreateVolume("v", daemon.folder() + "/v",
                                    VolumeOptions{.durability = Durability::kDisk}));
      ASSERT_OK(put(client, 3 + round, kLarge, "a"));
      ASSERT_OK(client.DropName("b"));
      ASSERT_OK(client.RemoveVolume("v"));
      if (round == 0 && place.generation == 2) daemon.KillEngine();
    }
    auto status = client.GetStatus();
    ASSERT_OK(status);
    EXPECT_EQ(status->generation, static_cast<uint64_t>(place.generation) + 1)
        << "it did not die there";
    EXPECT_EQ(client.GetName("a")->version, 4u);
  }
  EXPECT_EQ(daemon.log().find("set aside"), std::string::npos) << daemon.log();
  daemon.KillKeeper();
  daemon.Start();
  Client client = daemon.Connect();
  EXPECT_TRUE(HoldsPattern(client.Get("a"), 4, kLarge));
  EXPECT_EQ(client.GetName("a")->version, 4u);
  EXPECT_CODE(kNotFound, client.GetName("b"));
  EXPECT_EQ(client.ListVolumes()->size(), 1u);
  auto status = client.GetStatus();
  ASSERT_OK(status);
  EXPECT_EQ(status->set_aside, 0u);
  EXPECT_EQ(status->objects, 1u);
  ASSERT_OK(client.DropName("a"));
  EXPECT_TRUE(Eventually([&] { return client.GetStatus()->disk_bytes == 0; }));
  EXPECT_EQ(daemon.Stop(), 0);
}

std::vector<Place> DurablePlaces() {
  std::vector<Place> places;
  for (const char* name : kDurableNames) {
    places.push_back({name, 1, 1});
    places.push_back({name, 2, 1});
    places.push_back({name, 1, 2});
  }
  return places;
}

INSTANTIATE_TEST_SUITE_P(EveryPlace, DurableEngineKilledAt, ::testing::ValuesIn(DurablePlaces()),
                         NameOf);

TEST(EngineDeath, EveryPlaceInTheSourceIsTried) {
  std::set<std::string> in_source;
  const std::regex call(R"re(CrashPoint\("([a-z_.]+)"\))re");
  for (const auto& entry : fs::recursive_directory_iterator(VINEYARD_SOURCE_DIR "/src")) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".cc") || path.ends_with("_test.cc")) continue;
    std::ifstream in(entry.path());
    std::ostringstream text;
    text << in.rdbuf();
    const std::string source = text.str();
    for (std::sregex_iterator it(source.begin(), source.end(), call), end; it != end; ++it) {
      in_source.insert((*it)[1]);
    }
  }
  std::set<std::string> tried(std::begin(kNames), std::end(kNames));
  tried.insert(std::begin(kSpillingNames), std::end(kSpillingNames));
  tried.insert(std::begin(kDurableNames), std::end(kDurableNames));
  tried.insert(std::begin(kElsewhere), std::end(kElsewhere));
  EXPECT_EQ(in_source, tried);
}

}  // namespace
}  // namespace vineyard::testing
