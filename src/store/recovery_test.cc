// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/recovery.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <set>

#include "base/testing.h"
#include "os/memfd.h"
#include "store/test_machine.h"

namespace vineyard::store {
namespace {

constexpr uint64_t kMi = uint64_t{1} << 20;

class RecoveryTest : public ::testing::Test {
 protected:
  Store& store() { return machine_.store(); }
  Volume& volume() { return machine_.volume(); }
  FakeKeeper& keeper() { return machine_.keeper(); }
  ObjectId Put(const TestObject& object) {
    auto answer = machine_.Put(client_, object);
    EXPECT_OK(answer);
    return answer.ok() ? ObjectId(answer->id) : ObjectId();
  }
  bool Exists(ObjectId id) { return volume().Find(id) != nullptr; }
  uint64_t Delete(ObjectId id) {
    auto answer =
        volume().Delete(machine_.NextRequest(client_), std::vector{id.value()}, true, true);
    EXPECT_OK(answer);
    return answer.ok() ? answer->value : 0;
  }
  // What a client says when it comes back: it holds none of what it had reserved.
  void ClaimNothing() {
    const auto known = machine_.client(client_).reservations;
    for (const uint64_t blob : known) store().FreeExtent(ObjectId(blob));
    machine_.Run();
  }
  // Replaces memory that the keeper holds by a copy that is changed; sealed memory can't be.
  void Change(HeldKind kind, uint64_t a, uint64_t b,
              const std::function<void(std::span<std::byte>)>& how) {
    HeldMemory* held = keeper().Find(kind, a, b);
    ASSERT_NE(held, nullptr);
    const uint64_t size = os::FileSize(held->fd).value();
    const auto old = os::Mapping::Open(held->fd, size, os::Access::kRead).value();
    os::UniqueFd copy = os::CreateMemfd("recovery_test", size).value();
    const auto fresh = os::Mapping::Open(copy, size, os::Access::kReadWrite).value();
    std::memcpy(fresh.data(), old.data(), size);
    how(fresh.bytes());
    held->fd = std::move(copy);
  }
  layout::CatalogHeader& HeaderIn(std::span<std::byte> bytes) {
    return *reinterpret_cast<layout::CatalogHeader*>(bytes.data());
  }
  uint64_t CatalogKey() { return store().options().generation << 32; }

  Machine machine_;
  uint64_t client_ = machine_.AddClient();
};

TEST_F(RecoveryTest, EverythingIsThereAgain) {
  const ObjectId part = Put({.bytes = "part"});
  const ObjectId whole = Put({.bytes = "whole", .name = "n", .members = {part}});
  const ObjectId large = Put({.bytes = std::string(3 * kMi, 'x'), .name = "large", .large = true});
  const ObjectId blob(machine_.PutBlob(client_, "bytes", "b")->id);
  Put({.bytes = "second", .name = "twice"});
  const ObjectId twice = Put({.bytes = "third", .name = "twice"});
  const uint64_t usage = volume().usage();
  const RecoveryReport report = machine_.Restart();
  EXPECT_EQ(report.set_aside_count, 0u);
  EXPECT_EQ(report.volumes, 1u);
  EXPECT_EQ(report.objects, 4u);
  EXPECT_EQ(report.names, 4u);
  EXPECT_EQ(report.clients, 1u);
  for (const ObjectId id : {part, whole, large, blob, twice}) {
    EXPECT_TRUE(Exists(id));
    EXPECT_TRUE(machine_.Read(id).has_value());
  }
  EXPECT_EQ(volume().FindName("twice")->version, 2u);
  EXPECT_EQ(machine_.ReadName("twice")->fields().version, 2u);
  EXPECT_LE(volume().usage(), usage);
  const Extent* extent = store().FindExtent(large.own_blob());
  ASSERT_NE(extent, nullptr);
  ASSERT_OK_AND_ASSIGN(
      const auto mapping,
      os::Mapping::Open(extent->chunks[0].fd, extent->chunks[0].size, os::Access::kRead));
  EXPECT_EQ(mapping.data()[2 * kMi - 1], std::byte{'x'});
  machine_.CheckConsistent();
  // Who owned what is known too.
  for (const char* name : {"n", "large", "b", "twice"}) {
    ASSERT_OK(volume().DropName(machine_.NextRequest(client_), name, {}));
  }
  machine_.Run();
  EXPECT_EQ(volume().usage(), 0u);
}

TEST_F(RecoveryTest, AnswersThatWereNotAcknowledgedAreCarriedOver) {
  std::vector<layout::Answer> answers;
  for (int i = 0; i < 5; ++i) answers.push_back(machine_.Put(client_, {.bytes = "x"}).value());
  store().clients().Acknowledge(machine_.client(client_), 2);
  machine_.Restart();
  machine_.Restart();
  const ClientState& client = machine_.client(client_);
  EXPECT_FALSE(client.claimed);
  EXPECT_EQ(client.pid, 42u);
  EXPECT_CODE(kProtocol, store().clients().Recall(client, 2));
  for (uint64_t n = 3; n <= 5; ++n) {
    ASSERT_OK_AND_ASSIGN(const auto answer, store().clients().Recall(client, n));
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->id, answers[n - 1].id);
  }
  EXPECT_FALSE(store().clients().Recall(client, 6).value().has_value());
}

TEST_F(RecoveryTest, WhatADeadClientHadReservedIsFreed) {
  const uint64_t dead = machine_.AddClient(Machine::EndedProcess());
  ASSERT_OK(machine_.Reserve(dead, 3 * kMi));
  ASSERT_OK(machine_.Reserve(client_, 5 * kMi));
  const RecoveryReport report = machine_.Restart();
  EXPECT_EQ(report.freed_extents, 1u);
  EXPECT_EQ(report.reservations, 1u);
  EXPECT_EQ(report.clients, 1u);
  EXPECT_EQ(volume().usage(), 5 * kMi);
  EXPECT_EQ(machine_.client(client_).reservations.size(), 1u);
  EXPECT_EQ(keeper().Count(HeldKind::kClient), 1u);
  machine_.CheckConsistent();
  ClaimNothing();
  EXPECT_EQ(volume().usage(), 0u);
  EXPECT_EQ(keeper().Count(HeldKind::kChunk), 0u);
}

TEST_F(RecoveryTest, AnExtentOfWhichAChunkIsMissingIsFreed) {
  ASSERT_OK_AND_ASSIGN(const Extent* extent, machine_.Reserve(client_, 7 * kMi));
  ASSERT_GT(extent->chunks.size(), 1u);
  keeper().Remove(HeldKind::kChunk, extent->blob.value(), 1);
  const RecoveryReport report = machine_.Restart();
  EXPECT_EQ(report.freed_extents, 1u);
  EXPECT_EQ(volume().usage(), 0u);
  EXPECT_EQ(keeper().Count(HeldKind::kChunk), 0u);
}

TEST_F(RecoveryTest, APublishedExtentOfWhichAChunkIsMissingIsSetAsideNotServed) {
  const ObjectId id = Put({.bytes = std::string(7 * kMi, 'x'), .large = true});
  keeper().Remove(HeldKind::kChunk, id.own_blob().value(), 1);
  const RecoveryReport report = machine_.Restart();
  EXPECT_EQ(report.set_aside_count, 1u);
  EXPECT_FALSE(Exists(id.own_blob()));
  machine_.CheckConsistent();
  EXPECT_EQ(keeper().Count(HeldKind::kChunk), 0u);
}

TEST_F(RecoveryTest, AnExtentThatIsNotSealedIsNeverServed) {
  const ObjectId id = Put({.bytes = "large", .large = true});
  HeldMemory* chunk = keeper().Find(HeldKind::kChunk, id.own_blob().value(), 0);
  ASSERT_NE(chunk, nullptr);
  chunk->fd = os::CreateMemfd("loose", chunk->item.c).value();
  EXPECT_EQ(machine_.Restart().set_aside_count, 1u);
  EXPECT_FALSE(Exists(id.own_blob()));
}

// ---- engines that die again and again

TEST_F(RecoveryTest, AnEngineThatDiesWhileTakingOverChangesNothing) {
  const ObjectId id = Put({.bytes = "x", .name = "n"});
  const ObjectId large = Put({.bytes = "large", .large = true});
  for (int i = 0; i < 5; ++i) {
    machine_.RestartAndDie();
    machine_.RestartAndDie();
    const RecoveryReport report = machine_.Restart();
    EXPECT_EQ(report.set_aside_count, 0u);
    EXPECT_TRUE(Exists(id));
    EXPECT_TRUE(Exists(large.own_blob()));
    EXPECT_EQ(machine_.ReadName("n")->fields().value, id.value());
    EXPECT_EQ(keeper().Count(HeldKind::kLedger), 1u);
    EXPECT_EQ(keeper().Count(HeldKind::kCatalog), 1u);
  }
}

TEST_F(RecoveryTest, AHundredGenerationsLeaveNoTrail) {
  std::vector<ObjectId> ids;
  for (int i = 0; i < 200; ++i) ids.push_back(Put({.bytes = std::string(500, 'x')}));
  ids.push_back(Put({.bytes = "large", .name = "large", .large = true}));
  machine_.Restart();
  while (store().MoveSome()) machine_.Run();
  const uint64_t held = store().budget().held();
  const uint64_t usage = volume().usage();
  const size_t items = keeper().items().size();
  for (int generation = 0; generation < 100; ++generation) {
    machine_.Restart();
    Delete(ids[static_cast<size_t>(generation)]);
    ids.push_back(Put({.bytes = std::string(500, 'x')}));
    ids[static_cast<size_t>(generation)] = ids.back();
    ids.pop_back();
    while (store().MoveSome()) machine_.Run();
  }
  for (const ObjectId id : ids) ASSERT_TRUE(machine_.Read(id).has_value());
  EXPECT_EQ(store().budget().held(), held);
  EXPECT_EQ(volume().usage(), usage);
  EXPECT_EQ(keeper().items().size(), items);
  machine_.CheckConsistent();
}

// Each engine dies before it has moved anything; the arenas of all of them are there, then go.
TEST_F(RecoveryTest, ACrashLoopsArenasAreEmptiedInTheEnd) {
  std::vector<ObjectId> ids;
  for (int i = 0; i < 50; ++i) {
    ids.push_back(Put({.bytes = "x", .name = "n" + std::to_string(i)}));
    machine_.Restart();
  }
  EXPECT_EQ(volume().objects(), 50u);
  while (store().MoveSome()) machine_.Run();
  machine_.Run();
  EXPECT_LE(keeper().Count(HeldKind::kArena), 2u);
  for (const ObjectId id : ids) EXPECT_TRUE(machine_.Read(id).has_value());
  machine_.CheckConsistent();
}

TEST_F(RecoveryTest, ArenasOfWhatWasDeletedAreNotKept) {
  const ObjectId id = Put({.bytes = "x"});
  Delete(id);
  machine_.Restart();
  machine_.Run();
  EXPECT_EQ(keeper().Count(HeldKind::kArena), 0u);
}

TEST_F(RecoveryTest, AVolumeThatWasBeingMadeOrRemovedIsNotThere) {
  ASSERT_OK(store().CreateVolume({.volume = 2, .name = "half"}, [](Result<Volume*>) {}));
  EXPECT_EQ(machine_.Restart().volumes, 1u);
  EXPECT_EQ(store().FindVolume(2), nullptr);
  ASSERT_OK(
      store().CreateVolume({.volume = 2, .name = "data", .hash_seed = 1}, [](Result<Volume*>) {}));
  machine_.Run();
  store().FindVolume(2)->catalog().MarkRemoved();
  EXPECT_EQ(machine_.Restart().volumes, 1u);
  EXPECT_EQ(keeper().Count(HeldKind::kCatalog), 1u);
}

TEST_F(RecoveryTest, VolumesKeepTheirNamesQuotasAndObjectsApart) {
  ASSERT_OK(store().CreateVolume({.volume = 2, .name = "data", .quota = 10 * kMi, .hash_seed = 1},
                                 [](Result<Volume*>) {}));
  machine_.Run();
  const ObjectId one = Put({.bytes = "1", .name = "n"});
  ASSERT_OK_AND_ASSIGN(
      const auto two,
      store().FindVolume(2)->Put({}, {.own_size = 0, .name = "n", .id = store().NextId()}));
  EXPECT_EQ(machine_.Restart().volumes, 2u);
  Volume* data = store().FindVolume("data");
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->quota(), 10 * kMi);
  EXPECT_EQ(data->FindName("n")->id, two.id);
  EXPECT_EQ(volume().FindName("n")->id, one.value());
  EXPECT_GT(store().NextVolumeId(), 2u);
  machine_.CheckConsistent(*data);
}

// ---- crashes at named points

struct Point {
  const char* name;
  bool committed;  // whoever dies there has made the change
};
void PrintTo(const Point& point, std::ostream* out) { *out << point.name; }

class CommitCrash : public RecoveryTest, public ::testing::WithParamInterface<Point> {
 protected:
  // The client repeats its request: it must get its first answer, or have to do it again.
  std::optional<layout::Answer> Repeat(uint64_t number) {
    return store().clients().Recall(machine_.client(client_), number).value();
  }
};

TEST_P(CommitCrash, APutWithANameHappenedWholeOrNotAtAll) {
  const Point point = GetParam();
  const ObjectId part = Put({.bytes = "part"});
  const ObjectId first = Put({.bytes = "1", .name = "n", .members = {part}});
  const bool died = machine_.CrashIn(point.name, [&] { Put({.bytes = "2", .name = "n"}); });
  ASSERT_TRUE(died);
  EXPECT_EQ(machine_.Restart().set_aside_count, 0u);
  machine_.CheckConsistent();
  EXPECT_EQ(Exists(first), !point.committed);
  EXPECT_EQ(Exists(part), !point.committed);
  EXPECT_EQ(volume().objects(), point.committed ? 1u : 2u);
  EXPECT_EQ(volume().FindName("n")->version, point.committed ? 2u : 1u);
  const auto answer = Repeat(3);
  ASSERT_EQ(answer.has_value(), point.committed);
  if (answer) {
    EXPECT_EQ(answer->id, volume().FindName("n")->id);
  }
}

TEST_P(CommitCrash, TheNextEngineMayDieTooAndTheOneAfterItFinishes) {
  const Point point = GetParam();
  const ObjectId first = Put({.bytes = "1", .name = "n"});
  ASSERT_TRUE(machine_.CrashIn(point.name, [&] { Put({.bytes = "2", .name = "n"}); }));
  machine_.RestartAndDie();
  machine_.Restart();
  machine_.Restart();
  machine_.CheckConsistent();
  EXPECT_EQ(Exists(first), !point.committed);
  EXPECT_EQ(Repeat(2).has_value(), point.committed);
}

class DeleteCrash : public CommitCrash {};

TEST_P(DeleteCrash, ADeepDeleteHappenedWholeOrNotAtAll) {
  const Point point = GetParam();
  const ObjectId bottom = Put({.bytes = "bottom", .large = true});
  const ObjectId middle = Put({.bytes = "middle", .members = {bottom}});
  const ObjectId top = Put({.bytes = "top", .name = "top", .members = {middle}});
  ASSERT_TRUE(machine_.CrashIn(point.name, [&] { Delete(top); })) << "never passed";
  EXPECT_EQ(machine_.Restart().set_aside_count, 0u);
  machine_.CheckConsistent();
  EXPECT_EQ(volume().entries().size(), point.committed ? 0u : 4u);
  EXPECT_EQ(volume().names().size(), point.committed ? 0u : 1u);
  EXPECT_EQ(Repeat(4).has_value(), point.committed);
  ClaimNothing();
  EXPECT_EQ(volume().usage() == 0, point.committed);
}

// What a change passes on its own account, then what every commit passes.
std::vector<Point> AndEveryCommits(std::vector<Point> points) {
  points.insert(points.end(), {{"commit.before", false},
                               {"commit.published", true},
                               {"commit.between_changes", true},
                               {"commit.between_changes:2", true},
                               {"commit.applied", true},
                               {"commit.noted", true},
                               {"commit.cleared", true}});
  return points;
}

INSTANTIATE_TEST_SUITE_P(Points, CommitCrash,
                         ::testing::ValuesIn(AndEveryCommits({{"record.written", false},
                                                              {"record.written:2", false},
                                                              {"put.staged", false}})));
// A delete writes no record.
INSTANTIATE_TEST_SUITE_P(Points, DeleteCrash,
                         ::testing::ValuesIn(AndEveryCommits({{"delete.committed", true}})));

class OtherCrash : public RecoveryTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(OtherCrash, InsideReserveOrFreeLeavesNoMemoryBehind) {
  const ObjectId kept = Put({.bytes = std::string(kMi, 'k'), .large = true});
  const uint64_t usage = volume().usage();
  const bool died = machine_.CrashIn(
      GetParam(), [&] { Delete(Put({.bytes = std::string(7 * kMi, 'x'), .large = true})); });
  ASSERT_TRUE(died) << "never passed";
  const RecoveryReport report = machine_.Restart();
  EXPECT_EQ(report.set_aside_count, 0u);
  machine_.CheckConsistent();
  // What is there: the object, or a reservation of a client that may still claim it, or nothing.
  const auto all = volume().entries();
  for (const auto& [id, entry] : all) {
    if (id != kept.value() && id != kept.own_blob().value() && !ObjectId(id).is_blob()) {
      Delete(ObjectId(id));
    }
  }
  ClaimNothing();
  EXPECT_TRUE(Exists(kept.own_blob()));
  EXPECT_LE(volume().usage(), usage);
  EXPECT_EQ(keeper().Count(HeldKind::kChunk), 1u);
  machine_.CheckConsistent();
}

INSTANTIATE_TEST_SUITE_P(Points, OtherCrash,
                         ::testing::Values("reserve.made", "reserve.between_holds",
                                           "reserve.between_holds:2", "reserve.held", "put.staged",
                                           "commit.published", "delete.committed", "free.begin",
                                           "free.keeper_dropped"));

TEST_F(RecoveryTest, CrashesUnderRandomLoadLoseNothingThatWasAnswered) {
  std::mt19937 random(1);
  const std::vector<std::string> points{
      "record.written", "commit.before", "commit.published", "commit.between_changes",
      "commit.applied", "commit.noted",  "commit.cleared"};
  for (int round = 0; round < 60; ++round) {
    const std::string point =
        points[random() % points.size()] + ":" + std::to_string(1 + random() % 20);
    const unsigned seed = static_cast<unsigned>(random());
    machine_.CrashIn(point, [&] {
      std::mt19937 child(seed);
      for (int i = 0; i < 15; ++i) {
        const std::string name = "n" + std::to_string(child() % 10);
        if (child() % 4 == 0) {
          volume().DropName(machine_.NextRequest(client_), name, {}).status().IgnoreError();
        } else if (child() % 5 == 0) {
          store().MoveSome();
        } else {
          Put({.bytes = std::string(child() % 5000, 'x'), .name = name});
        }
      }
    });
    const RecoveryReport report = machine_.Restart();
    ASSERT_EQ(report.set_aside_count, 0u) << report.set_aside[0];
    machine_.CheckConsistent();
    ASSERT_FALSE(HasFailure()) << round << " " << point;
    EXPECT_EQ(volume().objects(), volume().names().size());
    // In the child the numbers went on; here they do too.
    for (int i = 0; i < 20; ++i) machine_.NextRequest(client_);
    store().clients().Acknowledge(machine_.client(client_),
                                  machine_.NextRequest(client_).number - 1);
  }
}

// ---- damage

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
