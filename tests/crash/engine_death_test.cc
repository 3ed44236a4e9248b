// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The engine dies, at each place the source has a name for and at random: whatever was acknowledged is
// there, clients go on, and every request takes effect once.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

namespace fs = std::filesystem;
using testing::Child;
using testing::DaemonOptions;
using testing::Eventually;
using testing::HoldsPattern;
using testing::IsPattern;
using testing::Pattern;
using testing::PutPattern;
using testing::TestDaemon;

constexpr size_t kSmall = 1000;
constexpr size_t kLarge = size_t{1} << 20;
constexpr size_t kTwoChunks = size_t{3} << 20;

/// What a client that was told "done" may rely on.
struct Expected {
  struct Value {
    uint64_t seed;
    size_t size;
  };
  std::map<ObjectId, Value> objects;  // of one pattern each
  std::map<std::string, std::pair<ObjectId, uint64_t>> names;
};

struct Figures {
  uint64_t usage = 0;
  uint64_t objects = 0;
  uint64_t blobs = 0;
  uint64_t names = 0;
  uint64_t lingering = 0;
  uint64_t waiting = 0;
  auto operator<=>(const Figures&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Figures& f) {
  return out << fmt::format("usage {} objects {} blobs {} names {} lingering {} waiting {}",
                            f.usage, f.objects, f.blobs, f.names, f.lingering, f.waiting);
}

Figures FiguresOf(Client& client) {
  auto s = client.GetStatus();
  EXPECT_OK(s);
  if (!s.ok()) return {};
  return {s->memory_usage, s->objects, s->blobs, s->names, s->memory_lingering, s->waiting};
}

/// Every kind of change, one after another, each of them answered.
class Workload {
 public:
  explicit Workload(Client& client) : client_(client) {}

  void First() {
    Put(1, kSmall, "");
    for (uint64_t i = 0; i < 4; ++i) Put(10 + i, kSmall + i, "small");
    for (uint64_t i = 0; i < 3; ++i) Put(20 + i, kLarge + i, "large");
    Put(30, kTwoChunks, "two chunks");
    PutName("alias", expected.names.at("large").first);
    PutName("alias", expected.names.at("small").first);
    const ObjectId blob = MakeBlob(40, kTwoChunks);
    MakeBlob(41, kSmall);
    {
      auto given_back = client_.CreateBlob(kLarge);
      ASSERT_OK(given_back);
    }
    RefersTo(blob);
  }

  void Second() {
    const ObjectId part = Put(50, kLarge, "");
    const ObjectId small_part = Put(51, kSmall, "");
    ObjectBuilder whole("whole");
    whole.AddMember("large", part).AddMember("small", small_part);
    auto id = client_.Put(whole);
    ASSERT_OK(id);
    ASSERT_OK(client_.SetLabels(*id, {{"colour", "red"}, {"state", "first"}}));
    ASSERT_OK(client_.SetLabels(*id, {{"state", "second"}}));
    auto labelled = client_.Get(*id);
    ASSERT_OK(labelled);
    ASSERT_EQ(labelled->info().labels.size(), 2U);
    EXPECT_EQ(labelled->info().labels[1].value, "second");
    EXPECT_CODE(kFailedPrecondition, client_.Delete({part}));
    auto gone = client_.Delete({*id});
    ASSERT_OK(gone);
    EXPECT_EQ(*gone, 3U);
    expected.objects.erase(part);
    expected.objects.erase(small_part);
    Put(60, kLarge, "passing");
    Drop("passing");
    Put(61, kLarge, "large");
    Put(62, kSmall, "small");
    PutName("alias", expected.names.at("large").first);
    const ObjectId plain = Put(63, kTwoChunks, "");
    EXPECT_CODE(kConflict, client_.DropName("small", {.timeout = {}, .if_version = 1}));
    auto one = client_.Delete({plain});
    ASSERT_OK(one);
    EXPECT_EQ(*one, 1U);
    expected.objects.erase(plain);
  }

  void Check(Client& client) const {
    for (const auto& [id, value] : expected.objects) {
      EXPECT_TRUE(HoldsPattern(client.Get(id), value.seed, value.size)) << id.ToString();
    }
    for (const auto& [name, what] : expected.names) {
      auto info = client.GetName(name);
      ASSERT_OK(info) << name;
      EXPECT_EQ(info->id, what.first) << name;
      EXPECT_EQ(info->version, what.second) << name;
    }
    for (const auto& [id, value] : blobs_) {
      auto blob = client.GetBlob(id);
      ASSERT_OK(blob) << id.ToString();
      EXPECT_EQ(blob->size(), value.size);
      EXPECT_TRUE(IsPattern(blob->bytes(), value.seed)) << id.ToString();
    }
    auto names = client.ListNames();
    ASSERT_OK(names);
    EXPECT_EQ(names->size(), expected.names.size());
    auto objects = client.List({.limit = SIZE_MAX, .include_parts = true});
    ASSERT_OK(objects);
    const auto blobs =
        std::ranges::count_if(*objects, [](const auto& o) { return o.id.is_blob(); });
    EXPECT_EQ(objects->size() - static_cast<size_t>(blobs), expected.objects.size() + referring_);
  }

  void DeleteAll() {
    auto objects = client_.List({.limit = SIZE_MAX, .include_parts = true});
    ASSERT_OK(objects);
    std::vector<ObjectId> ids;
    for (const ObjectInfo& info : *objects) ids.push_back(info.id);
    ASSERT_OK(client_.Delete(ids, {.force = true}));
    for (const auto& [id, value] : blobs_) {
      const Status s = client_.Delete({id}).status();
      EXPECT_TRUE(s.ok() || s.Is(StatusCode::kNotFound)) << s.ToString();
    }
  }

  Expected expected;

 private:
  ObjectId Put(uint64_t seed, size_t size, const std::string& name) {
    auto id = PutPattern(client_, seed, size, name);
    EXPECT_OK(id);
    if (!id.ok()) return {};
    if (!name.empty()) {
      auto& entry = expected.names[name];
      if (entry.second > 0) Release(entry.first, name);
      entry = {*id, entry.second + 1};
    }
    expected.objects[*id] = {seed, size};
    return *id;
  }
  // The name goes elsewhere: the object goes unless another name has it.
  void Release(ObjectId id, const std::string& name) {
    const bool kept = std::ranges::any_of(expected.names, [&](const auto& entry) {
      return entry.first != name && entry.second.first == id;
    });
    if (!kept) expected.objects.erase(id);
  }
  void PutName(const std::string& name, ObjectId id) {
    auto version = client_.PutName(name, id);
    ASSERT_OK(version);
    auto& entry = expected.names[name];
    EXPECT_EQ(*version, entry.second + 1);
    if (entry.second > 0 && entry.first != id) Release(entry.first, name);
    entry = {id, *version};
  }
  void Drop(const std::string& name) {
    ASSERT_OK(client_.DropName(name));
    Release(expected.names.at(name).first, name);
    expected.names.erase(name);
  }
  ObjectId MakeBlob(uint64_t seed, size_t size) {
    auto blob = client_.CreateBlob(size);
    EXPECT_OK(blob);
    if (!blob.ok()) return {};
    std::ranges::copy(Pattern(seed, size), blob->data());
    auto sealed = client_.Seal(std::move(*blob));
    EXPECT_OK(sealed);
    if (!sealed.ok()) return {};
    blobs_[sealed->id()] = {seed, size};
    return sealed->id();
  }
  void RefersTo(ObjectId id) {
    auto blob = client_.GetBlob(id);
    ASSERT_OK(blob);
    ObjectBuilder view("view");
    view.AddBuffer(blob->Slice(64, 100)).AddBuffer(blob->Slice(0, kLarge));
    ASSERT_OK(client_.Put(view));
    ++referring_;
  }

  Client& client_;
  std::map<ObjectId, Expected::Value> blobs_;
  size_t referring_ = 0;
};

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

// ---- at each named place

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
                                  "free.begin",
                                  "free.keeper_dropped",
                                  "recovery.before_serving",
                                  "recovery.serving"};

std::vector<Place> AllPlaces() {
  std::vector<Place> places;
  for (const char* name : kNames) {
    places.push_back({name, 1, 1});
    places.push_back({name, 1, 2});
    if (std::string_view(name).starts_with("recovery")) continue;  // passed once
    places.push_back({name, 2, 1});
    places.push_back({name, 2, 2});
    for (int i = 3; i < 3 * testing::Scale(); ++i) places.push_back({name, i, 1});
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
  EXPECT_EQ(in_source, std::set<std::string>(std::begin(kNames), std::end(kNames)));
}

// ---- at random

// One process that puts, re-points, reads and deletes, and knows what it must find. Its exit code is 0
// if it did.
int WorkUntil(const std::string& socket, uint64_t who, const std::function<bool()>& enough) {
  auto connected = Client::Connect(socket);
  if (!connected.ok()) return 2;
  Client client = std::move(*connected);
  std::mt19937_64 random(who);
  struct Held {
    uint64_t seed;
    size_t size;
  };
  std::map<ObjectId, Held> objects;
  std::map<std::string, std::pair<uint64_t, Held>> names;  // version, what
  const auto fail = [&](const char* what, const Status& s) {
    fmt::print(stderr, "process {}: {}: {}\n", who, what, s.ToString());
    return 1;
  };
  constexpr size_t kSizes[] = {100, 5000, 200'000, 300'000, 1'500'000};
  uint64_t seed = who << 32;
  uint64_t rounds = 0;
  while (!enough()) {
    ++rounds;
    const size_t size = kSizes[random() % std::size(kSizes)];
    switch (random() % 5) {
      case 0: {
        auto id = PutPattern(client, ++seed, size);
        if (!id.ok()) return fail("put", id.status());
        if (!objects.emplace(*id, Held{seed, size}).second) return fail("an id came twice", {});
        break;
      }
      case 1: {
        const std::string name = fmt::format("{}/{}", who, random() % 4);
        auto id = PutPattern(client, ++seed, size, name);
        if (!id.ok()) return fail("put with a name", id.status());
        auto info = client.GetName(name);
        if (!info.ok()) return fail("get name", info.status());
        auto& entry = names[name];
        if (info->id != *id || info->version != entry.first + 1) {
          fmt::print(stderr, "{}: version {} after {}\n", name, info->version, entry.first);
          return fail("a put with a name took effect not once", {});
        }
        entry = {info->version, {seed, size}};
        break;
      }
      case 2: {
        if (objects.empty()) break;
        auto it = std::next(objects.begin(), static_cast<ptrdiff_t>(random() % objects.size()));
        auto gone = client.Delete({it->first});
        if (!gone.ok()) return fail("delete", gone.status());
        objects.erase(it);
        break;
      }
      case 3: {
        if (objects.empty()) break;
        auto it = std::next(objects.begin(), static_cast<ptrdiff_t>(random() % objects.size()));
        auto object = client.Get(it->first);
        if (!object.ok()) return fail("get", object.status());
        if (!HoldsPattern(object, it->second.seed, it->second.size)) return fail("wrong bytes", {});
        break;
      }
      default: {
        if (names.empty()) break;
        auto it = std::next(names.begin(), static_cast<ptrdiff_t>(random() % names.size()));
        auto object = client.Get(it->first);
        if (!object.ok()) return fail("get by name", object.status());
        const Held& held = it->second.second;
        if (!HoldsPattern(object, held.seed, held.size)) return fail("wrong bytes by name", {});
      }
    }
    while (objects.size() > 12) {
      auto gone = client.Delete({objects.begin()->first});
      if (!gone.ok()) return fail("delete", gone.status());
      objects.erase(objects.begin());
    }
  }
  for (const auto& [id, held] : objects) {
    if (!HoldsPattern(client.Get(id), held.seed, held.size))
      return fail("wrong bytes at the end", {});
    auto gone = client.Delete({id});
    if (!gone.ok() || *gone != 1) return fail("delete at the end", gone.status());
  }
  auto left = client.ListNames({.pattern = fmt::format("{}/", who), .prefix = true});
  if (!left.ok() || left->size() != names.size())
    return fail("other names than put", left.status());
  for (const auto& [name, entry] : names) {
    if (!HoldsPattern(client.Get(name), entry.second.seed, entry.second.size)) {
      return fail("wrong bytes by name at the end", {});
    }
    if (Status s = client.DropName(name); !s.ok()) return fail("drop name", s);
  }
  return rounds > 0 ? 0 : 3;
}

TEST(EngineDeath, AtRandomUnderLoadLosesAndRepeatsNothing) {
  TestDaemon daemon({.size = "1Gi"});
  const int kills = 12 * testing::Scale();
  constexpr int kProcesses = 4;
  const std::string stop = daemon.folder() + "/stop";
  uint64_t at_start = 0;
  {
    Client client = daemon.Connect();
    at_start = FiguresOf(client).usage;
  }
  std::vector<Child> children;
  for (uint64_t who = 1; who <= kProcesses; ++who) {
    children.emplace_back(
        [&] { return WorkUntil(daemon.socket(), who, [&] { return fs::exists(stop); }); });
  }
  std::mt19937 random(7);
  for (int i = 0; i < kills; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 150));
    daemon.KillEngine();
  }
  std::ofstream(stop).close();
  for (Child& child : children) EXPECT_EQ(child.Wait(), 0);
  Client client = daemon.Connect();
  Figures now;
  EXPECT_TRUE(Eventually([&] { return (now = FiguresOf(client)) == Figures{.usage = at_start}; }))
      << now;
  auto status = client.GetStatus();
  ASSERT_OK(status);
  EXPECT_GT(status->generation, static_cast<uint64_t>(kills) / 2);
  EXPECT_EQ(daemon.log().find("set aside"), std::string::npos) << daemon.log();
  EXPECT_EQ(daemon.Stop(), 0);
}

TEST(EngineDeath, ManyRestartsLeaveNoTrail) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  ASSERT_OK(PutPattern(client, 1, kSmall, "small"));
  ASSERT_OK(PutPattern(client, 2, kLarge, "large"));
  daemon.KillEngine();
  ASSERT_OK(client.GetStatus());
  const auto settle = [&] {
    uint64_t held = 0;
    int same = 0;
    Eventually([&] {
      const uint64_t now = client.GetStatus().value().memory_held;
      same = now == held ? same + 1 : 0;
      held = now;
      return same > 3;
    });
    return held;
  };
  const uint64_t after_one = settle();
  for (int i = 0; i < 20 * testing::Scale(); ++i) {
    daemon.KillEngine();
    ASSERT_TRUE(HoldsPattern(client.Get("small"), 1, kSmall));
    ASSERT_TRUE(HoldsPattern(client.Get("large"), 2, kLarge));
  }
  EXPECT_EQ(settle(), after_one);
  size_t keeper_fds = 0;
  for ([[maybe_unused]] const auto& fd :
       fs::directory_iterator(fmt::format("/proc/{}/fd", daemon.keeper()))) {
    ++keeper_fds;
  }
  EXPECT_LT(keeper_fds, 64U);
}

TEST(EngineDeath, AWriterKeepsWhatItReservedAndGoesOn) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  auto large = client.CreateBlob(kTwoChunks);
  ASSERT_OK(large);
  auto small = client.CreateBlob(kSmall);
  ASSERT_OK(small);
  std::ranges::copy(Pattern(1, kTwoChunks), large->data());
  daemon.KillEngine();
  std::ranges::copy(Pattern(2, kSmall), small->data());
  auto sealed_large = client.Seal(std::move(*large));
  ASSERT_OK(sealed_large);
  daemon.KillEngine();
  auto sealed_small = client.Seal(std::move(*small));
  ASSERT_OK(sealed_small);
  EXPECT_TRUE(IsPattern(sealed_large->bytes(), 1));
  EXPECT_TRUE(IsPattern(sealed_small->bytes(), 2));
  auto again = daemon.Connect().GetBlob(sealed_large->id());
  ASSERT_OK(again);
  EXPECT_TRUE(IsPattern(again->bytes(), 1));
}

TEST(EngineDeath, AWaitForANameGoesOn) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  std::atomic<bool> waits{false};
  std::thread waiter([&] {
    Client mine = daemon.Connect();
    waits = true;
    EXPECT_TRUE(HoldsPattern(mine.Get("late", {.wait = true}), 5, kLarge));
  });
  while (!waits) std::this_thread::yield();
  EXPECT_TRUE(Eventually([&] { return FiguresOf(client).waiting == 1; }));
  daemon.KillEngine();
  EXPECT_TRUE(Eventually([&] { return FiguresOf(client).waiting == 1; }));
  EXPECT_OK(PutPattern(client, 5, kLarge, "late"));
  waiter.join();
}

TEST(EngineDeath, ManyThreadsOfOneClientGoOn) {
  TestDaemon daemon({.size = "1Gi"});
  Client client = daemon.Connect();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      uint64_t version = 0;
      const std::string name = fmt::format("thread {}", t);
      while (!stop) {
        const size_t size = version % 3 == 0 ? kLarge : kSmall;
        auto id = PutPattern(client, version + t, size, name);
        ASSERT_OK(id);
        ++version;
        auto info = client.GetName(name);
        ASSERT_OK(info);
        ASSERT_EQ(info->version, version);
        ASSERT_EQ(info->id, *id);
        ASSERT_TRUE(HoldsPattern(client.Get(name), version - 1 + t, size));
      }
    });
  }
  for (int i = 0; i < 8 * testing::Scale(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    daemon.KillEngine();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(FiguresOf(client).objects, threads.size());
}

}  // namespace
}  // namespace vineyard
