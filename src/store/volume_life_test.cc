// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Who owns what, and what goes with it: names, parts and blobs.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "store/test_volume.h"

namespace vineyard::store {
namespace {

// ---- names and who owns what

TEST_F(VolumeTest, AnObjectPutWithANameGoesWithItsLastName) {
  const ObjectId id = PutId({.bytes = "x", .name = "a"});
  ASSERT_OK(PutName("b", id));
  ASSERT_OK(DropName("a"));
  EXPECT_TRUE(Exists(id));
  ASSERT_OK(DropName("b"));
  EXPECT_FALSE(Exists(id));
}

TEST_F(VolumeTest, ANameThatOnlyRefersTakesNothingAlong) {
  const ObjectId id = PutId({.bytes = "x"});
  ASSERT_OK(PutName("a", id));
  ASSERT_OK(DropName("a"));
  EXPECT_TRUE(Exists(id));
}

TEST_F(VolumeTest, ANameMayTakeAnObjectOver) {
  for (const TestObject& object : {TestObject{.bytes = "x"}, {.bytes = "y", .large = true}}) {
    const ObjectId id = PutId(object);
    ASSERT_OK(PutOwningName("a", id));
    ASSERT_OK(PutOwningName("b", id));
    machine_.Restart();
    ASSERT_OK(DropName("a"));
    EXPECT_TRUE(Exists(id));
    EXPECT_EQ(volume().Find(id)->owned, true);
    ASSERT_OK(PutName("b", PutId({.bytes = "other"})));
    EXPECT_FALSE(Exists(id));
  }
  ASSERT_OK_AND_ASSIGN(const auto blob, machine_.PutBlob(client_, "blob"));
  ASSERT_OK(PutOwningName("c", ObjectId(blob.id)));
  ASSERT_OK(DropName("c"));
  EXPECT_FALSE(Exists(ObjectId(blob.id)));
}

TEST_F(VolumeTest, ANameThatEndsGoesWhenItsTimeIsUpAndTakesWhatItOwns) {
  const auto at = [](int seconds) { return os::TimePoint(std::chrono::seconds(seconds)); };
  const ObjectId first = PutId({.bytes = "1", .name = "first", .name_ends = at(10)});
  const ObjectId second = PutId({.bytes = "2", .name = "second", .name_ends = at(20)});
  const ObjectId referred = PutId({.bytes = "3"});
  ASSERT_OK(volume().PutName(machine_.NextRequest(client_), "third", referred, {.ends = at(20)}));
  PutId({.bytes = "4", .name = "stays"});
  EXPECT_EQ(volume().NextNameEnd(), at(10));
  volume().DropEnded(at(9));
  EXPECT_TRUE(Exists(first));
  machine_.Restart();
  EXPECT_EQ(volume().NextNameEnd(), at(10)) << "it is kept across engines";
  volume().DropEnded(at(10));
  EXPECT_FALSE(Exists(first));
  EXPECT_EQ(volume().NextNameEnd(), at(20));
  machine_.Restart();
  while (volume().MoveSome(1)) {
  }
  volume().DropEnded(at(30));
  EXPECT_FALSE(Exists(second));
  EXPECT_TRUE(Exists(referred));
  EXPECT_EQ(volume().names().size(), 1U);
  EXPECT_EQ(volume().NextNameEnd(), std::nullopt);
}

// What one change of the ledger can't hold goes in several.
TEST_F(VolumeTest, WhatANameOwnsGoesHoweverMuchItIs) {
  std::vector<ObjectId> branches;
  for (int i = 0; i < 10; ++i) {
    std::vector<ObjectId> leaves;
    for (int n = 0; n < 10; ++n) leaves.push_back(PutId({.bytes = "x", .large = n == 0}));
    branches.push_back(PutId({.bytes = "y", .members = leaves}));
  }
  const ObjectId stays = PutId({.bytes = "z", .name = "stays", .members = {branches[3]}});
  PutId({.bytes = "root", .name = "root", .members = branches, .name_ends = os::TimePoint()});
  volume().SetMostRemovedAtOnce(7);
  volume().DropEnded(os::TimePoint());
  EXPECT_TRUE(Exists(stays));
  EXPECT_TRUE(Exists(branches[3]));
  EXPECT_EQ(volume().objects(), 12U) << "with a branch and its leaves";
  machine_.CheckConsistent();
  ASSERT_OK(DropName("stays"));
  EXPECT_EQ(volume().objects(), 0U);
  machine_.Run();
  EXPECT_EQ(volume().usage(), 0U);
}

// Each is found at once among the others: were all looked through for each, this would take a minute.
TEST_F(VolumeTest, ManyNamesAndOwnersOfOneObjectGoOneByOne) {
  constexpr int kMany = 30'000;
  const ObjectId part = PutId({.bytes = "x"});
  std::vector<ObjectId> owners;
  for (int i = 0; i < kMany; ++i) {
    const std::string name = "name " + std::to_string(i);
    ASSERT_OK(
        volume().PutName(machine_.NextRequest(client_), name, part, {.ends = os::TimePoint()}));
    owners.push_back(PutId({.name = "owner " + std::to_string(i), .members = {part}}));
  }
  while (volume().NextNameEnd()) volume().DropEnded(os::TimePoint());
  EXPECT_EQ(volume().Find(part)->names, 0U);
  for (int i = 0; i + 1 < kMany; ++i) ASSERT_OK(DropName("owner " + std::to_string(i)));
  EXPECT_EQ(volume().Find(part)->parents, 1U);
}

TEST_F(VolumeTest, PointingANameAnywhereSetsItsTimeAnew) {
  const auto at = [](int seconds) { return os::TimePoint(std::chrono::seconds(seconds)); };
  const ObjectId id = PutId({.bytes = "1", .name = "n", .name_ends = at(10)});
  ASSERT_OK(volume().PutName(machine_.NextRequest(client_), "n", id, {.ends = at(30)}));
  EXPECT_EQ(volume().NextNameEnd(), at(30));
  ASSERT_OK(PutName("n", id));
  EXPECT_EQ(volume().NextNameEnd(), std::nullopt);
  ASSERT_OK(Put({.bytes = "2", .name = "n", .name_ends = at(40)}));
  ASSERT_OK(DropName("n"));
  EXPECT_EQ(volume().NextNameEnd(), std::nullopt);
  const ObjectId gone = PutId({.bytes = "3", .name = "n", .name_ends = at(50)});
  ASSERT_OK(Delete(gone));
  EXPECT_EQ(volume().NextNameEnd(), std::nullopt);
}

TEST_F(VolumeTest, OverwritingANameFreesTheOldValueAndCountsVersions) {
  const ObjectId first = PutId({.bytes = "1", .name = "n"});
  const uint64_t usage = volume().usage();
  for (uint64_t version = 2; version < 10; ++version) {
    ASSERT_OK_AND_ASSIGN(const auto answer, Put({.bytes = "2", .name = "n"}));
    EXPECT_EQ(answer.value, version);
    EXPECT_EQ(volume().FindName("n")->version, version);
    EXPECT_EQ(machine_.ReadName("n")->fields().version, version);
  }
  EXPECT_FALSE(Exists(first));
  EXPECT_EQ(volume().objects(), 1u);
  EXPECT_EQ(volume().usage(), usage);
}

TEST_F(VolumeTest, OverwritingAReferringNameKeepsWhatItReferredTo) {
  const ObjectId id = PutId({.bytes = "1"});
  ASSERT_OK(PutName("n", id));
  PutId({.bytes = "2", .name = "n"});
  EXPECT_TRUE(Exists(id));
}

TEST_F(VolumeTest, PuttingANameWhereItIsAlreadyKeepsTheObject) {
  const ObjectId id = PutId({.bytes = "1", .name = "n"});
  ASSERT_OK_AND_ASSIGN(const auto answer, PutName("n", id));
  EXPECT_EQ(answer.value, 2u);
  EXPECT_TRUE(Exists(id));
}

TEST_F(VolumeTest, ANamedPartOfAnObjectStaysWithTheObject) {
  const ObjectId part = PutId({.bytes = "1", .name = "part"});
  const ObjectId whole = PutId({.bytes = "2", .members = {part}});
  ASSERT_OK(DropName("part"));
  EXPECT_TRUE(Exists(part));
  ASSERT_OK(Delete(whole));
  EXPECT_FALSE(Exists(part));
}

TEST_F(VolumeTest, AValueThatRefersToTheOneItReplacesKeepsIt) {
  const ObjectId first = PutId({.bytes = "1", .name = "n"});
  const ObjectId second = PutId({.bytes = "2", .name = "n", .members = {first}});
  EXPECT_TRUE(Exists(first));
  ASSERT_OK(DropName("n"));
  EXPECT_FALSE(Exists(first));
  EXPECT_FALSE(Exists(second));
}

TEST_F(VolumeTest, AValueThatRefersToPartsOfTheOneItReplacesKeepsThem) {
  const ObjectId kept = PutId({.bytes = "kept"});
  const ObjectId lost = PutId({.bytes = "lost"});
  const ObjectId deep = PutId({.bytes = "deep"});
  const ObjectId middle = PutId({.bytes = "middle", .members = {deep}});
  PutId({.bytes = "1", .name = "n", .members = {kept, lost, middle}});
  PutId({.bytes = "2", .name = "n", .members = {kept, deep}});
  EXPECT_TRUE(Exists(kept));
  EXPECT_TRUE(Exists(deep));
  EXPECT_FALSE(Exists(lost));
  EXPECT_FALSE(Exists(middle));
}

TEST_F(VolumeTest, AValueThatRefersToBytesOfTheOneItReplacesKeepsThem) {
  const ObjectId first = PutId({.bytes = "large", .name = "n", .large = true});
  const uint64_t usage = volume().usage();
  const ObjectId second = PutId({.name = "n", .blobs = {first.own_blob()}});
  machine_.Run();
  EXPECT_FALSE(Exists(first));
  EXPECT_TRUE(Exists(first.own_blob()));
  EXPECT_EQ(volume().ExtentsOf(*volume().Find(second)), std::vector{first.own_blob()});
  EXPECT_NEAR(static_cast<double>(volume().usage()), static_cast<double>(usage), 512);
  ASSERT_OK(DropName("n"));
  machine_.Run();
  EXPECT_FALSE(Exists(first.own_blob()));
  EXPECT_EQ(volume().usage(), 0u);
}

TEST_F(VolumeTest, RenamingToAPartOfTheOldValueKeepsThePart) {
  const ObjectId part = PutId({.bytes = "part"});
  const ObjectId whole = PutId({.bytes = "whole", .name = "n", .members = {part}});
  ASSERT_OK(PutName("n", part));
  EXPECT_FALSE(Exists(whole));
  EXPECT_TRUE(Exists(part));
}

TEST_F(VolumeTest, ANamedBlobGoesWithItsName) {
  ASSERT_OK_AND_ASSIGN(const auto answer, machine_.PutBlob(client_, "bytes", "b"));
  const ObjectId blob(answer.id);
  EXPECT_TRUE(blob.is_blob());
  EXPECT_EQ(volume().blobs(), 1u);
  ASSERT_OK(DropName("b"));
  EXPECT_FALSE(Exists(blob));
}

TEST_F(VolumeTest, ABlobStaysWhileAnObjectHasBuffersInIt) {
  const ObjectId blob(machine_.PutBlob(client_, "bytes", "b")->id);
  const ObjectId a = PutId({.blobs = {blob}});
  const ObjectId b = PutId({.blobs = {blob}});
  ASSERT_OK(DropName("b"));
  EXPECT_CODE(kFailedPrecondition, Delete(blob));
  ASSERT_OK(Delete(a));
  EXPECT_TRUE(Exists(blob));
  ASSERT_OK(Delete(b));
  EXPECT_FALSE(Exists(blob));
}

// ---- deleting

TEST_F(VolumeTest, APartIsDeletedOnlyByForceAndThenTheWholeGoesToo) {
  const ObjectId part = PutId({.bytes = "part"});
  const ObjectId other = PutId({.bytes = "other"});
  const ObjectId whole = PutId({.bytes = "whole", .members = {part, other}});
  const ObjectId top = PutId({.bytes = "top", .name = "top", .members = {whole}});
  EXPECT_CODE(kFailedPrecondition, Delete(part));
  EXPECT_CODE(kFailedPrecondition, Delete({part.value()}, {.deep = false}));
  ASSERT_OK_AND_ASSIGN(const auto answer, Delete({part.value()}, {.force = true}));
  EXPECT_EQ(answer.value, 4u);
  for (const ObjectId id : {part, other, whole, top}) EXPECT_FALSE(Exists(id));
  EXPECT_EQ(volume().FindName("top"), nullptr);
}

TEST_F(VolumeTest, APartMayGoTogetherWithItsWhole) {
  const ObjectId part = PutId({.bytes = "part"});
  const ObjectId whole = PutId({.bytes = "whole", .members = {part}});
  EXPECT_OK(Delete({part.value(), whole.value(), part.value()}, {}));
  EXPECT_EQ(volume().objects(), 0u);
}

TEST_F(VolumeTest, DeletingAllOrNothing) {
  const ObjectId id = PutId({.bytes = "x"});
  EXPECT_CODE(kNotFound, Delete({id.value(), 12345}, {}));
  EXPECT_TRUE(Exists(id));
}

TEST_F(VolumeTest, ShallowDeletingKeepsMembersButNotTheOwnBytes) {
  const ObjectId part = PutId({.bytes = "part"});
  const ObjectId whole = PutId({.bytes = "large", .members = {part}, .large = true});
  ASSERT_OK(Delete({whole.value()}, {.deep = false}));
  EXPECT_TRUE(Exists(part));
  EXPECT_FALSE(Exists(whole.own_blob()));
}

TEST_F(VolumeTest, DeepDeletingKeepsWhatOthersOrNamesReferTo) {
  const ObjectId shared = PutId({.bytes = "shared"});
  const ObjectId named = PutId({.bytes = "named", .name = "n"});
  const ObjectId a = PutId({.bytes = "a", .members = {shared, named}});
  const ObjectId b = PutId({.bytes = "b", .members = {shared}});
  ASSERT_OK_AND_ASSIGN(const auto answer, Delete({a.value()}, {}));
  EXPECT_EQ(answer.value, 1u);
  EXPECT_TRUE(Exists(shared));
  EXPECT_TRUE(Exists(named));
  ASSERT_OK(Delete(b));
  EXPECT_FALSE(Exists(shared));
}

TEST_F(VolumeTest, ADiamondGoesWhole) {
  const ObjectId bottom = PutId({.bytes = "bottom"});
  const ObjectId left = PutId({.bytes = "left", .members = {bottom}});
  const ObjectId right = PutId({.bytes = "right", .members = {bottom}});
  const ObjectId top = PutId({.bytes = "top", .members = {left, right, bottom}});
  ASSERT_OK_AND_ASSIGN(const auto answer, Delete({top.value()}, {}));
  EXPECT_EQ(answer.value, 4u);
}

TEST_F(VolumeTest, DeletingTakesAllNamesAlong) {
  const ObjectId id = PutId({.bytes = "x", .name = "a"});
  for (int i = 0; i < 20; ++i) ASSERT_OK(PutName("b" + std::to_string(i), id));
  ASSERT_OK(Delete(id));
  EXPECT_TRUE(volume().names().empty());
}

TEST_F(VolumeTest, ALongChainIsDeletedWithoutRecursion) {
  ObjectId last = PutId({.bytes = "x"});
  for (int i = 0; i < 5000; ++i) last = PutId({.bytes = "x", .members = {last}});
  ASSERT_OK_AND_ASSIGN(const auto answer, Delete({last.value()}, {}));
  EXPECT_EQ(answer.value, 5001u);
  EXPECT_EQ(volume().usage(), 0u);
}

TEST_F(VolumeTest, TheExtentOfADeletedObjectIsGivenBack) {
  const uint64_t held = machine_.store().budget().held();
  const ObjectId id = PutId({.bytes = std::string(3 << 20, 'x'), .large = true});
  EXPECT_EQ(volume().ExtentsOf(*volume().Find(id)), std::vector{id.own_blob()});
  EXPECT_GE(volume().usage(), uint64_t{3} << 20);
  ASSERT_OK(Delete(id));
  machine_.Run();
  EXPECT_EQ(volume().usage(), 0u);
  EXPECT_LE(machine_.store().budget().held(), held + (64 << 10));
  EXPECT_EQ(machine_.keeper().Count(HeldKind::kChunk), 0u);
}

}  // namespace
}  // namespace vineyard::store
