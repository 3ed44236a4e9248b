// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What an engine left is damaged: the next one sets that aside, and serves the rest.
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "layout/catalog.h"
#include "layout/ledger.h"
#include "os/memfd.h"
#include "store/test_recovery.h"

namespace vineyard::store {
namespace {

TEST_F(RecoveryTest, WithoutALedgerNothingIsKeptAndNothingLeaks) {
  Put({.bytes = "x", .name = "n"});
  Put({.bytes = std::string(kMi, 'x'), .large = true});
  const uint64_t generation = store().options().generation;
  Change(HeldKind::kLedger, generation, 0, [](auto bytes) { bytes[0] ^= std::byte{1}; });
  const RecoveryReport report = machine_.Restart();
  EXPECT_EQ(report.from_generation, 0u);
  EXPECT_EQ(report.set_aside_count, 1u);
  machine_.Run();
  EXPECT_TRUE(volume().entries().empty());
  EXPECT_EQ(keeper().Count(HeldKind::kChunk), 0u);
  EXPECT_EQ(keeper().Count(HeldKind::kArena), 0u);
  EXPECT_EQ(keeper().Count(HeldKind::kLedger), 1u);
  EXPECT_EQ(keeper().Count(HeldKind::kCatalog), 1u);
}

TEST_F(RecoveryTest, ALedgerThatIsTooShortIsSetAside) {
  const uint64_t generation = store().options().generation;
  keeper().Find(HeldKind::kLedger, generation, 0)->fd = os::CreateMemfd("short", 4096).value();
  EXPECT_EQ(machine_.Restart().set_aside_count, 1u);
}

TEST_F(RecoveryTest, ACatalogThatSaysItIsAnotherVolumesIsSetAside) {
  Put({.bytes = "x", .name = "n"});
  Change(HeldKind::kCatalog, 1, CatalogKey(), [&](auto bytes) { HeaderIn(bytes).volume_id = 9; });
  EXPECT_EQ(machine_.Restart().set_aside_count, 1u);
  EXPECT_EQ(store().FindVolume(9), nullptr);
  EXPECT_TRUE(volume().entries().empty());
}

TEST_F(RecoveryTest, TwoCatalogsOfOneNameDoNotStopTheEngine) {
  ASSERT_OK(store().CreateVolume({.volume = 2, .name = "DEFAULT", .hash_seed = 7},
                                 [](Result<Volume*>) {}));
  machine_.Run();
  Change(HeldKind::kCatalog, 2, CatalogKey(),
         [&](auto bytes) { std::memcpy(HeaderIn(bytes).name, "default", 7); });
  const RecoveryReport report = machine_.Restart();  // fails if recovery never ends
  EXPECT_EQ(report.set_aside_count, 1u);
  EXPECT_EQ(report.volumes, 1u);
}

TEST_F(RecoveryTest, NamesUnderAnotherSeedAreSetAside) {
  const ObjectId id = Put({.bytes = "x", .name = "n"});
  Change(HeldKind::kCatalog, 1, CatalogKey(), [&](auto bytes) { HeaderIn(bytes).hash_seed ^= 1; });
  EXPECT_EQ(machine_.Restart().set_aside_count, 1u);
  EXPECT_TRUE(Exists(id));
  EXPECT_EQ(volume().FindName("n"), nullptr);
  machine_.CheckConsistent();
}

TEST_F(RecoveryTest, AnIntentThatIsDamagedIsSetAside) {
  const ObjectId id = Put({.bytes = "x", .name = "n"});
  const uint64_t generation = store().options().generation;
  Change(HeldKind::kLedger, generation, 0, [](auto bytes) {
    layout::Ledger ledger(bytes.data());
    ledger.Publish(1, {}, std::vector<layout::IntentChange>(3));
    bytes[layout::kLedgerPage + 70] ^= std::byte{4};
  });
  EXPECT_EQ(machine_.Restart().set_aside_count, 1u);
  EXPECT_TRUE(Exists(id));
}

class DamageTest : public RecoveryTest,
                   public ::testing::WithParamInterface<std::tuple<int, int>> {};

// Bits flipped anywhere in what an engine left: what can't be true is set aside, the rest is served,
// and the engine lives, and so do those after it.
TEST_P(DamageTest, NeverCrashesAndServesTheRest) {
  const auto [what, seed] = GetParam();
  std::mt19937_64 random(static_cast<unsigned>(seed));
  std::vector<ObjectId> ids;
  for (int i = 0; i < 40; ++i) {
    TestObject object{.bytes = std::string(1 + random() % 400, 'x')};
    if (i % 2 == 0) object.name = "n" + std::to_string(i);
    if (i > 4 && i % 3 == 0) object.members = {ids[random() % ids.size()]};
    object.large = i % 10 == 0;
    ids.push_back(Put(object));
  }
  const size_t entries = volume().entries().size();
  const uint64_t generation = store().options().generation;
  const size_t flips = 1 + random() % 8;
  const auto flip = [&](uint64_t from, uint64_t to) {
    return [&random, flips, from, to](std::span<std::byte> bytes) {
      for (size_t i = 0; i < flips; ++i) {
        bytes[from + random() % (to - from)] ^= std::byte{1} << random() % 8;
      }
    };
  };
  switch (what) {
    case 0: Change(HeldKind::kArena, 1, 1, flip(0, 16384)); break;
    case 1:
      Change(HeldKind::kCatalog, 1, CatalogKey(),
             flip(layout::kFirstSegmentOffset, layout::kFirstSegmentOffset + 4096));
      break;
    case 2: Change(HeldKind::kCatalog, 1, CatalogKey(), flip(0, 512)); break;
    case 3: Change(HeldKind::kLedger, generation, 0, flip(0, 64)); break;
    default: {
      const uint64_t rows = layout::kLedgerPage + layout::kIntentArea;
      Change(HeldKind::kLedger, generation, 0, flip(rows, rows + 2 * sizeof(layout::ClientRow)));
    }
  }
  const RecoveryReport report = machine_.Restart();
  machine_.CheckConsistent();
  if (what == 0 || what == 1) {
    EXPECT_EQ(report.volumes, 1u);
    // One flip hurts at most one record (or entry), and the names that point to it.
    EXPECT_GE(volume().entries().size() + flips, entries);
    EXPECT_LE(report.set_aside_count, 2 * flips + 2);
  }
  // The next engines take over what this one made of it, without a word.
  while (store().MoveSome()) machine_.Run();
  const size_t left = volume().entries().size();
  EXPECT_EQ(machine_.Restart().set_aside_count, 0u);
  EXPECT_EQ(volume().entries().size(), left);
  machine_.CheckConsistent();
  if (store().clients().Find(client_) == nullptr) client_ = machine_.AddClient();
  while (!volume().entries().empty()) Delete(ObjectId(volume().entries().begin()->first));
  machine_.Run();
  machine_.CheckConsistent();
}

INSTANTIATE_TEST_SUITE_P(Seeds, DamageTest,
                         ::testing::Combine(::testing::Range(0, 5), ::testing::Range(0, 40)));

}  // namespace
}  // namespace vineyard::store
