// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/arena.h"

#include <map>
#include <random>
#include <set>

#include "base/testing.h"
#include "os/memfd.h"
#include "store/test_machine.h"

namespace vineyard::store {
namespace {

using layout::RecordKind;
using layout::Ref;

class Arena : public ::testing::Test {
 protected:
  Arena() : Arena(uint64_t{256} << 20) {}
  explicit Arena(uint64_t limit)
      : budget_(limit), link_(keeper_, events_),
        arenas_(
            1, budget_, link_,
            [this](std::function<void()> work, std::function<void()> done) {
              events_.Post([work = std::move(work), done = std::move(done)] {
                work();
                done();
              });
            },
            [this] { ++closed_; }) {}

  // A record with as many bytes that its slot needs `size`.
  Result<Ref> Make(uint64_t size) {
    VY_ASSIGN_OR_RETURN(const Ref ref, arenas_.Allocate(RecordKind::kObject, size));
    layout::RecordFields fields;
    fields.kind = RecordKind::kObject;
    fields.id = ++sequence_;
    const std::vector<std::byte> bytes(size - layout::kRecordHeader);
    layout::WriteRecord(arenas_.At(ref), fields, {}, bytes, sequence_);
    return ref;
  }

  Events events_;
  FakeKeeper keeper_;
  Budget budget_;
  FakeKeeper::Link link_;
  int closed_ = 0;
  uint64_t sequence_ = 0;
  ArenaSet arenas_;
};

class SmallArena : public Arena {
 protected:
  SmallArena() : Arena(uint64_t{64} << 10) {}
};

TEST(ArenaClasses, HoldWhatTheyAreForAndWasteAtMostAnEighth) {
  uint64_t last = 0;
  const auto check = [&](uint64_t n) {
    const size_t c = ArenaSet::ClassOf(n);
    const uint64_t size = ArenaSet::ClassSize(c);
    ASSERT_GE(size, n) << n;
    ASSERT_EQ(ArenaSet::ClassOf(size), c) << n;
    ASSERT_GE(size, last) << n;
    ASSERT_EQ(size % layout::kRecordAlign, 0u);
    const uint64_t rounded = layout::AlignRecord(n);
    ASSERT_LE(size - rounded, rounded / 8) << n;
    if (c > 0) {
      ASSERT_LT(ArenaSet::ClassSize(c - 1), n);
    }
    last = size;
  };
  for (uint64_t n = 1; n <= 3 << 20; ++n) check(n);
  for (uint64_t n = 3 << 20; n <= uint64_t{70} << 20; n += 4093) check(n);
  EXPECT_EQ(ArenaSet::ClassOf(0), 0u);
}

TEST_F(SmallArena, WithoutRoomForAnotherArenaAllocationFailsAndTakesNothing) {
  std::vector<Ref> refs;
  while (true) {
    auto ref = Make(1024);
    if (!ref.ok()) {
      EXPECT_CODE(kOutOfMemory, ref);
      break;
    }
    refs.push_back(*ref);
  }
  EXPECT_EQ(refs.size(), 64u);
  EXPECT_EQ(budget_.held(), uint64_t{64} << 10);
  arenas_.Free(refs.back());
  EXPECT_OK(Make(1024));
}

TEST_F(Arena, ARecordThatIsTooLargeForAnyClassIsRefused) {
  EXPECT_CODE(kLimitExceeded, arenas_.Allocate(RecordKind::kObject, uint64_t{1} << 40));
}

TEST_F(Arena, SlotsNeverOverlap) {
  std::mt19937 random(1);
  std::map<uint64_t, uint64_t> slots;  // (arena, offset) → size
  std::vector<Ref> live;
  uint64_t bytes = 0;
  const auto at = [](Ref ref) { return uint64_t{ref.arena()} << 40 | ref.offset(); };
  for (int i = 0; i < 20'000; ++i) {
    if (live.empty() || random() % 3 != 0) {
      const uint64_t size = 64 + (random() % 50 == 0 ? random() % 400'000 : random() % 3000);
      ASSERT_OK_AND_ASSIGN(const Ref ref, Make(size));
      const uint64_t slot = arenas_.SlotSize(ref);
      ASSERT_GE(slot, size);
      const auto after = slots.lower_bound(at(ref));
      if (after != slots.end()) {
        ASSERT_GE(after->first, at(ref) + slot);
      }
      if (after != slots.begin()) {
        ASSERT_LE(std::prev(after)->first + std::prev(after)->second, at(ref));
      }
      slots[at(ref)] = slot;
      bytes += slot;
      live.push_back(ref);
    } else {
      std::swap(live[random() % live.size()], live.back());
      bytes -= arenas_.SlotSize(live.back());
      slots.erase(at(live.back()));
      arenas_.Free(live.back());
      live.pop_back();
    }
    ASSERT_EQ(arenas_.bytes_live(), bytes);
  }
  events_.Run();
  EXPECT_EQ(budget_.held(), arenas_.bytes_held());
  for (const Ref ref : live) arenas_.Free(ref);
  events_.Run();
  EXPECT_EQ(arenas_.bytes_live(), 0u);
  EXPECT_EQ(arenas_.count(), 1u);  // the one that takes new slots
  EXPECT_EQ(keeper_.Count(HeldKind::kArena), 1u);
}

TEST_F(Arena, NobodyElseCanWriteIt) {
  ASSERT_OK_AND_ASSIGN(const Ref ref, Make(100));
  const auto arena = arenas_.Find(ref.arena());
  ASSERT_TRUE(arena.has_value());
  ASSERT_OK_AND_ASSIGN(const auto other, os::Reopen(*arena->fd, os::Access::kReadWrite));
  EXPECT_FALSE(os::Mapping::Open(other, arena->size, os::Access::kReadWrite).ok());
  EXPECT_TRUE(os::HasFixedSize(other));
  EXPECT_FALSE(os::PunchAll(other, arena->size).ok());
}

TEST_F(Arena, AnArenaWhoseLastRecordGoesIsClosedAndSaysSo) {
  std::vector<Ref> refs;
  while (arenas_.count() < 3) refs.push_back(Make(uint64_t{100} << 10).value());
  const uint64_t held = budget_.held();
  for (const Ref ref : refs) {
    if (ref.arena() == 2) arenas_.Free(ref);
  }
  EXPECT_EQ(arenas_.count(), 2u);
  EXPECT_GT(closed_, 0);
  EXPECT_FALSE(arenas_.Find(2).has_value());
  EXPECT_EQ(budget_.held(), held);  // until the pages are gone
  events_.Run();
  EXPECT_LT(budget_.held(), held);
}

TEST_F(Arena, ASparseArenaIsEmptiedIntoOthers) {
  // Fill 40 arenas, then leave one record in each.
  std::vector<Ref> refs;
  while (arenas_.count() < 40) refs.push_back(Make(64 << 10).value());
  std::set<uint32_t> kept;
  std::vector<Ref> live;
  for (const Ref ref : refs) {
    if (kept.insert(ref.arena()).second) {
      live.push_back(ref);
    } else {
      arenas_.Free(ref);
    }
  }
  events_.Run();
  const uint64_t before = arenas_.bytes_held();
  size_t moved = 0;
  while (true) {
    const std::vector<Ref> next = arenas_.NextToMove(64);
    if (next.empty()) break;
    for (const Ref ref : next) {
      ASSERT_EQ(std::ranges::count(live, ref), 1);
      ASSERT_OK_AND_ASSIGN(const Ref fresh, Make(64 << 10));
      ASSERT_NE(fresh.arena(), ref.arena());
      std::ranges::replace(live, ref, fresh);
      arenas_.Free(ref);
    }
    moved += next.size();
    ASSERT_LT(moved, 1000u) << "moving never ends";
  }
  events_.Run();
  EXPECT_GT(moved, 10u);
  EXPECT_LT(arenas_.bytes_held(), before / 2);
}

TEST_F(Arena, AnAdoptedArenaMustBeAsItWasLeft) {
  ASSERT_OK_AND_ASSIGN(auto memory, os::CreateMemfd("arena_test", 8192));
  ASSERT_OK_AND_ASSIGN(auto copy, memory.Duplicate());
  EXPECT_CODE(kCorrupted, arenas_.Adopt(7, std::move(copy), 4096));
  EXPECT_EQ(budget_.held(), 0u);
  EXPECT_FALSE(arenas_.Adopt(7, os::UniqueFd(), 4096).ok());
  ASSERT_OK(arenas_.Adopt(7, std::move(memory), 8192));
  EXPECT_EQ(budget_.held(), 8192u);
  EXPECT_TRUE(arenas_.Peek({RecordKind::kName, 7, 8192}).empty());
  EXPECT_TRUE(arenas_.Peek({RecordKind::kName, 8, 0}).empty());
  EXPECT_EQ(arenas_.Peek({RecordKind::kName, 7, 8128}).size(), 64u);
  // New ones get numbers that no reader has met.
  EXPECT_EQ(Make(100).value().arena(), 8u);
  arenas_.CloseEmptyAdopted();
  events_.Run();
  EXPECT_FALSE(arenas_.Find(7).has_value());
}

}  // namespace
}  // namespace vineyard::store
