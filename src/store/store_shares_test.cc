// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What volumes of one store leave to each other: guaranteed memory, turns, memory files.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/testing.h"
#include "store/store.h"
#include "store/test_store.h"

namespace vineyard::store {
namespace {

class Shares : public StoreTest {
 protected:
  uint64_t limit() { return store().budget().limit(); }
  CatalogSpec Spec(uint64_t id, uint64_t guaranteed, uint64_t quota = 0) {
    return {.volume = id,
            .name = "volume " + std::to_string(id),
            .quota = quota,
            .guaranteed = guaranteed,
            .hash_seed = 3};
  }
  Volume& Guaranteed(uint64_t id, uint64_t bytes) {
    EXPECT_OK(store().CreateVolume(Spec(id, bytes), [](Result<Volume*> made) { EXPECT_OK(made); }));
    machine_.Run();
    return *store().FindVolume(id);
  }
  /// Takes all that the volume can have at once.
  std::vector<Extent*> Fill(Volume& volume, uint64_t size) {
    std::vector<Extent*> extents;
    while (true) {
      Waited waited;
      const uint64_t ticket =
          store().Reserve(volume, client_, size, os::TimePoint(), waited.Callback());
      machine_.Run();
      if (waited.calls == 0) {
        store().CancelReserve(ticket);
        return extents;
      }
      if (waited.extent == nullptr) return extents;
      extents.push_back(waited.extent);
    }
  }
  /// Null: not at once.
  Extent* Have(Volume& volume, uint64_t size) {
    Waited waited;
    const uint64_t ticket =
        store().Reserve(volume, client_, size, os::TimePoint(), waited.Callback());
    machine_.Run();
    store().CancelReserve(ticket);
    return waited.extent;
  }
  bool IsHadAtOnce(Volume& volume, uint64_t size) { return Have(volume, size) != nullptr; }
};

TEST_F(Shares, AVolumeThatTakesAllItCanLeavesWhatIsGuaranteedToAnother) {
  Volume& b = Guaranteed(2, 24 * kMi);
  const size_t before = Fill(machine_.volume(), 4 * kMi).size();
  EXPECT_LE(before * 4 * kMi, limit() - 24 * kMi);
  EXPECT_GE(before * 4 * kMi, limit() - 32 * kMi);
  // Others wait for it, and it is there all the same.
  Waited waits;
  store().Reserve(machine_.volume(), client_, 4 * kMi, kNever, waits.Callback());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(IsHadAtOnce(b, 4 * kMi)) << i;
  EXPECT_EQ(waits.calls, 0);
  EXPECT_LE(store().budget().held(), limit());
}

TEST_F(Shares, ARefusalSaysWhoseGuaranteeKeepsTheMemory) {
  Guaranteed(2, 24 * kMi);
  Guaranteed(3, 8 * kMi);
  Waited never;
  store().Reserve(machine_.volume(), client_, 60 * kMi, kNever, never.Callback());
  EXPECT_CODE(kOutOfMemory, never.status);
  EXPECT_NE(never.status.message().find("never fits"), std::string::npos);
  EXPECT_NE(never.status.message().find("kept free, guaranteed to volume 'volume 2' ("),
            std::string::npos)
      << never.status.message();
  EXPECT_NE(never.status.message().find(", volume 'volume 3' ("), std::string::npos);
  Fill(machine_.volume(), 4 * kMi);
  Waited late;
  const auto deadline = os::Clock::now() + std::chrono::hours(1);
  store().Reserve(machine_.volume(), client_, 4 * kMi, deadline, late.Callback());
  store().Tick(deadline);
  EXPECT_CODE(kOutOfMemory, late.status);
  EXPECT_NE(late.status.message().find("kept free, guaranteed to volume 'volume 2'"),
            std::string::npos)
      << late.status.message();
  EXPECT_EQ(store().LimitOf(machine_.volume()), limit() - 32 * kMi);
}

TEST_F(Shares, GuaranteesTogetherKeepToTheLimitAndEachToItsQuota) {
  Guaranteed(2, 40 * kMi);
  const auto never = [](Result<Volume*>) { ADD_FAILURE(); };
  const Status more = store().CreateVolume(Spec(3, 25 * kMi), never);
  EXPECT_CODE(kOutOfMemory, more);
  EXPECT_NE(more.message().find("25 MiB"), std::string::npos) << more.message();
  EXPECT_NE(more.message().find("guaranteed 40 MiB"), std::string::npos) << more.message();
  EXPECT_NE(more.message().find("at most 24 MiB"), std::string::npos) << more.message();
  EXPECT_CODE(kInvalid, store().CreateVolume(Spec(3, 5 * kMi, 4 * kMi), never));
  EXPECT_CODE(kOutOfMemory, store().CreateVolume(Spec(3, UINT64_MAX), never));
  EXPECT_EQ(store().budget().guaranteed(), 40 * kMi);
  ASSERT_OK(store().RemoveVolume(2, nullptr, {}));
  EXPECT_EQ(store().budget().guaranteed(), 0U);
  machine_.Run();
  Guaranteed(3, 25 * kMi);
}

TEST_F(Shares, WhatIsToBeGuaranteedIsFreeBeforeTheVolumeIs) {
  std::vector<Extent*> extents = Fill(machine_.volume(), 4 * kMi);
  bool granted = false;
  const CatalogSpec spec = Spec(2, 12 * kMi);
  const uint64_t ticket = store().WaitForGuarantee(spec, kNever, [&](Status status) {
    EXPECT_OK(status);
    granted = true;
    EXPECT_OK(store().CreateVolume(spec, [](Result<Volume*> made) { EXPECT_OK(made); }));
  });
  Waited waits;
  store().Reserve(machine_.volume(), client_, 4 * kMi, kNever, waits.Callback());
  for (int i = 0; !granted && i < 4; ++i) {
    EXPECT_TRUE(store().IsWaiting(ticket));
    EXPECT_EQ(waits.calls, 0);
    store().Abort(*extents.back());
    extents.pop_back();
    machine_.Run();
  }
  EXPECT_TRUE(granted);
  EXPECT_EQ(waits.calls, 0);
  EXPECT_TRUE(IsHadAtOnce(*store().FindVolume(2), 8 * kMi));
  EXPECT_FALSE(store().IsWaiting(ticket));
}

TEST_F(Shares, AGuaranteeOutlivesEngines) {
  Guaranteed(2, 24 * kMi);
  for (int engine = 0; engine < 3; ++engine) {
    machine_.Restart();
    machine_.Run();
    EXPECT_EQ(store().budget().guaranteed(), 24 * kMi);
    EXPECT_EQ(store().budget().GuaranteedTo(Holder{2}), 24 * kMi);
    std::vector<Extent*> extents = Fill(machine_.volume(), 4 * kMi);
    extents.push_back(Have(*store().FindVolume(2), 20 * kMi));
    ASSERT_NE(extents.back(), nullptr);
    for (Extent* extent : extents) store().Abort(*extent);
    machine_.Run();
  }
}

// Of a catalog that is damaged there.
TEST_F(Shares, AGuaranteeThatCannotBeTrueIsSetAsideAndTheVolumeStays) {
  Volume& b = Guaranteed(2, 24 * kMi);
  b.catalog().header().guaranteed = UINT64_MAX;
  const RecoveryReport report = machine_.Restart();
  machine_.Run();
  EXPECT_EQ(report.set_aside_count, 1U);
  ASSERT_NE(store().FindVolume(2), nullptr);
  EXPECT_EQ(store().budget().guaranteed(), 0U);
}

TEST_F(Shares, MemoryIsCountedByVolumeUntilItIsClosed) {
  Volume& b = *AddVolume(2, "b", 0);
  const Amount before = store().budget().HeldBy(b.holder());
  ASSERT_OK_AND_ASSIGN(Extent * extent, machine_.Reserve(client_, 3 * kMi, &b));
  const Amount held = store().budget().HeldBy(b.holder());
  EXPECT_EQ(held.bytes - before.bytes, 3 * kMi);
  EXPECT_EQ(held.files - before.files, extent->chunks.size());
  ASSERT_OK(store().RemoveVolume(2, nullptr, {}));
  EXPECT_GT(store().budget().HeldBy(Holder{2}).bytes, 0U);
  machine_.Run();
  EXPECT_EQ(store().budget().HeldBy(Holder{2}).bytes, 0U);
  EXPECT_EQ(store().budget().HeldBy(Holder{2}).files, 0U);
}

// One volume's many waiting puts delay another's one by one.
TEST_F(Shares, VolumesTakeTurnsInWhatBecomesFree) {
  Volume& b = *AddVolume(2, "b", 0);
  std::vector<Extent*> extents = Fill(machine_.volume(), 4 * kMi);
  std::string order;
  const auto want = [&](Volume& volume, char name) {
    store().Reserve(volume, client_, 4 * kMi, kNever, [&, name](Result<Extent*> made) {
      EXPECT_OK(made);
      order += name;
    });
  };
  for (int i = 0; i < 6; ++i) want(machine_.volume(), 'a');
  for (int i = 0; i < 2; ++i) want(b, 'b');
  for (int i = 0; i < 8; ++i) {
    store().Abort(*extents.back());
    extents.pop_back();
    machine_.Run();
  }
  EXPECT_EQ(order, "ababaaaa");
}

TEST_F(Shares, SmallPutsTakeTurnsToo) {
  Volume& b = *AddVolume(2, "b", 0);
  std::vector<Extent*> extents = Fill(machine_.volume(), 4 * kMi);
  store().budget().Take(Holder{1}, {store().budget().free()});
  std::string order;
  const auto want = [&](Volume& volume, char name) {
    store().WaitForRoom(volume, 4 * kMi, kNever, [&, name](Status granted) {
      EXPECT_OK(granted);
      EXPECT_TRUE(store().budget().TryTake(volume.holder(), {4 * kMi}));
      order += name;
    });
  };
  for (int i = 0; i < 3; ++i) want(machine_.volume(), 'a');
  want(b, 'b');
  for (int i = 0; i < 4; ++i) {
    store().Abort(*extents.back());
    extents.pop_back();
    machine_.Run();
  }
  EXPECT_EQ(order, "abaa");
}

// ---- memory files

TEST_F(Shares, WithoutFilesForItAReservationIsRefusedAndLeavesNoTrace) {
  const uint64_t held = store().budget().held();
  const uint64_t before = store().memory_files();
  std::vector<std::pair<Holder, uint64_t>> asked;
  store().may_make_files = [&](Holder who, uint64_t files) {
    asked.emplace_back(who, files);
    return Status::LimitExceeded("no files");
  };
  EXPECT_CODE(kLimitExceeded, machine_.Reserve(client_, 5 * kMi));
  EXPECT_EQ(asked, (std::vector<std::pair<Holder, uint64_t>>{{Holder{1}, 2}}));
  EXPECT_EQ(store().memory_files(), before);
  EXPECT_EQ(store().waiting(), 0U);
  machine_.Run();
  EXPECT_EQ(store().budget().held(), held);
  EXPECT_OK(machine_.Reserve(client_, 100));  // no file of its own
}

TEST_F(Shares, FilesAreCountedForWhoIsMadeAndNotForWhoWaits) {
  const uint64_t before = store().memory_files();
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 60 * kMi));
  const uint64_t files = first->chunks.size();
  EXPECT_EQ(store().memory_files(), before + files);
  Waited waited;
  store().Reserve(machine_.volume(), client_, 40 * kMi, kNever, waited.Callback());
  EXPECT_EQ(store().memory_files(), before + files);
  store().Abort(*first);
  EXPECT_GE(store().memory_files(), before + files);  // not closed yet
  machine_.Run();
  ASSERT_OK(waited.status);
  store().Abort(*waited.extent);
  machine_.Run();
  const uint64_t ready = store().memory_files();
  Waited soon;
  store().Reserve(machine_.volume(), client_, 3 * kMi, kNever, soon.Callback());
  EXPECT_GT(store().memory_files(), ready);  // the pool has not made them yet
  machine_.Run();
  ASSERT_OK(soon.status);
  store().Abort(*soon.extent);
  machine_.Run();
}

TEST_F(Shares, WhoHasWaitedForMemoryAndGetsNoFilesGivesItBack) {
  ASSERT_OK_AND_ASSIGN(Extent * first, machine_.Reserve(client_, 60 * kMi));
  const uint64_t held = store().budget().held() - 60 * kMi;
  Waited large;
  store().Reserve(machine_.volume(), client_, 42 * kMi, kNever, large.Callback());  // three files
  Waited small;
  store().Reserve(machine_.volume(), client_, 33 * kMi, kNever, small.Callback());  // two
  store().may_make_files = [](Holder, uint64_t files) {
    return files <= 2 ? Status::OK() : Status::LimitExceeded("no files");
  };
  store().Abort(*first);
  machine_.Run();
  EXPECT_CODE(kLimitExceeded, large.status);
  EXPECT_OK(small.status);
  EXPECT_EQ(store().budget().held(), held + 33 * kMi);
  EXPECT_EQ(store().waiting(), 0U);
  EXPECT_EQ(machine_.volume().usage(), 33 * kMi);
}

}  // namespace
}  // namespace vineyard::store
