// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The engine dies while an extent is on its way to the disk, or back: the next one finds it whole.
#include <ostream>
#include <string>
#include <vector>

#include "store/test_spilling.h"

namespace vineyard::store {
namespace {

class SpillingCrash : public SpillingTest, public ::testing::WithParamInterface<const char*> {
 protected:
  // Whatever it was at: what there is is whole, and goes without a trace.
  void ExpectAllWhole(const std::vector<ObjectId>& blobs) {
    EXPECT_EQ(machine_->Restart().set_aside_count, 0u);
    Run();
    machine_->CheckConsistent();
    for (size_t i = 0; i < blobs.size(); ++i) {
      ASSERT_NE(volume().Find(blobs[i]), nullptr) << i;
      EXPECT_TRUE(StateOf(blobs[i]) == ExtentState::kSealed ||
                  StateOf(blobs[i]) == ExtentState::kSpilled);
      ExpectBytes(blobs[i], i + 1, 5 * kMi);
      ASSERT_OK(Evict({blobs[i]}));
      ExpectBytes(blobs[i], i + 1, 5 * kMi);
    }
    for (const ObjectId blob : blobs) ASSERT_OK(Delete(blob));
    Run();
    EXPECT_EQ(Files(), 0u);
    EXPECT_EQ(machine_->keeper().Count(HeldKind::kChunk), 0u);
    EXPECT_LT(store().budget().held(), 2 * kMi);
  }
};

class EvictingCrash : public SpillingCrash {};

TEST_P(EvictingCrash, TheExtentIsWholeInMemoryOrOnTheDisk) {
  const std::vector<ObjectId> blobs{Put(1, 5 * kMi), Put(2, 5 * kMi)};
  ASSERT_TRUE(machine_->CrashIn(GetParam(), [&] { Evict(blobs).IgnoreError(); })) << "never passed";
  ExpectAllWhole(blobs);
}

INSTANTIATE_TEST_SUITE_P(EveryPlace, EvictingCrash,
                         ::testing::Values("spill.made", "spill.block_written",
                                           "spill.block_written:7", "spill.blocks_written",
                                           "spill.head_written", "spill.named", "spill.named:2",
                                           "evict.written", "evict.written:2", "evict.before_drops",
                                           "evict.between_drops", "evict.between_drops:2",
                                           "evict.keeper_dropped"));

class LoadingCrash : public SpillingCrash {};

TEST_P(LoadingCrash, TheExtentIsWholeInMemoryOrOnTheDisk) {
  const std::vector<ObjectId> blobs{Put(1, 5 * kMi), Put(2, 5 * kMi)};
  ASSERT_OK(Evict(blobs));
  ASSERT_TRUE(machine_->CrashIn(GetParam(), [&] { Load(blobs).IgnoreError(); })) << "never passed";
  ExpectAllWhole(blobs);
}

INSTANTIATE_TEST_SUITE_P(EveryPlace, LoadingCrash,
                         ::testing::Values("load.made", "load.filled", "load.sealed",
                                           "load.sealed:2", "load.between_holds",
                                           "load.between_holds:2", "load.held"));

class DeletingCrash : public SpillingCrash {};

TEST_P(DeletingCrash, ADeletedExtentLeavesNoFile) {
  const ObjectId stays = Put(1, 5 * kMi);
  const ObjectId goes = Put(2, 5 * kMi);
  ASSERT_OK(Evict({stays, goes}));
  ASSERT_TRUE(machine_->CrashIn(GetParam(), [&] { Delete(goes).status().IgnoreError(); }));
  machine_->Restart();
  Run();
  EXPECT_EQ(volume().Find(goes), nullptr);
  EXPECT_EQ(Files(), 1u);
  ExpectAllWhole({stays});
}

INSTANTIATE_TEST_SUITE_P(EveryPlace, DeletingCrash,
                         ::testing::Values("commit.published", "commit.cleared", "delete.committed",
                                           "spill.removed"));

}  // namespace
}  // namespace vineyard::store
