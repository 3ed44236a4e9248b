// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "layout/index.h"

#include <array>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "base/testing.h"

namespace vineyard::layout {
namespace {

Ref RefOf(uint64_t n) { return {RecordKind::kObject, 1, n * kRecordAlign}; }

// What a volume's catalog does for its index: keeps the segments, and which two are in use.
class Segments {
 public:
  explicit Segments(size_t first) { Add(first); }

  IndexWriter::Hooks Hooks() {
    return {[this](size_t n) -> std::span<Bucket> {
              if (refuse_) return {};
              Add(n);
              in_use_ = ((in_use_.load() & 0xffff) + 1) | (in_use_.load() << 16);
              return Segment(count_ - 1);
            },
            [this] {
              in_use_ = in_use_.load() & 0xffff;
              retired_ = true;
            }};
  }
  std::span<Bucket> Segment(size_t n) { return {segments_[n].get(), sizes_[n]}; }
  std::span<Bucket> Current() { return Segment(in_use_.load() & 0xffff); }

  // As a reader: the current one, then the older.
  bool Has(uint64_t key, Ref ref) {
    const uint32_t in_use = in_use_.load();
    const auto same = [&](Ref found) { return found == ref; };
    if (ProbeSegment(Segment(in_use & 0xffff), key, same)) return true;
    return in_use >> 16 != 0 && ProbeSegment(Segment((in_use >> 16) & 0xffff), key, same);
  }
  std::multimap<uint64_t, uint64_t> All() {
    std::multimap<uint64_t, uint64_t> all;
    for (size_t i = 0; i < count_; ++i) {
      ForEachEntry(Segment(i), [&](uint64_t key, Ref ref) { all.emplace(key, ref.value()); });
    }
    return all;
  }
  void Refuse() { refuse_ = true; }
  [[nodiscard]] size_t count() const { return count_; }
  [[nodiscard]] bool retired() const { return retired_; }

 private:
  void Add(size_t n) {
    segments_[count_] = std::make_unique<Bucket[]>(n);
    sizes_[count_++] = n;
  }
  // Never moves: readers hold on to it.
  std::array<std::unique_ptr<Bucket[]>, 64> segments_;
  std::array<size_t, 64> sizes_{};
  std::atomic<uint32_t> in_use_ = 0;
  size_t count_ = 0;
  bool refuse_ = false;
  bool retired_ = false;
};

TEST(RefBits, AreKindArenaAndOffset) {
  for (const uint32_t arena : {1U, 77U, Ref::kMaxArena}) {
    for (const uint64_t offset : {uint64_t{0}, uint64_t{64}, Ref::kMaxOffset}) {
      const Ref ref(RecordKind::kName, arena, offset);
      EXPECT_EQ(ref.kind(), RecordKind::kName);
      EXPECT_EQ(ref.arena(), arena);
      EXPECT_EQ(ref.offset(), offset);
      EXPECT_FALSE(ref.is_null());
    }
  }
  EXPECT_TRUE(Ref().is_null());
}

TEST(Index, FindsNothingInAnEmptyTable) {
  Segments segments(4);
  const IndexWriter index(segments.Segment(0), segments.Hooks());
  EXPECT_FALSE(segments.Has(5, RefOf(1)));
  EXPECT_EQ(index.live(), 0u);
}

TEST(Index, ErasingWhatIsNotThereChangesNothing) {
  Segments segments(4);
  IndexWriter index(segments.Segment(0), segments.Hooks());
  EXPECT_TRUE(index.Apply(5, RefOf(1), Ref()));
  EXPECT_EQ(index.live(), 0u);
  EXPECT_TRUE(segments.All().empty());
}

TEST(Index, ApplyingAChangeTwiceIsApplyingItOnce) {
  Segments segments(4);
  IndexWriter index(segments.Segment(0), segments.Hooks());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(index.Apply(5, Ref(), RefOf(1)));
  EXPECT_EQ(index.live(), 1u);
  EXPECT_EQ(segments.All().size(), 1u);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(index.Apply(5, RefOf(1), RefOf(2)));
  EXPECT_EQ(index.live(), 1u);
  EXPECT_TRUE(segments.Has(5, RefOf(2)));
  EXPECT_FALSE(segments.Has(5, RefOf(1)));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(index.Apply(5, RefOf(2), Ref()));
  EXPECT_EQ(index.live(), 0u);
  EXPECT_FALSE(segments.Has(5, RefOf(2)));
}

TEST(Index, NamesWithOneHashLiveBesideEachOther) {
  Segments segments(4);
  IndexWriter index(segments.Segment(0), segments.Hooks());
  for (uint64_t i = 1; i <= 6; ++i) ASSERT_TRUE(index.Apply(5, Ref(), RefOf(i)));
  ASSERT_TRUE(index.Apply(5, RefOf(3), Ref()));
  ASSERT_TRUE(index.Apply(5, RefOf(4), RefOf(9)));
  std::set<uint64_t> seen;
  ProbeSegment(segments.Current(), 5, [&](Ref ref) {
    seen.insert(ref.offset() / kRecordAlign);
    return false;
  });
  EXPECT_EQ(seen, (std::set<uint64_t>{1, 2, 5, 6, 9}));
}

TEST(Index, FreedEntriesAreUsedAgain) {
  Segments segments(4);
  IndexWriter index(segments.Segment(0), segments.Hooks());
  for (uint64_t i = 1; i < 10'000; ++i) {
    ASSERT_TRUE(index.Apply(5, Ref(), RefOf(i)));
    ASSERT_TRUE(index.Apply(5, RefOf(i), Ref()));
  }
  EXPECT_EQ(segments.count(), 1u);
}

TEST(Index, ASearchEndsInATableWithoutUnusedEntries) {
  Segments segments(2);
  segments.Refuse();
  IndexWriter index(segments.Segment(0), segments.Hooks());
  uint64_t n = 0;
  while (index.Apply(n + 1, Ref(), RefOf(n + 1))) ++n;
  EXPECT_GE(n, 7u);
  EXPECT_LE(n, 8u);
  EXPECT_FALSE(segments.Has(1000, RefOf(1)));
  for (uint64_t i = 1; i <= n; ++i) EXPECT_TRUE(segments.Has(i, RefOf(i)));
  // Full is not broken: what is there can change and go.
  EXPECT_TRUE(index.Apply(1, RefOf(1), RefOf(99)));
  EXPECT_TRUE(index.Apply(2, RefOf(2), Ref()));
}

TEST(Index, WithoutMemoryForALargerTableTheFullOneRefuses) {
  Segments segments(2);
  segments.Refuse();
  IndexWriter index(segments.Segment(0), segments.Hooks());
  EXPECT_FALSE(index.Reserve(9));
  EXPECT_TRUE(index.Reserve(6));
}

TEST(Index, ReservedChangesAllSucceedWhateverHappensMeanwhile) {
  std::mt19937_64 random(1);
  Segments segments(2);
  IndexWriter index(segments.Segment(0), segments.Hooks());
  uint64_t next = 1;
  std::vector<uint64_t> live;
  for (int round = 0; round < 300; ++round) {
    const size_t more = random() % 200;
    ASSERT_TRUE(index.Reserve(more));
    for (size_t i = 0; i < more; ++i) {
      ASSERT_TRUE(index.Apply(next, Ref(), RefOf(next)));
      live.push_back(next++);
    }
    for (size_t i = random() % (live.size() + 1); i > 0; --i) {
      std::swap(live[random() % live.size()], live.back());
      ASSERT_TRUE(index.Apply(live.back(), RefOf(live.back()), Ref()));
      live.pop_back();
    }
    ASSERT_EQ(index.live(), live.size());
  }
  for (const uint64_t key : live) ASSERT_TRUE(segments.Has(key, RefOf(key)));
  EXPECT_EQ(segments.All().size(), live.size());
  EXPECT_TRUE(segments.retired());
}

TEST(Index, EverythingIsThereAtEveryStepOfGrowth) {
  Segments segments(2);
  IndexWriter index(segments.Segment(0), segments.Hooks());
  std::map<uint64_t, uint64_t> model;
  std::mt19937_64 random(2);
  for (uint64_t n = 1; n < 3000; ++n) {
    const uint64_t key = 1 + random() % 500;
    const auto it = model.find(key);
    const Ref was = it == model.end() ? Ref() : RefOf(it->second);
    const bool erase = !was.is_null() && random() % 3 == 0;
    ASSERT_TRUE(index.Apply(key, was, erase ? Ref() : RefOf(n)));
    if (erase) {
      model.erase(it);
    } else {
      model[key] = n;
    }
    if (n % 50 != 0) continue;
    for (const auto& [k, v] : model) ASSERT_TRUE(segments.Has(k, RefOf(v))) << n;
    ASSERT_EQ(index.live(), model.size());
    ASSERT_EQ(segments.All().size(), model.size());
  }
}

// Readers look while the table grows under them. An entry that is there all the time may be missed
// while it moves, never seen with a ref it did not have; and once the moving is over it is found.
TEST(Index, ReadersLookWhileItGrows) {
  Segments segments(2);
  IndexWriter index(segments.Segment(0), segments.Hooks());
  constexpr uint64_t kStable = 200;
  for (uint64_t i = 1; i <= kStable; ++i) ASSERT_TRUE(index.Apply(i, Ref(), RefOf(i)));
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> hits = 0;
  std::thread reader([&] {
    std::mt19937_64 random(3);
    while (!stop.load(std::memory_order_relaxed)) {
      const uint64_t key = 1 + random() % kStable;
      if (segments.Has(key, RefOf(key))) hits.fetch_add(1, std::memory_order_relaxed);
      ASSERT_FALSE(segments.Has(key, RefOf(1 << 20)));
    }
  });
  for (uint64_t n = kStable + 1; n < 60'000 || hits.load() < 1000; ++n) {
    ASSERT_TRUE(index.Apply(n, Ref(), RefOf(n % 10'000)));
    if (n > 5000 + kStable) {
      ASSERT_TRUE(index.Apply(n - 5000, RefOf((n - 5000) % 10'000), Ref()));
    }
  }
  stop = true;
  reader.join();
  for (uint64_t i = 1; i <= kStable; ++i) EXPECT_TRUE(segments.Has(i, RefOf(i)));
  EXPECT_GT(segments.count(), 3u);
}

TEST(Index, HashesOfNamesAreNeverZero) {
  EXPECT_NE(NameKey("", 0), 0u);
  EXPECT_NE(NameKey("a", 1), NameKey("a", 2));
}

}  // namespace
}  // namespace vineyard::layout
