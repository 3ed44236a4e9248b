// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/spiller.h"

#include <algorithm>
#include <fstream>

#include <gmock/gmock.h>

#include "os/disk_fault.h"
#include "store/test_spilling.h"

namespace vineyard::store {
namespace {

using ::testing::HasSubstr;

os::TimePoint Past() { return os::Clock::now() - std::chrono::seconds(1); }

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
  EXPECT_THAT(status.message(), HasSubstr("6 MiB mapped by clients, 6 MiB pinned; 0 B on disk"));
  readers.clear();
  status = Status::Internal("no answer");
  store().Reserve(volume(), client_, 8 * kMi, kNever,
                  [&](Result<Extent*> r) { status = r.status(); });
  store().Tick(os::Clock::now() + std::chrono::hours(3));  // it looks again now and then
  Run();
  EXPECT_OK(status);
}

// ---- who waits

TEST_F(SpillingTest, SeveralWhoAskAreOneRead) {
  const ObjectId blob = Put(1);
  ASSERT_OK(Evict({blob}));
  std::vector<Outcome> outcomes(3);
  for (Outcome& outcome : outcomes) {
    spiller().Load(std::vector{blob}, kNever, outcome.Callback());
  }
  Run();
  for (const Outcome& outcome : outcomes) {
    EXPECT_EQ(outcome.calls, 1);
    EXPECT_OK(outcome.status);
  }
  EXPECT_EQ(machine_->disk().reads, 1);
}

TEST_F(SpillingTest, ALoadMakesRoomForItself) {
  std::vector<ObjectId> blobs;
  for (uint64_t i = 0; i < 7; ++i) blobs.push_back(Put(i));
  ASSERT_OK(Evict({blobs[0], blobs[1]}));
  Put(7);
  Put(8);
  ASSERT_OK(Load({blobs[0], blobs[1]}));
  EXPECT_TRUE(IsInMemory(extent(blobs[0])) && IsInMemory(extent(blobs[1])));
  EXPECT_LE(store().budget().held(), store().budget().limit());
}

TEST_F(SpillingTest, WhoGivesUpWaitingForMemoryLeavesNothingBehind) {
  const ObjectId blob = Put(1, 8 * kMi);
  ASSERT_OK(Evict({blob}));
  const ObjectId other = Put(2, 10 * kMi);
  const Reader reader = Open(other);
  Outcome outcome;
  const uint64_t ticket = spiller().Load(std::vector{blob}, kNever, outcome.Callback());
  Run();
  EXPECT_EQ(outcome.calls, 0);
  EXPECT_TRUE(store().IsWaiting(ticket));
  EXPECT_EQ(StateOf(blob), ExtentState::kLoading);
  store().CancelReserve(ticket);
  EXPECT_EQ(outcome.calls, 0);
  EXPECT_EQ(StateOf(blob), ExtentState::kSpilled);
  EXPECT_EQ(store().budget().waiting(), 0u);
  EXPECT_EQ(extent(blob).wanted, 0u);
}

TEST_F(SpillingTest, ALoadWithoutMemoryEndsAtItsDeadline) {
  const ObjectId blob = Put(1, 8 * kMi);
  ASSERT_OK(Evict({blob}));
  const ObjectId other = Put(2, 10 * kMi);
  Outcome outcome;
  {
    const Reader reader = Open(other);
    spiller().Load(std::vector{blob}, os::Clock::now() + std::chrono::hours(1), outcome.Callback());
    Run();
    store().Tick(os::Clock::now() + std::chrono::hours(2));
  }
  EXPECT_CODE(kOutOfMemory, outcome.status);
  EXPECT_EQ(store().budget().waiting(), 0u);
  ExpectBytes(blob, 1, 8 * kMi);
}

TEST_F(SpillingTest, ALoadThatIsReadWhenItsTimeIsUpSaysSo) {
  const ObjectId blob = Put(1);
  ASSERT_OK(Evict({blob}));
  machine_->disk().Pause();
  Outcome outcome;
  spiller().Load(std::vector{blob}, os::Clock::now() + std::chrono::hours(1), outcome.Callback());
  Run();
  store().Tick(os::Clock::now() + std::chrono::hours(2));
  EXPECT_CODE(kDeadlineExceeded, outcome.status);
  machine_->disk().Resume();
  Run();
  EXPECT_EQ(outcome.calls, 1);
  EXPECT_TRUE(IsInMemory(extent(blob)));
}

TEST_F(SpillingTest, WhatCanNeverFitIsRefusedAtOnce) {
  const ObjectId blob = Put(1, 8 * kMi);
  ASSERT_OK(Evict({blob}));
  StoreOptions options = Options(4 * kMi);
  extent(blob).pages = 64 * kMi;
  EXPECT_CODE(kOutOfMemory, Load({blob}));
  extent(blob).pages = 8 * kMi;
  ExpectBytes(blob, 1, 8 * kMi);
}

// Numpy's allocator has other memory if there is none here: nothing is written for it.
TEST_F(SpillingTest, WhoDoesNotWaitMakesNoDiskWork) {
  const ObjectId first = Put(1, 8 * kMi);
  Put(2, 6 * kMi);
  Status status;
  store().Reserve(volume(), client_, 8 * kMi, Past(),
                  [&](Result<Extent*> r) { status = r.status(); });
  store().Tick(os::Clock::now());
  Run();
  EXPECT_CODE(kOutOfMemory, status);
  EXPECT_EQ(machine_->disk().writes, 0);

  ASSERT_OK(Evict({first}));
  ASSERT_OK(Load({first}));
  Result<Extent*> made = Status::Internal("no answer");
  store().Reserve(volume(), client_, 8 * kMi, Past(),
                  [&](Result<Extent*> r) { made = std::move(r); });
  Run();
  EXPECT_OK(made);  // the copy was dropped for it
  EXPECT_EQ(machine_->disk().writes, 1);
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

// ---- what goes wrong

TEST_F(SpillingTest, ADamagedFileIsNeverServed) {
  const ObjectId blob = Put(1);
  ASSERT_OK(Evict({blob}));
  {
    std::fstream file(FileOf(blob), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(1'500'000);
    const auto was = static_cast<char>(file.get());
    file.seekp(1'500'000);
    file.put(static_cast<char>(was ^ 1));
  }
  const uint64_t held = store().budget().held();
  for (int i = 0; i < 2; ++i) {
    const Status damaged = Load({blob});
    EXPECT_CODE(kCorrupted, damaged);
    EXPECT_THAT(damaged.message(), HasSubstr(blob.ToString()));
  }
  EXPECT_EQ(spiller().counts().damaged, 1u);
  EXPECT_EQ(store().budget().held(), held);
  EXPECT_NE(volume().Find(blob), nullptr);
  EXPECT_EQ(machine_->disk().figures().damaged_files, 1u);
  EXPECT_OK(Delete(blob));
}

TEST_F(SpillingTest, AFileThatSomebodyRemovedIsADamage) {
  const ObjectId blob = Put(1);
  ASSERT_OK(Evict({blob}));
  fs::remove(FileOf(blob));
  EXPECT_CODE(kCorrupted, Load({blob}));
  EXPECT_OK(Delete(blob));
}

TEST_F(SpillingTest, AnErrorOfTheDiskMayPass) {
  const ObjectId blob = Put(1);
  os::SetDiskFault(os::DiskCall::kWrite, EIO);
  EXPECT_CODE(kIOError, Evict({blob}));
  EXPECT_TRUE(os::ClearDiskFault());
  EXPECT_EQ(StateOf(blob), ExtentState::kSealed);
  EXPECT_EQ(Files(), 0u);
  ASSERT_OK(Evict({blob}));
  os::SetDiskFault(os::DiskCall::kRead, EIO);
  EXPECT_CODE(kIOError, Load({blob}));
  EXPECT_TRUE(os::ClearDiskFault());
  ExpectBytes(blob, 1);
}

TEST_F(SpillingTest, AFullDiskRefusesAndSaysSo) {
  machine_->LimitDisk(3 * kMi);
  machine_->Restart();
  std::vector<ObjectId> blobs;
  for (uint64_t i = 0; i < 7; ++i) blobs.push_back(Put(i));
  ASSERT_OK(Evict({blobs[0]}));
  const Status full = Evict({blobs[1]});
  EXPECT_CODE(kOutOfMemory, full);
  EXPECT_THAT(full.message(), HasSubstr("disk full"));
  Status made;
  store().Reserve(volume(), client_, 8 * kMi, os::Clock::now() + std::chrono::hours(1),
                  [&](Result<Extent*> r) { made = r.status(); });
  Run();
  store().Tick(os::Clock::now() + std::chrono::hours(2));
  EXPECT_CODE(kOutOfMemory, made);
  EXPECT_THAT(made.message(), HasSubstr("nothing can be spilled: "));
  for (uint64_t i = 1; i < 7; ++i) EXPECT_EQ(StateOf(blobs[i]), ExtentState::kSealed);
  EXPECT_GT(spiller().counts().failed_writes, 0u);
  ASSERT_OK(Delete(blobs[0]));
  Run();
  EXPECT_OK(Evict({blobs[1]}));
}

TEST_F(SpillingTest, CopiesOfWhatIsInMemoryGiveWayOnAFullDisk) {
  machine_->LimitDisk(5 * kMi);
  machine_->Restart();
  std::vector<ObjectId> blobs;
  for (uint64_t i = 0; i < 4; ++i) blobs.push_back(Put(i));
  ASSERT_OK(Evict({blobs[0], blobs[1]}));
  ASSERT_OK(Load({blobs[0], blobs[1]}));
  for (size_t i = 0; i < 2; ++i) spiller().Pin(machine_->client(client_), extent(blobs[i]));
  ASSERT_OK(machine_->Reserve(client_, 9 * kMi));
  EXPECT_EQ(spiller().SpilledOf(1).extents, 1u);
  EXPECT_EQ(Files(), 2u);
  EXPECT_NE(extent(blobs[0]).on_disk, extent(blobs[1]).on_disk);
}

// ---- restarts

TEST_F(SpillingTest, WhatWasSpilledIsSpilledAfterARestart) {
  const ObjectId spilled = Put(1);
  const ObjectId copied = Put(2);
  const ObjectId here = Put(3);
  ASSERT_OK(Evict({spilled, copied}));
  ASSERT_OK(Load({copied}));
  const uint64_t usage = volume().usage();
  const RecoveryReport report = machine_->Restart();
  Run();
  EXPECT_EQ(report.set_aside_count, 0u);
  EXPECT_EQ(report.spilled, 1u);
  EXPECT_EQ(report.orphaned_files, 0u);
  EXPECT_EQ(volume().usage(), usage);
  EXPECT_EQ(StateOf(spilled), ExtentState::kSpilled);
  EXPECT_EQ(StateOf(copied), ExtentState::kSealed);
  EXPECT_TRUE(extent(copied).on_disk);
  EXPECT_FALSE(extent(here).on_disk);
  ASSERT_OK(Evict({copied}));
  EXPECT_EQ(machine_->disk().writes, 0);
  ExpectBytes(spilled, 1);
  ExpectBytes(copied, 2);
  ExpectBytes(here, 3);
}

TEST_F(SpillingTest, WhenAllElseIsGoneTheFilesGoToo) {
  ASSERT_OK(Evict({Put(1), Put(2)}));
  EXPECT_EQ(Files(), 2u);
  machine_.reset();
  machine_.emplace(Options(), folder_);
  client_ = machine_->AddClient();
  Run();
  EXPECT_EQ(Files(), 0u);
}

TEST_F(SpillingTest, WithoutItsFileARecordIsSetAside) {
  const ObjectId blob = Put(1);
  ASSERT_OK(Evict({blob}));
  machine_->Kill();
  fs::remove(FileOf(blob));
  EXPECT_EQ(machine_->Restart().set_aside_count, 1u);
  EXPECT_EQ(volume().Find(blob), nullptr);
  volume()
      .Delete(machine_->NextRequest(client_), std::vector{blob.owner_of_blob().value()}, true, true)
      .status()
      .IgnoreError();
  Run();
}

// ---- all of it

// Random changes against what a map says; now and then the engine is killed.
TEST_F(SpillingTest, RandomOperationsLoseNothing) {
  std::mt19937_64 random(7);
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> model;  // blob → seed, size
  const auto any = [&] {
    auto it = model.begin();
    std::advance(it, static_cast<ptrdiff_t>(random() % model.size()));
    return it;
  };
  const uint64_t held = store().budget().held();
  for (uint64_t step = 0; step < 600; ++step) {
    const uint64_t what = random() % 100;
    if (what < 35 || model.empty()) {
      const uint64_t size = 100'000 + random() % (4 * kMi);
      const ObjectId blob = Put(step, size);
      ASSERT_FALSE(blob.is_null());
      model[blob.value()] = {step, size};
    } else if (what < 70) {
      const auto it = any();
      ExpectBytes(ObjectId(it->first), it->second.first, it->second.second);
    } else if (what < 85) {
      const auto it = any();
      ASSERT_OK(Delete(ObjectId(it->first)));
      model.erase(it);
    } else if (what < 97) {
      ASSERT_OK(Evict({ObjectId(any()->first)}));
    } else {
      EXPECT_EQ(machine_->Restart().set_aside_count, 0u);
    }
    if (HasFailure()) FAIL() << "step " << step;
    EXPECT_LE(store().budget().held(), store().budget().limit());
  }
  machine_->CheckConsistent();
  for (const auto& [blob, value] : model) ExpectBytes(ObjectId(blob), value.first, value.second);
  for (const auto& [blob, value] : model) ASSERT_OK(Delete(ObjectId(blob)));
  Run();
  EXPECT_EQ(Files(), 0u);
  EXPECT_LE(store().budget().held(), held + 4 * kMi);
}

}  // namespace
}  // namespace vineyard::store
