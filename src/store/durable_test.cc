// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What is durable is there again after everything has died, and nothing else is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "store/test_durable.h"

namespace vineyard::store {
namespace {

using ::testing::HasSubstr;

TEST_F(DurableTest, ObjectsNamesAndBytesAreThereAgainAndTheRestIsGone) {
  const ObjectId small = PutDurable({.bytes = "small", .name = "a"});
  const ObjectId large = PutDurable({.bytes = Bytes(3, 3 * kMi), .large = true});
  ASSERT_OK(machine_->Put(client_, {.bytes = "in memory", .name = "m"}));
  const ObjectId lost = Put(7, 2 * kMi);
  ASSERT_OK(NameDurably("b", large));
  ASSERT_OK(NameDurably("b", large));
  const RecoveryReport report = ColdStart();
  EXPECT_EQ(report.restored.objects, 2u);
  EXPECT_EQ(report.restored.names, 2u);
  EXPECT_EQ(report.restored.set_aside, 0u);
  EXPECT_EQ(SmallBytes(small), "small");
  ExpectBytes(large.own_blob(), 3, 3 * kMi);
  EXPECT_EQ(volume().FindName("a")->id, small.value());
  EXPECT_EQ(volume().FindName("b")->id, large.value());
  EXPECT_EQ(volume().FindName("b")->version, 2u);
  EXPECT_EQ(volume().FindName("m"), nullptr);
  EXPECT_FALSE(Exists(lost));
  EXPECT_EQ(volume().objects(), 2u);
  EXPECT_GT(store().NextId().value(), large.value());
}

TEST_F(DurableTest, ItSurvivesAgainAndAgain) {
  const ObjectId large = PutDurable({.bytes = Bytes(3, 3 * kMi), .name = "n", .large = true});
  for (int i = 0; i < 3; ++i) {
    ColdStart();
    ExpectBytes(large.own_blob(), 3, 3 * kMi);
    machine_->Restart();
    Run();
    ExpectBytes(large.own_blob(), 3, 3 * kMi);
    ASSERT_OK(Evict({large.own_blob()}));
    machine_->Restart();
    Run();
    ExpectBytes(large.own_blob(), 3, 3 * kMi);
  }
  EXPECT_EQ(Count(kExtentFile), 1u);
  ASSERT_OK(Drop("n"));
  EXPECT_EQ(Count(0), 0u);
}

TEST_F(DurableTest, WhatItRefersToIsDurableWithIt) {
  const ObjectId part = ObjectId(machine_->Put(client_, {.bytes = "part"})->id);
  const ObjectId blob = Put(5);
  const ObjectId whole = PutDurable({.bytes = "whole", .members = {part}, .blobs = {blob}});
  ColdStart();
  EXPECT_EQ(SmallBytes(part), "part");
  EXPECT_EQ(SmallBytes(whole), "whole");
  ExpectBytes(blob, 5);
  EXPECT_FALSE(Exists(blob.owner_of_blob()));  // nothing durable refers to the object
}

TEST_F(DurableTest, AnExistingObjectBecomesDurableWithItsNameAndByItself) {
  const ObjectId named = ObjectId(machine_->Put(client_, {.bytes = "named"})->id);
  const ObjectId kept = ObjectId(machine_->Put(client_, {.bytes = "kept", .name = "m"})->id);
  const ObjectId evicted = Put(4);
  ASSERT_OK(Evict({evicted}));
  const int writes = machine_->disk().writes;
  ASSERT_OK(NameDurably("n", named));
  ASSERT_OK_AND_ASSIGN(const auto answer,
                       MakeDurable({kept.value(), evicted.owner_of_blob().value()}));
  EXPECT_EQ(answer.value, 3u);
  EXPECT_EQ(machine_->disk().writes, writes);  // its bytes are there already
  ASSERT_OK_AND_ASSIGN(const auto again, MakeDurable({kept.value()}));
  EXPECT_EQ(again.value, 0u);
  ColdStart();
  EXPECT_EQ(SmallBytes(named), "named");
  EXPECT_EQ(SmallBytes(kept), "kept");  // though its name is gone
  ExpectBytes(evicted, 4);
}

TEST_F(DurableTest, EvictionOfItCostsNothingAndItsFileStaysWhenTheDiskIsFull) {
  const ObjectId large = PutDurable({.bytes = Bytes(3, 5 * kMi), .large = true});
  const int writes = machine_->disk().writes;
  ASSERT_OK(Evict({large.own_blob()}));
  EXPECT_EQ(machine_->disk().writes, writes);
  ExpectBytes(large.own_blob(), 3, 5 * kMi);
  EXPECT_FALSE(spiller().MakeRoomOnDisk(kMi));
  Run();
  EXPECT_EQ(Count(kExtentFile), 1u);
}

TEST_F(DurableTest, WhatIsDeletedDroppedOrPointsElsewhereIsSoAfterwards) {
  const ObjectId first = PutDurable({.bytes = Bytes(1, 2 * kMi), .name = "n", .large = true});
  const ObjectId second = PutDurable({.bytes = "second", .name = "n"});
  EXPECT_FALSE(Exists(first));
  const ObjectId third = PutDurable({.bytes = "third", .name = "gone"});
  const ObjectId fourth = PutDurable({.bytes = "fourth", .name = "dropped"});
  ASSERT_OK(DeleteNow(third));
  ASSERT_OK(Drop("dropped"));
  EXPECT_EQ(Count(kExtentFile), 0u);
  EXPECT_EQ(ColdStart().restored.set_aside, 0u);
  EXPECT_EQ(SmallBytes(second), "second");
  EXPECT_EQ(volume().FindName("n")->version, 2u);
  for (const ObjectId gone : {first, third, fourth}) EXPECT_FALSE(Exists(gone));
  EXPECT_EQ(volume().names().size(), 1u);
  ASSERT_OK(Drop("n"));
  EXPECT_EQ(Count(0), 0u);
}

TEST_F(DurableTest, ANameThatIsPutInMemoryComesBackNoMoreAndItsObjectDoes) {
  const ObjectId first = PutDurable({.bytes = "first"});
  const ObjectId second = PutDurable({.bytes = "second", .name = "n"});
  ASSERT_OK(machine_->AwaitDisk(volume().PutName(machine_->NextRequest(client_), "n", second, {})));
  ASSERT_OK(NameDurably("n2", first));
  ASSERT_OK(
      machine_->AwaitDisk(volume().PutName(machine_->NextRequest(client_), "n2", second, {})));
  ColdStart();
  EXPECT_TRUE(volume().names().empty());
  EXPECT_EQ(SmallBytes(first), "first");
  EXPECT_EQ(SmallBytes(second), "second");
}

TEST_F(DurableTest, LabelsAndTimesToLiveAreKept) {
  const ObjectId id = PutDurable({.bytes = "x", .name = "n"});
  ASSERT_OK(machine_->AwaitDisk(
      volume().SetLabels(machine_->NextRequest(client_), id, {{"colour", "red"}})));
  const auto end = os::Clock::now() + std::chrono::hours(1);
  ASSERT_OK(NameDurably("later", id, {.ends = end}));
  const ObjectId ends = PutDurable({.bytes = "y", .name_ends = os::Clock::now()});
  ColdStart();
  const auto record = machine_->Read(id);
  ASSERT_TRUE(record);
  const ObjectInfo info = wire::ToObjectInfo(*wire::DecodeDescriptor(record->head()).value());
  ASSERT_EQ(info.labels.size(), 1u);
  EXPECT_EQ(info.labels[0].value, "red");
  const auto ends_at = volume().FindName("later")->ends;
  ASSERT_TRUE(ends_at);
  EXPECT_LT(std::chrono::abs(*ends_at - end), std::chrono::seconds(30));
  store().Tick(os::Clock::now());
  Run();
  EXPECT_FALSE(Exists(ends));
  EXPECT_EQ(Count(kEntryFile), 1u);
}

TEST_F(DurableTest, WhatCanNotBeDurableIsRefused) {
  TestObject lingers{
      .bytes = "x", .name = "n", .linger = std::chrono::nanoseconds(0), .durable = true};
  EXPECT_CODE(kInvalid, machine_->Put(client_, lingers));
  ASSERT_OK(store().CreateVolume({.volume = 2, .name = "plain"}, [](const Result<Volume*>&) {}));
  Run();
  const uint64_t none[] = {1};
  EXPECT_CODE(kFailedPrecondition, store().FindVolume(2)->MakeDurable({}, std::span(none, 0)));
  Machine without_disk;
  EXPECT_CODE(kNotSupported, without_disk.store().CheckDurable());
  EXPECT_THAT(without_disk.store().CheckDurable().message(), HasSubstr("--spill_path"));
}

TEST_F(DurableTest, AFullDiskRefusesBeforeAnythingHasHappened) {
  machine_->LimitDisk(4 * kMi);
  machine_->Restart();
  client_ = machine_->AddClient();
  const ObjectId kept = PutDurable({.bytes = Bytes(1, 2 * kMi), .name = "n", .large = true});
  const TestObject large{.bytes = Bytes(2, 3 * kMi), .name = "n", .large = true, .durable = true};
  EXPECT_CODE(kOutOfMemory, machine_->Put(client_, large));
  Run();
  EXPECT_EQ(volume().FindName("n")->id, kept.value());
  EXPECT_EQ(machine_->disk().figures().room_bytes, 0u);
  ASSERT_OK(machine_->disk().place().Promise(2 * kMi - 64 * 1024));  // hardly anything is left
  const TestObject small{.bytes = std::string(60'000, 'x'), .name = "n", .durable = true};
  EXPECT_CODE(kOutOfMemory, machine_->Put(client_, small));
  EXPECT_EQ(volume().FindName("n")->id, kept.value());
  ASSERT_OK(DeleteNow(kept));  // it needs no room
  machine_->disk().Unpromise(2 * kMi - 64 * 1024);
  EXPECT_OK(machine_->Put(client_, small));
  ColdStart();
  EXPECT_EQ(volume().FindName("n")->version, 1u);
}

TEST_F(DurableTest, CopiesOfWhatIsInMemoryGoForIt) {
  machine_->LimitDisk(5 * kMi);
  machine_->Restart();
  client_ = machine_->AddClient();
  const ObjectId copied = Put(1, 3 * kMi);
  ASSERT_OK(Evict({copied}));
  ExpectBytes(copied, 1, 3 * kMi);
  const ObjectId durable = PutDurable({.bytes = Bytes(2, 4 * kMi), .large = true});
  EXPECT_FALSE(extent(copied).on_disk);
  ExpectBytes(copied, 1, 3 * kMi);
  ColdStart();
  ExpectBytes(durable.own_blob(), 2, 4 * kMi);
}

TEST_F(DurableTest, ADiskThatFailsAfterTheCommitIsSaidAndTriedAgain) {
  machine_->disk().broken = Status::IOError("it is broken");
  TestObject object{.bytes = "x", .name = "n", .durable = true};
  const auto answer = machine_->Put(client_, object);
  EXPECT_CODE(kIOError, answer);
  EXPECT_THAT(answer.status().message(), HasSubstr("has taken effect"));
  EXPECT_EQ(store().mirror()->not_on_disk(), 2u);
  EXPECT_LE(*store().NextDeadline(), os::Clock::now() + std::chrono::seconds(1));
  machine_->disk().broken = {};
  store().Tick(os::Clock::now() + std::chrono::seconds(2));
  Run();
  EXPECT_EQ(store().mirror()->not_on_disk(), 0u);
  ColdStart();
  EXPECT_NE(volume().FindName("n"), nullptr);
}

TEST_F(DurableTest, RequestsThatComeTogetherShareABatchAndEachRecordIsWrittenOnce) {
  machine_->disk().Pause();
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK(volume().Put(machine_->NextRequest(client_),
                           {.own_size = 0, .name = "n", .id = store().NextId(), .durable = true}));
  }
  int told = 0;
  for (int i = 0; i < 10; ++i) {
    store().mirror()->WhenDone([&](const Status& s) { told += s.ok() ? 1 : 0; });
  }
  Run();
  EXPECT_EQ(told, 0);
  machine_->disk().Resume();
  Run();
  EXPECT_EQ(told, 10);
  EXPECT_EQ(machine_->disk().record_writes, 2);  // one blob, one name
}

}  // namespace
}  // namespace vineyard::store
