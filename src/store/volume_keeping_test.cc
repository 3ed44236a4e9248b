// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Names that keep in memory what they point to: what is no victim, until when, and what a start makes of it.
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "store/durable_format.h"
#include "store/test_durable.h"

namespace vineyard::store {
namespace {

using std::chrono::hours;
using ::testing::HasSubstr;

class Keeping : public DurableTest {
 protected:
  /// An object in an extent, under a name that keeps it.
  ObjectId PutKept(const std::string& name, uint64_t size = 2 * kMi, TestObject object = {}) {
    object.bytes = Bytes(1, size);
    object.name = name;
    object.large = true;
    object.keeps = true;
    auto answer = machine_->Put(client_, object);
    EXPECT_OK(answer);
    Run();
    return answer.ok() ? ObjectId(answer->id) : ObjectId();
  }
  Result<layout::Answer> Name(const std::string& name, ObjectId id, Volume::Naming naming) {
    return volume().PutName(machine_->NextRequest(client_), name, id, naming);
  }
  Status EvictObject(ObjectId id) { return Evict({id.own_blob()}); }
  uint32_t KeptBy(ObjectId id) { return extent(id.own_blob()).kept; }
  void DropNow(const std::string& name) {
    ASSERT_OK(volume().DropName(machine_->NextRequest(client_), name, {}));
  }
};

// ---- what is refused

TEST_F(Keeping, WithoutANameNothingIsKept) {
  EXPECT_CODE(kInvalid, machine_->Put(client_, {.bytes = "x", .keeps = true}));
  EXPECT_CODE(kInvalid, machine_->Put(client_, {.bytes = "x", .linger = hours(1), .keeps = true}));
  EXPECT_EQ(volume().objects(), 0u);
}

TEST_F(Keeping, ARefusedNameKeepsNothingAndChangesNothing) {
  const ObjectId first = PutKept("n");
  const ObjectId second = Put(2).owner_of_blob();
  EXPECT_CODE(kConflict, Name("n", second, {.if_version = 7, .keeps = true}));
  EXPECT_CODE(kNotFound, Name("n", ObjectId(12345), {.keeps = true}));
  EXPECT_EQ(KeptBy(first), 1u);
  EXPECT_EQ(KeptBy(second), 0u);
}

TEST_F(Keeping, ThereIsAMostThatNamesKeep) {
  volume().SetMostKept(2);
  const ObjectId first = PutKept("a");
  ASSERT_OK(Name("b", first, {.keeps = true}));
  EXPECT_CODE(kLimitExceeded, Name("c", first, {.keeps = true}));
  EXPECT_CODE(kLimitExceeded, machine_->Put(client_, {.bytes = "x", .name = "d", .keeps = true}));
  ASSERT_OK(Name("c", first, {}));
  DropNow("b");
  EXPECT_OK(Name("c", first, {.keeps = true}));
}

// ---- what stays

TEST_F(Keeping, WhatANameKeepsIsNoVictimHoweverMuchComes) {
  const ObjectId kept = PutKept("n", 6 * kMi);
  std::vector<ObjectId> others;
  for (uint64_t seed = 10; seed < 40; ++seed) {
    others.push_back(Put(seed));
    EXPECT_EQ(StateOf(kept.own_blob()), ExtentState::kSealed);
  }
  EXPECT_GT(spiller().counts().evictions, 20u);
  for (uint64_t i = 0; i < 30; ++i) ExpectBytes(others[i], i + 10);
  EXPECT_EQ(StateOf(kept.own_blob()), ExtentState::kSealed);
  EXPECT_FALSE(extent(kept.own_blob()).on_disk) << "nobody tried";
}

TEST_F(Keeping, MarksLeaveItAlone) {
  StoreOptions options = Options();
  options.spill_marks = {.lower = 0.1, .upper = 0.2};
  Begin(options);
  const ObjectId kept = PutKept("n", 6 * kMi);
  const ObjectId other = Put(2, 4 * kMi);
  store().Tick(os::Clock::now() + hours(1));  // it looks again now and then
  Run();
  EXPECT_EQ(StateOf(other), ExtentState::kSpilled);
  EXPECT_EQ(StateOf(kept.own_blob()), ExtentState::kSealed);
}

TEST_F(Keeping, EvictIsRefusedAsOfWhatIsPinned) {
  const ObjectId kept = PutKept("n");
  const Status refused = EvictObject(kept);
  EXPECT_CODE(kFailedPrecondition, refused);
  EXPECT_THAT(refused.message(), HasSubstr("kept in memory by 1 names"));
  EXPECT_EQ(spiller().EvictClean(kMi), 0u);
  EXPECT_EQ(StateOf(kept.own_blob()), ExtentState::kSealed);
}

TEST_F(Keeping, WhatIsBeingWrittenWhenItIsNamedStays) {
  const ObjectId blob = Put(1);
  machine_->disk().Pause();
  Outcome outcome;
  spiller().Evict(std::vector{blob}, kNever, outcome.Callback());
  Run();
  ASSERT_EQ(StateOf(blob), ExtentState::kSpilling);
  ASSERT_OK(Name("n", blob.owner_of_blob(), {.keeps = true}));
  machine_->disk().Resume();
  Run();
  EXPECT_CODE(kFailedPrecondition, outcome.status);
  EXPECT_EQ(StateOf(blob), ExtentState::kSealed);
}

TEST_F(Keeping, MembersAndBlobsOfOthersAreKeptToo) {
  const ObjectId leaf = Put(1).owner_of_blob();
  const ObjectId part = ObjectId(machine_->Put(client_, {.bytes = "part", .members = {leaf}})->id);
  const ObjectId blob = Put(2);
  ASSERT_OK(machine_->Put(
      client_, {.bytes = "whole", .name = "n", .members = {part}, .blobs = {blob}, .keeps = true}));
  EXPECT_EQ(volume().kept_bytes(), 4 * kMi);
  EXPECT_CODE(kFailedPrecondition, EvictObject(leaf));
  EXPECT_CODE(kFailedPrecondition, Evict({blob}));
  DropNow("n");
  EXPECT_OK(Evict({blob}));
  EXPECT_EQ(volume().kept_bytes(), 0u);
}

TEST_F(Keeping, WhoWaitsForMemoryIsToldHowMuchIsKept) {
  PutKept("n", 10 * kMi);
  Status status;
  store().Reserve(volume(), client_, 8 * kMi, os::Clock::now() + hours(1),
                  [&](Result<Extent*> r) { status = r.status(); });
  Run();
  EXPECT_TRUE(status.ok()) << "it waits";
  store().Tick(os::Clock::now() + hours(2));
  EXPECT_CODE(kOutOfMemory, status);
  EXPECT_THAT(status.message(), HasSubstr("10 MiB kept by names"));
}

// ---- until when

TEST_F(Keeping, TwoNamesCountTwice) {
  const ObjectId id = PutKept("a");
  ASSERT_OK(Name("b", id, {.keeps = true}));
  ASSERT_OK(Name("c", id, {}));
  EXPECT_EQ(KeptBy(id), 2u);
  EXPECT_EQ(volume().kept_bytes(), 2 * kMi);
  DropNow("a");
  EXPECT_CODE(kFailedPrecondition, EvictObject(id));
  DropNow("b");
  EXPECT_OK(EvictObject(id));
}

TEST_F(Keeping, PointingTheNameElsewhereOrAnewWithoutItEndsIt) {
  const ObjectId first = PutKept("n");
  ASSERT_OK(Name("other", first, {}));  // what the name owns would go
  const ObjectId second = PutKept("n");
  EXPECT_OK(EvictObject(first));
  EXPECT_CODE(kFailedPrecondition, EvictObject(second));
  ASSERT_OK(Name("n", second, {.owns = true}));
  EXPECT_OK(EvictObject(second));
}

TEST_F(Keeping, TimeEndsIt) {
  const os::TimePoint now = os::Clock::now();
  const ObjectId id = PutKept("n", 2 * kMi, {.name_ends = now + hours(1)});
  ASSERT_OK(Name("other", id, {}));
  volume().DropEnded(now);
  EXPECT_CODE(kFailedPrecondition, EvictObject(id));
  volume().DropEnded(now + hours(1));
  EXPECT_OK(EvictObject(id));
}

TEST_F(Keeping, ItLingersAfterItsClientAndEndsThen) {
  const uint64_t other = machine_->AddClient();
  const ObjectId id = Put(1).owner_of_blob();
  ASSERT_OK(
      volume().PutName(machine_->NextRequest(other), "n", id, {.linger = hours(1), .keeps = true}));
  store().ForgetClient(other);
  volume().DropEnded(os::Clock::now());
  EXPECT_EQ(volume().leases(), 0u);
  EXPECT_CODE(kFailedPrecondition, EvictObject(id));
  machine_->CheckConsistent();
  volume().DropEnded(os::Clock::now() + hours(2));
  EXPECT_EQ(volume().FindName("n"), nullptr);
  EXPECT_OK(EvictObject(id));
}

TEST_F(Keeping, DeletingTheObjectEndsItForItsParts) {
  const ObjectId part = Put(1).owner_of_blob();
  ASSERT_OK(Name("part", part, {}));
  const ObjectId whole = PutKept("n", 2 * kMi, {.members = {part}});
  EXPECT_CODE(kFailedPrecondition, EvictObject(part));
  const uint64_t ids[] = {whole.value()};
  ASSERT_OK(volume().Delete(machine_->NextRequest(client_), ids, true, false));
  EXPECT_OK(EvictObject(part));
  EXPECT_EQ(volume().kept_bytes(), 0u);
}

TEST_F(Keeping, WhatGoesWithTheNameLeavesNothingCounted) {
  PutKept("n");
  DropNow("n");
  Run();
  EXPECT_EQ(volume().kept_bytes(), 0u);
  EXPECT_EQ(volume().objects(), 0u);
}

// ---- other engines

TEST_F(Keeping, EveryNewEngineKeepsItAgain) {
  const ObjectId part = Put(1).owner_of_blob();
  const ObjectId id = PutKept("n", 3 * kMi, {.members = {part}});
  ASSERT_OK(Name("twice", id, {.keeps = true}));
  for (int i = 0; i < 3; ++i) {
    machine_->Restart();
    Run();
    machine_->CheckConsistent();
    EXPECT_EQ(KeptBy(id), 2u);
    EXPECT_CODE(kFailedPrecondition, EvictObject(part));
    while (volume().MoveSome(1)) {
    }
  }
  DropNow("twice");
  machine_->Restart();
  DropNow("n");
  EXPECT_EQ(volume().kept_bytes(), 0u);
}

TEST_F(Keeping, AFlagThatChangedIsDamageAndTheNameIsSetAside) {
  const ObjectId id = Put(1).owner_of_blob();
  ASSERT_OK(Name("n", id, {}));
  ASSERT_OK(Name("whole", id, {.keeps = true}));
  auto* record = const_cast<std::byte*>(volume().arenas().At(volume().FindName("n")->ref));
  layout::RecordFields fields = layout::FieldsOf(record);
  fields.flags ^= layout::kFlagKeeps;
  std::memcpy(record + 8, &fields, sizeof fields);
  EXPECT_EQ(machine_->Restart().set_aside_count, 1u);
  Run();
  EXPECT_EQ(volume().FindName("n"), nullptr);
  EXPECT_EQ(KeptBy(id), 1u);
}

class KeepingCrash : public Keeping, public ::testing::WithParamInterface<const char*> {};

TEST_P(KeepingCrash, TheNameKeepsAndAllIsInMemoryOrThereIsNone) {
  const ObjectId blob = Put(1, 5 * kMi);
  ASSERT_OK(Evict({blob}));
  ASSERT_TRUE(machine_->CrashIn(GetParam(), [&] {
    // As the daemon does it: the name comes while the load holds the extent.
    spiller().Load(std::vector{blob}, kNever, [&](const Status& loaded) {
      if (loaded.ok()) Name("n", blob.owner_of_blob(), {.keeps = true}).status().IgnoreError();
    });
    Run();
  })) << "never passed";
  EXPECT_EQ(machine_->Restart().set_aside_count, 0u);
  Run();
  machine_->CheckConsistent();
  const bool named = volume().FindName("n") != nullptr;
  EXPECT_EQ(extent(blob).kept, named ? 1u : 0u);
  EXPECT_TRUE(!named || StateOf(blob) == ExtentState::kSealed) << "and without being asked for";
  ExpectBytes(blob, 1, 5 * kMi);
  EXPECT_EQ(Evict({blob}).code(), named ? StatusCode::kFailedPrecondition : StatusCode::kOk);
}

INSTANTIATE_TEST_SUITE_P(EveryPlace, KeepingCrash,
                         ::testing::Values("load.made", "load.filled", "load.sealed",
                                           "load.between_holds", "load.held", "record.written",
                                           "commit.before", "commit.published", "commit.applied",
                                           "commit.noted", "commit.cleared"));

// ---- durable ones

TEST_F(Keeping, AfterAColdStartItIsBroughtBackAndKept) {
  const ObjectId large = PutDurable({.bytes = Bytes(3, 6 * kMi), .large = true});
  const ObjectId other = PutDurable({.bytes = Bytes(4, 2 * kMi), .name = "o", .large = true});
  ASSERT_OK(NameDurably("n", large, {.keeps = true}));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ColdStart().restored.set_aside, 0u);
    EXPECT_EQ(StateOf(large.own_blob()), ExtentState::kSealed) << "nobody asked for it";
    EXPECT_EQ(StateOf(other.own_blob()), ExtentState::kSpilled);
    EXPECT_CODE(kFailedPrecondition, EvictObject(large));
    ExpectBytes(large.own_blob(), 3, 6 * kMi);
  }
  ASSERT_OK(NameDurably("n", large));
  ColdStart();
  EXPECT_EQ(StateOf(large.own_blob()), ExtentState::kSpilled);
}

TEST_F(Keeping, WhatThereIsNoMemoryForAfterAColdStartIsKeptOnceItIsAskedFor) {
  const ObjectId large = PutDurable({.bytes = Bytes(3, 7 * kMi), .large = true});
  ASSERT_OK(NameDurably("n", large, {.keeps = true}));
  machine_->Kill();
  Begin(Options(6 * kMi));
  Run();
  EXPECT_EQ(StateOf(large.own_blob()), ExtentState::kSpilled);
  ExpectBytes(Put(1), 1);  // others are served
  machine_->CheckConsistent();
  machine_->Kill();
  Begin(Options());
  Run();
  EXPECT_EQ(StateOf(large.own_blob()), ExtentState::kSealed);
}

TEST_F(Keeping, WhatIsDamagedDoesNotKeepTheRestFromComingBack) {
  const ObjectId bad = PutDurable({.bytes = Bytes(3, 2 * kMi), .large = true});
  const ObjectId good = PutDurable({.bytes = Bytes(4, 2 * kMi), .large = true});
  ASSERT_OK(NameDurably("bad", bad, {.keeps = true}));
  ASSERT_OK(NameDurably("good", good, {.keeps = true}));
  const std::string file = FileOf(bad.own_blob());
  machine_->Kill();
  {
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    ASSERT_TRUE(out);
    out.seekp(kMi);
    out.write("damage", 6);
  }
  ColdStart();
  EXPECT_EQ(StateOf(good.own_blob()), ExtentState::kSealed);
  EXPECT_CODE(kCorrupted, Load({bad.own_blob()}));
}

// ---- its file

class KeepingFile : public ::testing::Test {
 protected:
  static std::vector<uint64_t> Encode(uint8_t flags, layout::RecordKind kind) {
    const std::string name = "prices";
    const auto bytes =
        EncodeDurableRecord({.fields = {.kind = kind, .flags = flags, .value = 43, .version = 3},
                             .head = std::as_bytes(std::span(name)),
                             .ends_ns = {}});
    std::vector<uint64_t> words((bytes.size() + 7) / 8);
    std::memcpy(words.data(), bytes.data(), bytes.size());
    return words;
  }
  static uint32_t& FormatIn(std::vector<uint64_t>& words) {
    return *reinterpret_cast<uint32_t*>(words.data());
  }
  static Result<DurableRecord> Decode(const std::vector<uint64_t>& words) {
    return DecodeDurableRecord(std::as_bytes(std::span(words)));
  }
  static constexpr uint8_t kPlain = layout::kFlagDurable;
  static constexpr uint8_t kKeeping = layout::kFlagDurable | layout::kFlagKeeps;
};

TEST_F(KeepingFile, OnlyANameThatKeepsHasTheNewFormat) {
  std::vector<uint64_t> plain = Encode(kPlain, layout::RecordKind::kName);
  EXPECT_EQ(FormatIn(plain), 1u) << "older programs read it";
  ASSERT_OK(Decode(plain));
  std::vector<uint64_t> keeping = Encode(kKeeping, layout::RecordKind::kName);
  EXPECT_EQ(FormatIn(keeping), 2u) << "and leave this alone";
  ASSERT_OK_AND_ASSIGN(const DurableRecord record, Decode(keeping));
  EXPECT_EQ(record.fields.flags, kKeeping);
}

TEST_F(KeepingFile, NoOtherPairOfFormatAndFlagIsBelieved) {
  std::vector<uint64_t> words = Encode(kPlain, layout::RecordKind::kName);
  FormatIn(words) = 2;
  EXPECT_CODE(kCorrupted, Decode(words));
  FormatIn(words) = 3;
  EXPECT_CODE(kNotSupported, Decode(words));
  FormatIn(words) = 0;
  EXPECT_CODE(kNotSupported, Decode(words));
  words = Encode(kKeeping, layout::RecordKind::kName);
  FormatIn(words) = 1;
  EXPECT_CODE(kCorrupted, Decode(words));
  EXPECT_CODE(kCorrupted, Decode(Encode(kKeeping, layout::RecordKind::kBlob)));
  EXPECT_CODE(kCorrupted, Decode(Encode(kKeeping, layout::RecordKind::kObject)));
}

}  // namespace
}  // namespace vineyard::store
