// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The engine dies, or everything does, at each step of a durable change: what was acknowledged before is there,
// and the change has happened whole or not at all, with its files.
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "store/test_durable.h"

namespace vineyard::store {
namespace {

enum class Death { kEngine, kEverything };

class DurableCrash : public DurableTest,
                     public ::testing::WithParamInterface<std::tuple<const char*, Death>> {
 protected:
  static const char* Point() { return std::get<0>(GetParam()); }
  RecoveryReport After() {
    if (std::get<1>(GetParam()) == Death::kEverything) return ColdStart();
    RecoveryReport report = machine_->Restart();
    Run();
    machine_->CheckConsistent();
    return report;
  }
  // Files are those of what there is, and it is what another machine finds.
  void ExpectExactly(size_t extents, size_t entries, size_t names) {
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(store().mirror()->not_on_disk(), 0u);
      EXPECT_EQ(Count(kExtentFile), extents);
      EXPECT_EQ(Count(kEntryFile), entries);
      EXPECT_EQ(Count(kNameFile), names);
      EXPECT_EQ(Files(), extents + entries + names);
      EXPECT_EQ(volume().names().size(), names);
      EXPECT_EQ(ColdStart().restored.set_aside, 0u);
    }
  }
};

class PuttingCrash : public DurableCrash {};

TEST_P(PuttingCrash, TheNameHasItsFormerObjectOrTheNewOneWhole) {
  const ObjectId kept = PutDurable({.bytes = "kept", .name = "k"});
  const ObjectId former = PutDurable({.bytes = Bytes(1, 3 * kMi), .name = "n", .large = true});
  const ObjectId part = ObjectId(machine_->Put(client_, {.bytes = "part"})->id);
  const TestObject fresh{
      .bytes = Bytes(2, 3 * kMi), .name = "n", .members = {part}, .large = true, .durable = true};
  ASSERT_TRUE(machine_->CrashIn(Point(), [&] {
    machine_->Put(client_, fresh).status().IgnoreError();
  })) << "never passed";
  EXPECT_EQ(After().set_aside_count, 0u);
  EXPECT_EQ(SmallBytes(kept), "kept");
  const NameEntry* name = volume().FindName("n");
  ASSERT_NE(name, nullptr);
  const bool happened = name->version == 2;
  const ObjectId object(name->id);
  EXPECT_EQ(object == former, !happened);
  EXPECT_EQ(Exists(former), !happened);
  ExpectBytes(object.own_blob(), happened ? 2 : 1, 3 * kMi);
  // In memory only, the part may be there without the whole.
  EXPECT_EQ(SmallBytes(part), Exists(part) ? "part" : "nothing");
  const bool part_is_durable = Exists(part) && volume().IsDurable(volume().Find(part)->ref);
  EXPECT_TRUE(part_is_durable || !happened);
  ExpectExactly(1, part_is_durable ? 4 : 3, 2);
}

INSTANTIATE_TEST_SUITE_P(
    EveryPlace, PuttingCrash,
    ::testing::Combine(::testing::Values("spill.made", "spill.block_written", "spill.head_written",
                                         "spill.named", "secure.written", "spill.synced_again",
                                         "secure.synced", "commit.before", "commit.published",
                                         "commit.between_changes:3", "commit.noted",
                                         "commit.cleared", "mirror.begun", "spill.synced:2",
                                         "spill.named:2", "spill.named:3", "spill.kept",
                                         "mirror.entry_written", "mirror.entry_written:2",
                                         "mirror.entry_written:3", "mirror.entries_written",
                                         "spill.kept:4", "mirror.name_written",
                                         "mirror.names_written", "spill.removed", "spill.removed:2",
                                         "spill.removed:3", "mirror.removed"),
                       ::testing::Values(Death::kEngine, Death::kEverything)));

class EndingCrash : public DurableCrash {};

TEST_P(EndingCrash, AnObjectIsThereWithItsNameOrIsGoneWithAllItsFiles) {
  const ObjectId kept = PutDurable({.bytes = "kept", .name = "k"});
  const ObjectId goes = PutDurable({.bytes = Bytes(1, 3 * kMi), .name = "n", .large = true});
  ASSERT_TRUE(machine_->CrashIn(Point(), [&] { Drop("n").status().IgnoreError(); }))
      << "never passed";
  EXPECT_EQ(After().set_aside_count, 0u);
  EXPECT_EQ(SmallBytes(kept), "kept");
  const bool stays = Exists(goes);
  EXPECT_EQ(volume().FindName("n") != nullptr, stays);
  if (stays) ExpectBytes(goes.own_blob(), 1, 3 * kMi);
  ExpectExactly(stays ? 1 : 0, stays ? 3 : 1, stays ? 2 : 1);
}

INSTANTIATE_TEST_SUITE_P(
    EveryPlace, EndingCrash,
    ::testing::Combine(::testing::Values("commit.published", "commit.cleared", "mirror.begun",
                                         "mirror.names_written", "spill.removed", "spill.removed:2",
                                         "spill.removed:3", "spill.removed:4", "mirror.removed"),
                       ::testing::Values(Death::kEngine, Death::kEverything)));

class RemovingVolumeCrash : public DurableCrash {};

TEST_P(RemovingVolumeCrash, ItIsThereWithAllThatIsInItOrGone) {
  AddVolume(2, "data");
  Volume* data = store().FindVolume(2);
  for (const char* name : {"a", "b"}) {
    ASSERT_OK(machine_->AwaitDisk(
        data->Put(machine_->NextRequest(client_), {.bytes = std::as_bytes(std::span("xyz", 3)),
                                                   .own_size = 3,
                                                   .name = name,
                                                   .id = store().NextId(),
                                                   .durable = true})));
  }
  ASSERT_TRUE(machine_->CrashIn(Point(), [&] {
    store().RemoveVolume(2, nullptr, {}).IgnoreError();
  })) << "never passed";
  EXPECT_EQ(After().set_aside_count, 0u);
  data = store().FindVolume(2);
  EXPECT_EQ(Files(), data != nullptr ? 5u : 0u);
  for (int i = 0; i < 2; ++i) {
    if (data == nullptr) {
      EXPECT_EQ(store().FindVolume(2), nullptr);
    } else {
      data = store().FindVolume(2);
      ASSERT_NE(data, nullptr);
      EXPECT_EQ(data->names().size(), 2u);
      EXPECT_EQ(data->entries().size(), 2u);
    }
    EXPECT_EQ(ColdStart().restored.set_aside, 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(
    EveryPlace, RemovingVolumeCrash,
    ::testing::Combine(::testing::Values("remove_volume.before", "remove_volume.published",
                                         "remove_volume.cleared", "mirror.begun",
                                         "spill.head_written", "spill.named",
                                         "mirror.volumes_written", "spill.removed",
                                         "spill.removed:3", "spill.removed:5", "mirror.removed"),
                       ::testing::Values(Death::kEngine, Death::kEverything)));

// The one that brings things back dies as well.
TEST_F(DurableTest, AnEngineThatDiesWhileItBringsThingsBackIsFollowedByOneThatDoes) {
  const ObjectId id = PutDurable({.bytes = Bytes(1, 3 * kMi), .name = "n", .large = true});
  machine_->Kill();
  machine_->keeper().Clear();
  machine_->RestartAndDie();
  machine_->Restart();
  client_ = machine_->AddClient();
  Run();
  EXPECT_EQ(volume().FindName("n")->id, id.value());
  ExpectBytes(id.own_blob(), 1, 3 * kMi);
}

}  // namespace
}  // namespace vineyard::store
