// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The engine is killed at random while several processes work: none of them finds anything but what it
// has been told.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "crash/workload.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {
namespace {

namespace fs = std::filesystem;

// One process that puts, re-points, reads and deletes, and knows what it must find. Each step is false
// where it found something else, and has said what.
class Worker {
 public:
  Worker(Client client, uint64_t who) : client_(std::move(client)), who_(who), random_(who) {}

  bool Step() {
    bool good = false;
    switch (random_() % 5) {
      case 0: good = Put(); break;
      case 1: good = PutWithAName(); break;
      case 2: good = Delete(); break;
      case 3: good = Get(); break;
      default: good = GetByName();
    }
    while (good && objects_.size() > 12) good = DeleteAt(objects_.begin());
    return good;
  }

  bool TakeAllAway() {
    while (!objects_.empty()) {
      const auto it = objects_.begin();
      if (!Holds(client_.Get(it->first), it->second) || !DeleteAt(it)) return false;
    }
    auto left = client_.ListNames({.pattern = fmt::format("{}/", who_), .prefix = true});
    if (!left.ok() || left->size() != names_.size())
      return Fail("other names than put", left.status());
    for (const auto& [name, entry] : names_) {
      if (!Holds(client_.Get(name), entry.value)) return false;
      if (const Status s = client_.DropName(name); !s.ok()) return Fail("drop name", s);
    }
    return true;
  }

 private:
  struct Held {
    uint64_t seed;
    size_t size;
  };
  struct Named {
    uint64_t version = 0;
    Held value{};
  };
  using Objects = std::map<ObjectId, Held>;

  [[nodiscard]] bool Fail(const char* what, const Status& s) const {
    fmt::print(stderr, "process {}: {}: {}\n", who_, what, s.ToString());
    return false;
  }
  [[nodiscard]] bool Holds(const Result<Object>& object, const Held& held) const {
    if (!object.ok()) return Fail("get", object.status());
    return HoldsPattern(object, held.seed, held.size) || Fail("wrong bytes", {});
  }
  auto Any(auto& of) {
    return std::next(of.begin(), static_cast<ptrdiff_t>(random_() % of.size()));
  }
  Held Next() {
    constexpr size_t kSizes[] = {100, 5000, 200'000, 300'000, 1'500'000};
    return {++seed_, kSizes[random_() % std::size(kSizes)]};
  }

  bool Put() {
    const Held held = Next();
    auto id = PutPattern(client_, held.seed, held.size);
    if (!id.ok()) return Fail("put", id.status());
    return objects_.emplace(*id, held).second || Fail("an id came twice", {});
  }
  bool PutWithAName() {
    const std::string name = fmt::format("{}/{}", who_, random_() % 4);
    const Held held = Next();
    auto id = PutPattern(client_, held.seed, held.size, name);
    if (!id.ok()) return Fail("put with a name", id.status());
    auto info = client_.GetName(name);
    if (!info.ok()) return Fail("get name", info.status());
    Named& entry = names_[name];
    if (info->id != *id || info->version != entry.version + 1) {
      fmt::print(stderr, "{}: version {} after {}\n", name, info->version, entry.version);
      return Fail("a put with a name took effect not once", {});
    }
    entry = {info->version, held};
    return true;
  }
  bool Delete() { return objects_.empty() || DeleteAt(Any(objects_)); }
  bool DeleteAt(Objects::iterator it) {
    auto gone = client_.Delete({it->first});
    if (!gone.ok() || *gone != 1) return Fail("delete", gone.status());
    objects_.erase(it);
    return true;
  }
  bool Get() {
    if (objects_.empty()) return true;
    const auto it = Any(objects_);
    return Holds(client_.Get(it->first), it->second);
  }
  bool GetByName() {
    if (names_.empty()) return true;
    const auto it = Any(names_);
    return Holds(client_.Get(it->first), it->second.value);
  }

  Client client_;
  uint64_t who_;
  std::mt19937_64 random_;
  uint64_t seed_ = who_ << 32;
  Objects objects_;
  std::map<std::string, Named> names_;
};

// What the process runs; its exit code is 0 if all was well.
int WorkUntil(const std::string& socket, uint64_t who, const std::function<bool()>& enough) {
  auto connected = Client::Connect(socket);
  if (!connected.ok()) return 2;
  Worker worker(std::move(*connected), who);
  uint64_t steps = 0;
  for (; !enough(); ++steps) {
    if (!worker.Step()) return 1;
  }
  if (!worker.TakeAllAway()) return 1;
  return steps > 0 ? 0 : 3;
}

TEST(EngineDeath, AtRandomUnderLoadLosesAndRepeatsNothing) {
  TestDaemon daemon({.size = "1Gi"});
  const int kills = 12 * Scale();
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

}  // namespace
}  // namespace vineyard::testing
