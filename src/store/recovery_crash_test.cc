// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The engine dies inside a change: the next one finds it made or not made, and whole.
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "store/test_recovery.h"

namespace vineyard::store {
namespace {

struct Point {
  const char* name;
  bool committed;  // whoever dies there has made the change
};
void PrintTo(const Point& point, std::ostream* out) { *out << point.name; }

class CommitCrash : public RecoveryTest, public ::testing::WithParamInterface<Point> {
 protected:
  // The client repeats its request: it must get its first answer, or have to do it again.
  std::optional<layout::Answer> Repeat(uint64_t number) {
    return store().clients().Recall(machine_.client(client_), number).value();
  }
};

TEST_P(CommitCrash, APutWithANameHappenedWholeOrNotAtAll) {
  const Point point = GetParam();
  const ObjectId part = Put({.bytes = "part"});
  const ObjectId first = Put({.bytes = "1", .name = "n", .members = {part}});
  const bool died = machine_.CrashIn(point.name, [&] { Put({.bytes = "2", .name = "n"}); });
  ASSERT_TRUE(died);
  EXPECT_EQ(machine_.Restart().set_aside_count, 0u);
  machine_.CheckConsistent();
  EXPECT_EQ(Exists(first), !point.committed);
  EXPECT_EQ(Exists(part), !point.committed);
  EXPECT_EQ(volume().objects(), point.committed ? 1u : 2u);
  EXPECT_EQ(volume().FindName("n")->version, point.committed ? 2u : 1u);
  const auto answer = Repeat(3);
  ASSERT_EQ(answer.has_value(), point.committed);
  if (answer) {
    EXPECT_EQ(answer->id, volume().FindName("n")->id);
  }
}

TEST_P(CommitCrash, TheNextEngineMayDieTooAndTheOneAfterItFinishes) {
  const Point point = GetParam();
  const ObjectId first = Put({.bytes = "1", .name = "n"});
  ASSERT_TRUE(machine_.CrashIn(point.name, [&] { Put({.bytes = "2", .name = "n"}); }));
  machine_.RestartAndDie();
  machine_.Restart();
  machine_.Restart();
  machine_.CheckConsistent();
  EXPECT_EQ(Exists(first), !point.committed);
  EXPECT_EQ(Repeat(2).has_value(), point.committed);
}

class DeleteCrash : public CommitCrash {};

TEST_P(DeleteCrash, ADeepDeleteHappenedWholeOrNotAtAll) {
  const Point point = GetParam();
  const ObjectId bottom = Put({.bytes = "bottom", .large = true});
  const ObjectId middle = Put({.bytes = "middle", .members = {bottom}});
  const ObjectId top = Put({.bytes = "top", .name = "top", .members = {middle}});
  ASSERT_TRUE(machine_.CrashIn(point.name, [&] { Delete(top); })) << "never passed";
  EXPECT_EQ(machine_.Restart().set_aside_count, 0u);
  machine_.CheckConsistent();
  EXPECT_EQ(volume().entries().size(), point.committed ? 0u : 4u);
  EXPECT_EQ(volume().names().size(), point.committed ? 0u : 1u);
  EXPECT_EQ(Repeat(4).has_value(), point.committed);
  ClaimNothing();
  EXPECT_EQ(volume().usage() == 0, point.committed);
}

// What a change passes on its own account, then what every commit passes.
std::vector<Point> AndEveryCommits(std::vector<Point> points) {
  points.insert(points.end(), {{"commit.before", false},
                               {"commit.published", true},
                               {"commit.between_changes", true},
                               {"commit.between_changes:2", true},
                               {"commit.applied", true},
                               {"commit.noted", true},
                               {"commit.cleared", true}});
  return points;
}

INSTANTIATE_TEST_SUITE_P(Points, CommitCrash,
                         ::testing::ValuesIn(AndEveryCommits({{"record.written", false},
                                                              {"record.written:2", false},
                                                              {"put.staged", false}})));
// A delete writes no record.
INSTANTIATE_TEST_SUITE_P(Points, DeleteCrash,
                         ::testing::ValuesIn(AndEveryCommits({{"delete.committed", true}})));

class OtherCrash : public RecoveryTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(OtherCrash, InsideReserveOrFreeLeavesNoMemoryBehind) {
  const ObjectId kept = Put({.bytes = std::string(kMi, 'k'), .large = true});
  const uint64_t usage = volume().usage();
  const bool died = machine_.CrashIn(
      GetParam(), [&] { Delete(Put({.bytes = std::string(7 * kMi, 'x'), .large = true})); });
  ASSERT_TRUE(died) << "never passed";
  const RecoveryReport report = machine_.Restart();
  EXPECT_EQ(report.set_aside_count, 0u);
  machine_.CheckConsistent();
  // What is there: the object, or a reservation of a client that may still claim it, or nothing.
  const auto all = volume().entries();
  for (const auto& [id, entry] : all) {
    if (id != kept.value() && id != kept.own_blob().value() && !ObjectId(id).is_blob()) {
      Delete(ObjectId(id));
    }
  }
  ClaimNothing();
  EXPECT_TRUE(Exists(kept.own_blob()));
  EXPECT_LE(volume().usage(), usage);
  EXPECT_EQ(keeper().Count(HeldKind::kChunk), 1u);
  machine_.CheckConsistent();
}

INSTANTIATE_TEST_SUITE_P(Points, OtherCrash,
                         ::testing::Values("reserve.made", "reserve.between_holds",
                                           "reserve.between_holds:2", "reserve.held", "put.staged",
                                           "commit.published", "delete.committed", "free.begin",
                                           "free.keeper_dropped"));

TEST_F(RecoveryTest, CrashesUnderRandomLoadLoseNothingThatWasAnswered) {
  std::mt19937 random(1);
  const std::vector<std::string> points{
      "record.written", "commit.before", "commit.published", "commit.between_changes",
      "commit.applied", "commit.noted",  "commit.cleared"};
  for (int round = 0; round < 60; ++round) {
    const std::string point =
        points[random() % points.size()] + ":" + std::to_string(1 + random() % 20);
    const unsigned seed = static_cast<unsigned>(random());
    machine_.CrashIn(point, [&] {
      std::mt19937 child(seed);
      for (int i = 0; i < 15; ++i) {
        const std::string name = "n" + std::to_string(child() % 10);
        if (child() % 4 == 0) {
          volume().DropName(machine_.NextRequest(client_), name, {}).status().IgnoreError();
        } else if (child() % 5 == 0) {
          store().MoveSome();
        } else {
          Put({.bytes = std::string(child() % 5000, 'x'), .name = name});
        }
      }
    });
    const RecoveryReport report = machine_.Restart();
    ASSERT_EQ(report.set_aside_count, 0u) << report.set_aside[0];
    machine_.CheckConsistent();
    ASSERT_FALSE(HasFailure()) << round << " " << point;
    EXPECT_EQ(volume().objects(), volume().names().size());
    // In the child the numbers went on; here they do too.
    for (int i = 0; i < 20; ++i) machine_.NextRequest(client_);
    store().clients().Acknowledge(machine_.client(client_),
                                  machine_.NextRequest(client_).number - 1);
  }
}

}  // namespace
}  // namespace vineyard::store
