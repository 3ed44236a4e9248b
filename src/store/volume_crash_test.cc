// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The engine dies while a volume is removed: it is there or it is gone, and who asked is told once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "store/test_machine.h"

namespace vineyard::store {
namespace {

constexpr uint64_t kVolume = 2;

struct Point {
  const char* name;
  bool committed;  // whoever dies there has removed it
};
void PrintTo(const Point& point, std::ostream* out) { *out << point.name; }

class RemovalCrash : public ::testing::TestWithParam<Point> {
 protected:
  RemovalCrash() {
    EXPECT_OK(machine_.store().CreateVolume({.volume = kVolume, .name = "data"},
                                            [](const Result<Volume*>& made) { EXPECT_OK(made); }));
    machine_.Run();
    EXPECT_OK(machine_.Reserve(client_, uint64_t{3} << 20, Data()));
    EXPECT_OK(Data()->Put(machine_.NextRequest(client_),
                          {.own_size = 0, .name = "n", .id = machine_.store().NextId()}));
  }

  Volume* Data() { return machine_.store().FindVolume(kVolume); }
  Status Remove(uint64_t number) {
    return machine_.store().RemoveVolume(kVolume, &machine_.client(client_),
                                         {number, kVolume, 0, 0});
  }
  std::optional<layout::Answer> AnswerTo(uint64_t number) {
    return machine_.store().clients().Recall(machine_.client(client_), number).value();
  }

  Machine machine_;
  uint64_t client_ = machine_.AddClient();
};

TEST_P(RemovalCrash, HappenedWholeWithItsAnswerOrNotAtAll) {
  const Point point = GetParam();
  const uint64_t number = machine_.NextRequest(client_).number;
  ASSERT_TRUE(machine_.CrashIn(point.name, [&] { Remove(number).IgnoreError(); }));
  EXPECT_EQ(machine_.Restart().set_aside_count, 0u);
  EXPECT_EQ(Data() == nullptr, point.committed);
  ASSERT_EQ(AnswerTo(number).has_value(), point.committed);
  if (!point.committed) {
    EXPECT_NE(Data()->FindName("n"), nullptr);
    return;
  }
  EXPECT_EQ(AnswerTo(number)->id, kVolume);
  machine_.Run();
  for (const auto& [key, item] : machine_.keeper().items()) {
    const HeldItem& i = item.item;
    const bool by_volume = i.kind == HeldKind::kCatalog || i.kind == HeldKind::kArena;
    EXPECT_FALSE(by_volume && i.a == kVolume);
    EXPECT_FALSE(i.kind == HeldKind::kChunk && i.e == kVolume);
  }
  machine_.CheckConsistent();
}

TEST_P(RemovalCrash, TheNextEngineMayDieTooAndTheOneAfterItFinishes) {
  const Point point = GetParam();
  const uint64_t number = machine_.NextRequest(client_).number;
  ASSERT_TRUE(machine_.CrashIn(point.name, [&] { Remove(number).IgnoreError(); }));
  machine_.RestartAndDie();
  machine_.Restart();
  machine_.Restart();
  EXPECT_EQ(Data() == nullptr, point.committed);
  EXPECT_EQ(AnswerTo(number).has_value(), point.committed);
}

INSTANTIATE_TEST_SUITE_P(Points, RemovalCrash,
                         ::testing::Values(Point{"remove_volume.before", false},
                                           Point{"remove_volume.published", true},
                                           Point{"remove_volume.noted", true},
                                           Point{"remove_volume.cleared", true},
                                           Point{"free.begin", true}));

}  // namespace
}  // namespace vineyard::store
