// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Damaged files, a disk that fails or is full.
#include <fstream>
#include <optional>
#include <vector>

#include <gmock/gmock.h>

#include "os/disk_fault.h"
#include "store/test_spilling.h"

namespace vineyard::store {
namespace {

using ::testing::HasSubstr;

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

TEST_F(SpillingTest, AFileThatCouldNotBeRemovedIsRemovedLater) {
  const std::vector<ObjectId> blobs{Put(1), Put(2)};
  ASSERT_OK(Evict(blobs));
  os::SetDiskFault(os::DiskCall::kRemove, EIO);
  for (const ObjectId blob : blobs) ASSERT_OK(Delete(blob));
  Run();
  store().Tick(os::Clock::now() + std::chrono::hours(1));
  Run();
  EXPECT_TRUE(os::ClearDiskFault());
  EXPECT_EQ(Files(), 2u);
  ASSERT_TRUE(store().NextDeadline()) << "it comes back to it by itself";
  store().Tick(os::Clock::now() + std::chrono::hours(2));
  Run();
  EXPECT_EQ(Files(), 0u);
}

TEST_F(SpillingTest, ACopyThatCouldNotGiveWayIsStillACopy) {
  machine_->LimitDisk(3 * kMi);
  machine_->Restart();
  const ObjectId copied = Put(1);
  ASSERT_OK(Evict({copied}));
  ASSERT_OK(Load({copied}));
  const ObjectId other = Put(2);
  os::SetDiskFault(os::DiskCall::kRemove, EIO);
  EXPECT_CODE(kOutOfMemory, Evict({other}));
  EXPECT_TRUE(os::ClearDiskFault());
  EXPECT_TRUE(extent(copied).on_disk);
  ASSERT_OK(Evict({copied}));
  ExpectBytes(copied, 1);
  ASSERT_OK(Delete(copied));
  ASSERT_OK(Delete(other));
  Run();
  EXPECT_EQ(Files(), 0u);
}

TEST_F(SpillingTest, AVolumeThatIsMadeWhileMemoryIsShortIsToldSo) {
  const ObjectId blob = Put(1, 8 * kMi);
  std::optional<Reader> reader(Open(blob));
  Status made = Status::Internal("no answer");
  store().Reserve(volume(), client_, 10 * kMi, kNever,
                  [&](Result<Extent*> r) { made = r.status(); });
  Run();
  EXPECT_EQ(volume().catalog().header().memory_is_short.load(), 1u);
  ASSERT_OK(store().CreateVolume({.volume = 2, .name = "other", .hash_seed = 7},
                                 [](const Result<Volume*>& ready) { EXPECT_OK(ready); }));
  Run();
  Volume& other = *store().FindVolume(2);
  EXPECT_EQ(other.catalog().header().memory_is_short.load(), 1u);
  reader.reset();
  store().Tick(os::Clock::now() + std::chrono::hours(1));
  Run();
  EXPECT_OK(made);
  EXPECT_EQ(other.catalog().header().memory_is_short.load(), 0u);
}

}  // namespace
}  // namespace vineyard::store
