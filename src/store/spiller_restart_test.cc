// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What was spilled, after an engine's end; and random changes with such ends among them.
#include <map>
#include <random>

#include "store/test_spilling.h"

namespace vineyard::store {
namespace {

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

// Ids begin at the clock: where that was set back, an instance gives those that one before it gave.
TEST_F(SpillingTest, AFileOfAnotherInstanceIsNeverBelieved) {
  for (const uint64_t other : {uint64_t{0}, machine_->instance() + 77}) {
    const ObjectId blob = Put(1);
    const spill::Key key{.volume = 1, .id = blob.value(), .kind = kExtentFile, .instance = other};
    machine_->Kill();
    WriteFile(key, Bytes(2, 2 * kMi));
    EXPECT_EQ(machine_->Restart().orphaned_files, 1u);
    EXPECT_FALSE(extent(blob).on_disk);
    EXPECT_EQ(Files(), 0u);
    ASSERT_OK(Evict({blob}));
    EXPECT_EQ(machine_->disk().writes, 1);
    ExpectBytes(blob, 1);
    // Neither in the place of one that is gone.
    ASSERT_OK(Evict({blob}));
    machine_->Kill();
    fs::remove(FileOf(blob));
    WriteFile(key, Bytes(2, 2 * kMi));
    EXPECT_EQ(machine_->Restart().set_aside_count, 1u);
    EXPECT_EQ(volume().Find(blob), nullptr);
    Delete(blob).status().IgnoreError();
    Run();
  }
}

TEST_F(SpillingTest, AFileOfAnotherLengthIsNeverBelieved) {
  const ObjectId blob = Put(1);
  machine_->Kill();
  WriteFile(
      {.volume = 1, .id = blob.value(), .kind = kExtentFile, .instance = machine_->instance()},
      Bytes(2, 2 * kMi + 1));
  EXPECT_EQ(machine_->Restart().orphaned_files, 1u);
  EXPECT_FALSE(extent(blob).on_disk);
  ASSERT_OK(Evict({blob}));
  ExpectBytes(blob, 1);
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
