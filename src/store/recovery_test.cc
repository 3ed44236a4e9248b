// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What the next engine finds again, and what it frees.
#include "store/recovery.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/mapping.h"
#include "os/memfd.h"
#include "store/test_recovery.h"

namespace vineyard::store {
namespace {

TEST_F(RecoveryTest, EverythingIsThereAgain) {
  const ObjectId part = Put({.bytes = "part"});
  const ObjectId whole = Put({.bytes = "whole", .name = "n", .members = {part}});
  const ObjectId large = Put({.bytes = std::string(3 * kMi, 'x'), .name = "large", .large = true});
  const ObjectId blob(machine_.PutBlob(client_, "bytes", "b")->id);
  Put({.bytes = "second", .name = "twice"});
  const ObjectId twice = Put({.bytes = "third", .name = "twice"});
  const uint64_t usage = volume().usage();
  const RecoveryReport report = machine_.Restart();
  EXPECT_EQ(report.set_aside_count, 0u);
  EXPECT_EQ(report.volumes, 1u);
  EXPECT_EQ(report.objects, 4u);
  EXPECT_EQ(report.names, 4u);
  EXPECT_EQ(report.clients, 1u);
  for (const ObjectId id : {part, whole, large, blob, twice}) {
    EXPECT_TRUE(Exists(id));
    EXPECT_TRUE(machine_.Read(id).has_value());
  }
  EXPECT_EQ(volume().FindName("twice")->version, 2u);
  EXPECT_EQ(machine_.ReadName("twice")->fields().version, 2u);
  EXPECT_LE(volume().usage(), usage);
  const Extent* extent = store().FindExtent(large.own_blob());
  ASSERT_NE(extent, nullptr);
  ASSERT_OK_AND_ASSIGN(
      const auto mapping,
      os::Mapping::Open(extent->chunks[0].fd, extent->chunks[0].size, os::Access::kRead));
  EXPECT_EQ(mapping.data()[2 * kMi - 1], std::byte{'x'});
  machine_.CheckConsistent();
  // Who owned what is known too.
  for (const char* name : {"n", "large", "b", "twice"}) {
    ASSERT_OK(volume().DropName(machine_.NextRequest(client_), name, {}));
  }
  machine_.Run();
  EXPECT_EQ(volume().usage(), 0u);
}

TEST_F(RecoveryTest, AnswersThatWereNotAcknowledgedAreCarriedOver) {
  std::vector<layout::Answer> answers;
  for (int i = 0; i < 5; ++i) answers.push_back(machine_.Put(client_, {.bytes = "x"}).value());
  store().clients().Acknowledge(machine_.client(client_), 2);
  machine_.Restart();
  machine_.Restart();
  const ClientState& client = machine_.client(client_);
  EXPECT_FALSE(client.claimed);
  EXPECT_EQ(client.pid, 42u);
  EXPECT_CODE(kProtocol, store().clients().Recall(client, 2));
  for (uint64_t n = 3; n <= 5; ++n) {
    ASSERT_OK_AND_ASSIGN(const auto answer, store().clients().Recall(client, n));
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->id, answers[n - 1].id);
  }
  EXPECT_FALSE(store().clients().Recall(client, 6).value().has_value());
}

TEST_F(RecoveryTest, WhatADeadClientHadReservedIsFreed) {
  const uint64_t dead = machine_.AddClient(Machine::EndedProcess());
  ASSERT_OK(machine_.Reserve(dead, 3 * kMi));
  ASSERT_OK(machine_.Reserve(client_, 5 * kMi));
  const RecoveryReport report = machine_.Restart();
  EXPECT_EQ(report.freed_extents, 1u);
  EXPECT_EQ(report.reservations, 1u);
  EXPECT_EQ(report.clients, 1u);
  EXPECT_EQ(volume().usage(), 5 * kMi);
  EXPECT_EQ(machine_.client(client_).reservations.size(), 1u);
  EXPECT_EQ(keeper().Count(HeldKind::kClient), 1u);
  machine_.CheckConsistent();
  ClaimNothing();
  EXPECT_EQ(volume().usage(), 0u);
  EXPECT_EQ(keeper().Count(HeldKind::kChunk), 0u);
}

TEST_F(RecoveryTest, AnExtentOfWhichAChunkIsMissingIsFreed) {
  ASSERT_OK_AND_ASSIGN(const Extent* extent, machine_.Reserve(client_, 7 * kMi));
  ASSERT_GT(extent->chunks.size(), 1u);
  keeper().Remove(HeldKind::kChunk, extent->blob.value(), 1);
  const RecoveryReport report = machine_.Restart();
  EXPECT_EQ(report.freed_extents, 1u);
  EXPECT_EQ(volume().usage(), 0u);
  EXPECT_EQ(keeper().Count(HeldKind::kChunk), 0u);
}

TEST_F(RecoveryTest, APublishedExtentOfWhichAChunkIsMissingIsSetAsideNotServed) {
  const ObjectId id = Put({.bytes = std::string(7 * kMi, 'x'), .large = true});
  keeper().Remove(HeldKind::kChunk, id.own_blob().value(), 1);
  const RecoveryReport report = machine_.Restart();
  EXPECT_EQ(report.set_aside_count, 1u);
  EXPECT_FALSE(Exists(id.own_blob()));
  machine_.CheckConsistent();
  EXPECT_EQ(keeper().Count(HeldKind::kChunk), 0u);
}

TEST_F(RecoveryTest, AnExtentThatIsNotSealedIsNeverServed) {
  const ObjectId id = Put({.bytes = "large", .large = true});
  HeldMemory* chunk = keeper().Find(HeldKind::kChunk, id.own_blob().value(), 0);
  ASSERT_NE(chunk, nullptr);
  chunk->fd = os::CreateMemfd("loose", chunk->item.c).value();
  EXPECT_EQ(machine_.Restart().set_aside_count, 1u);
  EXPECT_FALSE(Exists(id.own_blob()));
}

// ---- engines that die again and again

TEST_F(RecoveryTest, AnEngineThatDiesWhileTakingOverChangesNothing) {
  const ObjectId id = Put({.bytes = "x", .name = "n"});
  const ObjectId large = Put({.bytes = "large", .large = true});
  for (int i = 0; i < 5; ++i) {
    machine_.RestartAndDie();
    machine_.RestartAndDie();
    const RecoveryReport report = machine_.Restart();
    EXPECT_EQ(report.set_aside_count, 0u);
    EXPECT_TRUE(Exists(id));
    EXPECT_TRUE(Exists(large.own_blob()));
    EXPECT_EQ(machine_.ReadName("n")->fields().value, id.value());
    EXPECT_EQ(keeper().Count(HeldKind::kLedger), 1u);
    EXPECT_EQ(keeper().Count(HeldKind::kCatalog), 1u);
  }
}

TEST_F(RecoveryTest, AHundredGenerationsLeaveNoTrail) {
  std::vector<ObjectId> ids;
  for (int i = 0; i < 200; ++i) ids.push_back(Put({.bytes = std::string(500, 'x')}));
  ids.push_back(Put({.bytes = "large", .name = "large", .large = true}));
  machine_.Restart();
  while (store().MoveSome()) machine_.Run();
  const uint64_t held = store().budget().held();
  const uint64_t usage = volume().usage();
  const size_t items = keeper().items().size();
  for (int generation = 0; generation < 100; ++generation) {
    machine_.Restart();
    Delete(ids[static_cast<size_t>(generation)]);
    ids.push_back(Put({.bytes = std::string(500, 'x')}));
    ids[static_cast<size_t>(generation)] = ids.back();
    ids.pop_back();
    while (store().MoveSome()) machine_.Run();
  }
  for (const ObjectId id : ids) ASSERT_TRUE(machine_.Read(id).has_value());
  EXPECT_EQ(store().budget().held(), held);
  EXPECT_EQ(volume().usage(), usage);
  EXPECT_EQ(keeper().items().size(), items);
  machine_.CheckConsistent();
}

// Each engine dies before it has moved anything; the arenas of all of them are there, then go.
TEST_F(RecoveryTest, ACrashLoopsArenasAreEmptiedInTheEnd) {
  std::vector<ObjectId> ids;
  for (int i = 0; i < 50; ++i) {
    ids.push_back(Put({.bytes = "x", .name = "n" + std::to_string(i)}));
    machine_.Restart();
  }
  EXPECT_EQ(volume().objects(), 50u);
  while (store().MoveSome()) machine_.Run();
  machine_.Run();
  EXPECT_LE(keeper().Count(HeldKind::kArena), 2u);
  for (const ObjectId id : ids) EXPECT_TRUE(machine_.Read(id).has_value());
  machine_.CheckConsistent();
}

TEST_F(RecoveryTest, ArenasOfWhatWasDeletedAreNotKept) {
  const ObjectId id = Put({.bytes = "x"});
  Delete(id);
  machine_.Restart();
  machine_.Run();
  EXPECT_EQ(keeper().Count(HeldKind::kArena), 0u);
}

TEST_F(RecoveryTest, AVolumeThatWasBeingMadeOrRemovedIsNotThere) {
  ASSERT_OK(store().CreateVolume({.volume = 2, .name = "half"}, [](Result<Volume*>) {}));
  EXPECT_EQ(machine_.Restart().volumes, 1u);
  EXPECT_EQ(store().FindVolume(2), nullptr);
  ASSERT_OK(
      store().CreateVolume({.volume = 2, .name = "data", .hash_seed = 1}, [](Result<Volume*>) {}));
  machine_.Run();
  store().FindVolume(2)->catalog().MarkRemoved();
  EXPECT_EQ(machine_.Restart().volumes, 1u);
  EXPECT_EQ(keeper().Count(HeldKind::kCatalog), 1u);
}

TEST_F(RecoveryTest, VolumesKeepTheirNamesQuotasAndObjectsApart) {
  ASSERT_OK(store().CreateVolume({.volume = 2, .name = "data", .quota = 10 * kMi, .hash_seed = 1},
                                 [](Result<Volume*>) {}));
  machine_.Run();
  const ObjectId one = Put({.bytes = "1", .name = "n"});
  ASSERT_OK_AND_ASSIGN(
      const auto two,
      store().FindVolume(2)->Put({}, {.own_size = 0, .name = "n", .id = store().NextId()}));
  EXPECT_EQ(machine_.Restart().volumes, 2u);
  Volume* data = store().FindVolume("data");
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->quota(), 10 * kMi);
  EXPECT_EQ(data->FindName("n")->id, two.id);
  EXPECT_EQ(volume().FindName("n")->id, one.value());
  EXPECT_GT(store().NextVolumeId(), 2u);
  machine_.CheckConsistent(*data);
}

}  // namespace
}  // namespace vineyard::store
