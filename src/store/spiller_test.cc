// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Extents go to the disk when memory is short, and come back as they were.
#include "store/spiller.h"

#include <gmock/gmock.h>

#include "store/test_spilling.h"

namespace vineyard::store {
namespace {

using ::testing::HasSubstr;

// ---- there and back

TEST_F(SpillingTest, WhatIsEvictedComesBackAsItWas) {
  const uint64_t before = store().budget().held();
  const ObjectId blob = Put(1, 3 * kMi + 5);
  const uint64_t usage = volume().usage();
  ASSERT_OK(Evict({blob}));
  EXPECT_EQ(StateOf(blob), ExtentState::kSpilled);
  EXPECT_EQ(machine_->keeper().Count(HeldKind::kChunk), 0u);
  EXPECT_LT(store().budget().held(), before + kMi);
  EXPECT_EQ(volume().usage(), usage);
  EXPECT_EQ(spiller().SpilledOf(1).extents, 1u);
  ExpectBytes(blob, 1, 3 * kMi + 5);
  EXPECT_EQ(spiller().SpilledOf(1).extents, 0u);
  EXPECT_EQ(machine_->keeper().Count(HeldKind::kChunk), extent(blob).chunks.size());
  ASSERT_OK(CheckSealed(extent(blob)));
}

TEST_F(SpillingTest, EvictingAgainWritesNothing) {
  const ObjectId blob = Put(1);
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(Evict({blob}));
    ExpectBytes(blob, 1);
  }
  EXPECT_EQ(machine_->disk().writes, 1);
  EXPECT_EQ(machine_->disk().reads, 3);
  EXPECT_EQ(Files(), 1u);
}

TEST_F(SpillingTest, APutThatDoesNotFitMakesRoomAndNothingIsLost) {
  std::vector<ObjectId> blobs;
  for (uint64_t i = 0; i < 30; ++i) blobs.push_back(Put(i));
  EXPECT_LE(store().budget().held(), store().budget().limit());
  for (uint64_t i = 0; i < 30; ++i) ExpectBytes(blobs[i], i);
  for (const ObjectId blob : blobs) ASSERT_OK(Delete(blob));
  Run();
  EXPECT_EQ(Files(), 0u);
}

TEST_F(SpillingTest, AboveTheUpperMarkObjectsGoUntilTheLowerOne) {
  StoreOptions options = Options(64 * kMi);
  options.spill_marks = {.lower = 0.25, .upper = 0.5};
  Begin(options);
  for (uint64_t i = 0; i < 12; ++i) Put(i);
  EXPECT_EQ(machine_->disk().writes, 0);
  for (uint64_t i = 0; i < 8; ++i) Put(100 + i);
  store().PumpQuota();  // as after any change
  Run();
  EXPECT_LE(store().budget().held(), 32 * kMi);
  EXPECT_GT(machine_->disk().writes, 0);
  EXPECT_GE(store().budget().held(), 14 * kMi);
}

// ---- who is not evicted

TEST_F(SpillingTest, WhatIsMappedStaysInMemory) {
  const ObjectId blob = Put(1);
  const Reader reader = Open(blob);
  const Status refused = Evict({blob});
  EXPECT_CODE(kFailedPrecondition, refused);
  EXPECT_THAT(refused.message(), HasSubstr("mapped"));
  EXPECT_EQ(StateOf(blob), ExtentState::kSealed);
}

TEST_F(SpillingTest, WhatIsOpenedWhileItIsWrittenStaysInMemory) {
  const ObjectId blob = Put(1);
  machine_->disk().Pause();
  Outcome evicted;
  spiller().Evict(std::vector{blob}, kNever, evicted.Callback());
  Run();
  EXPECT_EQ(StateOf(blob), ExtentState::kSpilling);
  {
    const Reader reader = Open(blob);
    machine_->disk().Resume();
    Run();
    EXPECT_EQ(StateOf(blob), ExtentState::kSealed);
    EXPECT_CODE(kFailedPrecondition, evicted.status);
  }
  ASSERT_OK(Evict({blob}));  // the copy serves
  EXPECT_EQ(machine_->disk().writes, 1);
  ExpectBytes(blob, 1);
}

TEST_F(SpillingTest, APinLastsAsLongAsItsClient) {
  const ObjectId blob = Put(1);
  const uint64_t other = machine_->AddClient();
  spiller().Pin(machine_->client(client_), extent(blob));
  spiller().Pin(machine_->client(client_), extent(blob));
  spiller().Pin(machine_->client(other), extent(blob));
  EXPECT_CODE(kFailedPrecondition, Evict({blob}));
  EXPECT_TRUE(spiller().Unpin(machine_->client(client_), blob));
  EXPECT_FALSE(spiller().Unpin(machine_->client(client_), blob));
  EXPECT_CODE(kFailedPrecondition, Evict({blob}));
  store().ForgetClient(other);
  EXPECT_OK(Evict({blob}));
}

TEST_F(SpillingTest, WhereAllIsMappedOrPinnedAPutIsToldSo) {
  std::vector<ObjectId> blobs;
  std::vector<Reader> readers;
  for (uint64_t i = 0; i < 6; ++i) blobs.push_back(Put(i));
  for (size_t i = 0; i < 3; ++i) {
    readers.push_back(Open(blobs[i]));
    machine_->client(client_).mapped.insert(blobs[i].value());
  }
  for (size_t i = 3; i < 6; ++i) spiller().Pin(machine_->client(client_), extent(blobs[i]));
  Status status;
  store().Reserve(volume(), client_, 8 * kMi, os::Clock::now() + std::chrono::hours(1),
                  [&](Result<Extent*> r) { status = r.status(); });
  Run();
  EXPECT_TRUE(status.ok()) << "it waits";
  store().Tick(os::Clock::now() + std::chrono::hours(2));
  EXPECT_CODE(kOutOfMemory, status);
  EXPECT_THAT(status.message(),
              HasSubstr("6 MiB mapped by clients, 6 MiB pinned, 0 B kept by names; 0 B on disk"));
  readers.clear();
  status = Status::Internal("no answer");
  store().Reserve(volume(), client_, 8 * kMi, kNever,
                  [&](Result<Extent*> r) { status = r.status(); });
  store().Tick(os::Clock::now() + std::chrono::hours(3));  // it looks again now and then
  Run();
  EXPECT_OK(status);
}

// ---- deletions

TEST_F(SpillingTest, DeletingWhatLiesOnTheDiskRemovesItsFile) {
  const uint64_t usage = volume().usage();
  const ObjectId blob = Put(1);
  ASSERT_OK(Evict({blob}));
  ASSERT_OK(Delete(blob));
  Run();
  EXPECT_EQ(Files(), 0u);
  EXPECT_EQ(volume().usage(), usage);
  EXPECT_EQ(spiller().SpilledOf(1).bytes, 0u);
}

TEST_F(SpillingTest, DeletingWhatIsBeingWrittenLeavesNeitherMemoryNorFile) {
  ASSERT_OK(Delete(Put(7)));  // an arena is there from now on
  Run();
  const uint64_t held = store().budget().held();
  const ObjectId blob = Put(1);
  machine_->disk().Pause();
  Outcome outcome;
  spiller().Evict(std::vector{blob}, kNever, outcome.Callback());
  Run();
  ASSERT_OK(Delete(blob));
  Run();
  EXPECT_GT(store().budget().held(), held);  // it is still being read
  machine_->disk().Resume();
  Run();
  EXPECT_CODE(kNotFound, outcome.status);
  EXPECT_EQ(store().budget().held(), held);
  EXPECT_EQ(Files(), 0u);
  EXPECT_EQ(machine_->keeper().Count(HeldKind::kChunk), 0u);
}

TEST_F(SpillingTest, DeletingWhatIsBeingReadTellsWhoWaits) {
  ASSERT_OK(Delete(Put(7)));  // an arena is there from now on
  Run();
  const uint64_t held = store().budget().held();
  const ObjectId blob = Put(1);
  ASSERT_OK(Evict({blob}));
  machine_->disk().Pause();
  Outcome outcome;
  spiller().Load(std::vector{blob}, kNever, outcome.Callback());
  Run();
  ASSERT_OK(Delete(blob));
  Run();  // not from within: nobody's callback runs in the midst of a change
  EXPECT_CODE(kNotFound, outcome.status);
  machine_->disk().Resume();
  Run();
  EXPECT_EQ(outcome.calls, 1);
  EXPECT_EQ(store().budget().held(), held);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(SpillingTest, DeletingWhatWaitsForMemoryLetsOthersIn) {
  const ObjectId blob = Put(1, 8 * kMi);
  ASSERT_OK(Evict({blob}));
  const ObjectId other = Put(2, 10 * kMi);
  const Reader reader = Open(other);
  Outcome outcome;
  spiller().Load(std::vector{blob}, kNever, outcome.Callback());
  Status made = Status::Internal("no answer");
  store().Reserve(volume(), client_, 2 * kMi, kNever,
                  [&](Result<Extent*> r) { made = r.status(); });
  Run();
  EXPECT_CODE(kInternal, made);
  ASSERT_OK(Delete(blob));
  Run();
  EXPECT_OK(made);
  EXPECT_CODE(kNotFound, outcome.status);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(SpillingTest, RemovingAVolumeTakesItsFilesAlong) {
  const ObjectId blob = Put(1);
  const ObjectId copied = Put(2);
  ASSERT_OK(Evict({blob, copied}));
  ASSERT_OK(Load({copied}));
  ASSERT_OK(store().RemoveVolume(1, nullptr, {}));
  Run();
  EXPECT_EQ(Files(), 0u);
  machine_.reset();
}

}  // namespace
}  // namespace vineyard::store
