// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Many objects in one call.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/fd.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using testing::Child;
using testing::HoldsPattern;
using testing::kLarge;
using testing::Pattern;
using testing::TestDaemon;

/// Objects of Pattern(i, size of i), as TestDaemon's checks expect them.
class Batch {
 public:
  explicit Batch(const std::vector<size_t>& sizes) {
    for (size_t i = 0; i < sizes.size(); ++i) bytes_.push_back(Pattern(i, sizes[i]));
    for (const auto& b : bytes_) builders.emplace_back("test").AddBuffer(b);
  }
  std::vector<ObjectBuilder> builders;

 private:
  std::vector<std::vector<std::byte>> bytes_;
};

std::vector<ObjectId> Values(const std::vector<Result<ObjectId>>& results) {
  std::vector<ObjectId> ids;
  for (const auto& id : results) {
    EXPECT_OK(id);
    ids.push_back(id.ok() ? *id : ObjectId());
  }
  return ids;
}

TEST(Many, AreStoredAndFoundInTheirOrder) {
  const TestDaemon daemon;
  Client client = daemon.Connect();
  std::vector<size_t> sizes;
  std::vector<std::string> names;
  for (size_t i = 0; i < 500; ++i) {
    sizes.push_back(i % 50 == 7 ? kLarge + i : i);
    names.push_back(i % 3 == 0 ? fmt::format("n{}", i) : "");
  }
  const Batch batch(sizes);
  const std::vector<ObjectId> ids = Values(client.PutMany(batch.builders, names));
  EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), sizes.size());
  const auto objects = daemon.Connect().GetMany(ids);
  ASSERT_EQ(objects.size(), ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    EXPECT_TRUE(HoldsPattern(objects[i], i, sizes[i])) << i;
    if (!names[i].empty()) {
      EXPECT_EQ(client.GetName(names[i])->id, ids[i]);
    }
  }
  EXPECT_TRUE(client.PutMany({}).empty());
  EXPECT_TRUE(client.GetMany({}).empty());
}

// Whose extents are opened a few at a time: what they take is never more than a process has from its start.
TEST(Many, ExtentsOfOneObjectNeedFewDescriptors) {
  constexpr size_t kExtents = 150;
  const TestDaemon daemon;
  Client client = daemon.Connect();
  ObjectBuilder table("table");
  for (size_t i = 0; i < kExtents; ++i) {
    auto id = testing::PutPattern(client, i, kLarge);
    ASSERT_OK(id);
    auto column = client.Get(*id);
    ASSERT_OK(column);
    table.AddBuffer(column->buffers().front());
  }
  auto id = client.Put(table);
  ASSERT_OK(id);
  for (const bool by_name : {false, true}) {
    if (by_name) {
      ASSERT_OK(client.PutName("table", *id));
    }
    Child reader([&] {
      Client own = daemon.Connect();
      if (!own.GetStatus().ok()) return 1;
      const os::UniqueFd next(::dup(0));
      rlimit few{};
      ::getrlimit(RLIMIT_NOFILE, &few);
      few.rlim_cur = static_cast<rlim_t>(next.get()) + 40;
      if (::setrlimit(RLIMIT_NOFILE, &few) != 0) return 2;
      auto object = by_name ? own.Get("table") : own.Get(*id);
      EXPECT_OK(object);
      if (!object.ok() || object->buffers().size() != kExtents) return 3;
      for (size_t i = 0; i < kExtents; ++i) {
        const auto bytes = object->buffers()[i].bytes();
        if (!std::ranges::equal(bytes, Pattern(i, kLarge))) return 4;
      }
      return 0;
    });
    EXPECT_EQ(reader.Wait(), 0);
  }
}

TEST(Many, OneThatFailsFailsAlone) {
  const TestDaemon daemon;
  Client client = daemon.Connect();
  Batch batch({10, 20, 30});
  batch.builders[1].AddMember("absent", ObjectId(12345));
  const auto ids = client.PutMany(batch.builders);
  EXPECT_CODE(kNotFound, ids[1]);
  const auto objects = client.GetMany({{*ids[0], ObjectId(12345), *ids[2]}});
  EXPECT_TRUE(HoldsPattern(objects[0], 0, 10));
  EXPECT_CODE(kNotFound, objects[1]);
  EXPECT_TRUE(HoldsPattern(objects[2], 2, 30));
  for (const auto& refused : client.PutMany(batch.builders, std::vector<std::string>(2))) {
    EXPECT_CODE(kInvalid, refused);
  }
  client.Close();
  for (const auto& refused : client.PutMany(batch.builders)) {
    EXPECT_CODE(kFailedPrecondition, refused);
  }
}

// Each has its own number, and all threads together more than may be unanswered at a time.
TEST(Many, ThreadsShareAConnectionAndEnginesDieMeanwhile) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  constexpr size_t kThreads = 4;
  constexpr size_t kEach = 600;
  const Batch batch(std::vector<size_t>(kEach, 100));
  {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] { Values(client.PutMany(batch.builders)); });
    }
    for (int i = 0; i < 3; ++i) daemon.KillEngine();
  }
  EXPECT_EQ(client.GetStatus()->objects, kThreads * kEach);
}

TEST(PutPipeline, StoresWhatIsMadeMeanwhileInOrder) {
  const TestDaemon daemon;
  Client client = daemon.Connect();
  std::vector<size_t> sizes;
  for (size_t i = 0; i < 300; ++i) sizes.push_back(i % 50 == 7 ? kLarge + i : i);
  const Batch batch(sizes);
  PutPipeline puts = client.StartPuts();
  for (size_t i = 0; i < sizes.size(); ++i) {
    puts.Add(batch.builders[i], i == 250 ? "named" : "");
    // Another request of this client between two puts, and one after 200, when answers are outstanding.
    if (i == 20 || i == 200) {
      EXPECT_OK(client.GetStatus());
    }
  }
  const std::vector<ObjectId> ids = Values(puts.Finish());
  ASSERT_EQ(ids.size(), sizes.size());
  const auto objects = client.GetMany(ids);
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_TRUE(HoldsPattern(objects[i], i, sizes[i])) << i;
  EXPECT_EQ(client.GetName("named")->id, ids[250]);
  EXPECT_TRUE(puts.Finish().empty());
}

TEST(PutPipeline, WhoNeverFinishesHasStoredAllTheSame) {
  const TestDaemon daemon;
  Client client = daemon.Connect();
  const Batch batch(std::vector<size_t>(100, 10));
  {
    PutPipeline puts = client.StartPuts();
    for (const ObjectBuilder& builder : batch.builders) puts.Add(builder);
  }
  EXPECT_EQ(client.GetStatus()->objects, 100);
}

TEST(PutPipeline, OneThatFailsFailsAlone) {
  const TestDaemon daemon;
  Client client = daemon.Connect();
  Batch batch({10, 20, 30});
  batch.builders[1].AddMember("absent", ObjectId(12345));
  PutPipeline puts = client.StartPuts();
  for (const ObjectBuilder& builder : batch.builders) puts.Add(builder);
  const auto ids = puts.Finish();
  EXPECT_OK(ids[0]);
  EXPECT_CODE(kNotFound, ids[1]);
  EXPECT_OK(ids[2]);
}

TEST(PutPipeline, GoesOnAcrossTheDeathOfAnEngineAndEndsWithItsClient) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  const Batch batch(std::vector<size_t>(120, 10));
  PutPipeline puts = client.StartPuts();
  for (size_t i = 0; i < 120; ++i) {
    puts.Add(batch.builders[i]);
    if (i == 60) daemon.KillEngine();
  }
  Values(puts.Finish());
  EXPECT_EQ(client.GetStatus()->objects, 120);
  client.Close();
  puts.Add(batch.builders[0]);
  EXPECT_CODE(kFailedPrecondition, puts.Finish().at(0));
}

// More than may be unanswered at a time are, and nobody waits for them.
TEST(PutPipeline, ThoseThatPauseDoNotHoldUpOthers) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  const Batch batch(std::vector<size_t>(200, 10));
  std::vector<PutPipeline> paused;
  for (int i = 0; i < 5; ++i) {
    paused.push_back(client.StartPuts());
    for (const ObjectBuilder& builder : batch.builders) paused.back().Add(builder);
    EXPECT_OK(client.Put(batch.builders[0]));
  }
  daemon.KillEngine();
  EXPECT_OK(client.Put(batch.builders[0]));
  for (PutPipeline& puts : paused) Values(puts.Finish());
  EXPECT_EQ(client.GetStatus()->objects, 5 * 201 + 1);
}

TEST(PutPipeline, IsTheParentsInAForkedChild) {
  const TestDaemon daemon;
  Client client = daemon.Connect();
  const Batch batch(std::vector<size_t>(20, 10));
  PutPipeline puts = client.StartPuts();
  for (size_t i = 0; i < 10; ++i) puts.Add(batch.builders[i]);
  Child child([&] {
    puts.Add(batch.builders[10]);
    const auto ids = puts.Finish();
    return ids.size() == 11 && ids[10].status().Is(StatusCode::kFailedPrecondition) ? 0 : 1;
  });
  EXPECT_EQ(child.Wait(), 0);
  for (size_t i = 10; i < 20; ++i) puts.Add(batch.builders[i]);
  EXPECT_EQ(Values(puts.Finish()).size(), 20);
  EXPECT_EQ(client.GetStatus()->objects, 20);
}

TEST(Many, WaitNoLongerThanTheirDeadline) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  daemon.PauseEngine();
  const Batch batch(std::vector<size_t>(200, 100));
  for (const auto& id : client.PutMany(batch.builders, {}, {.timeout = Timeout(50)})) {
    EXPECT_CODE(kDeadlineExceeded, id);
  }
  daemon.ResumeEngine();
  EXPECT_OK(client.Put(batch.builders[0]));
}

}  // namespace
}  // namespace vineyard
