// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What a volume refuses, what a reader finds in it, labels and answers.
#include "store/volume.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "store/test_volume.h"
#include "wire/codec.h"

namespace vineyard::store {
namespace {

// ---- what is refused changes nothing

TEST_F(VolumeTest, RefusesBadNames) {
  const ObjectId id = PutId({.bytes = "x"});
  for (const std::string& name : {std::string(), std::string(4097, 'n'), std::string("a\0b", 3)}) {
    EXPECT_CODE(kInvalid, PutName(name, id));
    EXPECT_CODE(kInvalid, DropName(name));
  }
  EXPECT_OK(PutName(std::string(4096, 'n'), id));
  EXPECT_OK(PutName("\xff\xfe", id));
}

TEST_F(VolumeTest, RefusesPartsThatAreNotThere) {
  const uint64_t usage = volume().usage();
  EXPECT_CODE(kNotFound, Put({.bytes = "x", .members = {ObjectId(12345)}}));
  EXPECT_CODE(kNotFound, Put({.bytes = "x", .blobs = {ObjectId(12345).own_blob()}}));
  // Objects are no blobs.
  const ObjectId id = PutId({.bytes = "x"});
  EXPECT_CODE(kNotFound, Put({.bytes = "x", .blobs = {id}}));
  ASSERT_OK(Delete(id));
  EXPECT_EQ(volume().usage(), usage);
}

TEST_F(VolumeTest, RefusesBuffersBehindTheirBlob) {
  ObjectInfo info;
  info.type_name = "test";
  info.metadata = "{}";
  for (const BufferRef range : {BufferRef{{}, 0, 5}, BufferRef{{}, 5, 0}, BufferRef{{}, 4, 1},
                                BufferRef{{}, ~uint64_t{0}, 2}, BufferRef{{}, 2, ~uint64_t{0}}}) {
    info.buffers = {range};
    const auto descriptor = wire::EncodeDescriptor(info);
    const std::string bytes = "four";
    EXPECT_CODE(kInvalid, volume().Put(machine_.NextRequest(client_),
                                       {.descriptor = descriptor,
                                        .bytes = std::as_bytes(std::span(bytes)),
                                        .own_size = 4,
                                        .id = machine_.store().NextId()}));
  }
}

TEST_F(VolumeTest, RefusesAnObjectThatIsItsOwnMember) {
  const ObjectId id = machine_.store().NextId();
  ObjectInfo info;
  info.type_name = "test";
  info.members = {{"me", id}};
  const auto descriptor = wire::EncodeDescriptor(info);
  EXPECT_CODE(kNotFound,
              volume().Put(machine_.NextRequest(client_), {.descriptor = descriptor, .id = id}));
}

TEST_F(VolumeTest, RefusesATypenameThatIsEmptyOrTooLong) {
  for (const size_t length : {size_t{0}, size_t{4097}}) {
    ObjectInfo info;
    info.type_name = std::string(length, 't');
    const auto descriptor = wire::EncodeDescriptor(info);
    EXPECT_CODE(kInvalid,
                volume().Put(machine_.NextRequest(client_),
                             {.descriptor = descriptor, .id = machine_.store().NextId()}));
  }
}

TEST_F(VolumeTest, RefusesToNameOrDropWhatIsNotThere) {
  EXPECT_CODE(kNotFound, PutName("n", ObjectId(5)));
  EXPECT_CODE(kNotFound, DropName("n"));
  EXPECT_CODE(kNotFound, Delete(ObjectId(5)));
  EXPECT_CODE(kNotFound, volume().SetLabels(machine_.NextRequest(client_), ObjectId(5), {}));
}

TEST_F(VolumeTest, ComparesVersionsBeforeItSets) {
  const ObjectId id = PutId({.bytes = "x", .name = "n", .if_version = 0});
  EXPECT_CODE(kConflict, Put({.bytes = "y", .name = "n", .if_version = 0}));
  EXPECT_CODE(kConflict, Put({.bytes = "y", .name = "n", .if_version = 2}));
  EXPECT_CODE(kConflict, PutName("n", id, 7));
  EXPECT_CODE(kConflict, DropName("n", 7));
  EXPECT_TRUE(Exists(id));
  ASSERT_OK_AND_ASSIGN(const auto second, Put({.bytes = "y", .name = "n", .if_version = 1}));
  EXPECT_EQ(second.value, 2u);
  EXPECT_OK(DropName("n", 2));
  EXPECT_OK(PutName("n", PutId({.bytes = "z"}), 0));
}

TEST_F(VolumeTest, APutThatFindsNoRoomLeavesNoTrace) {
  const uint64_t free = machine_.store().budget().free();
  machine_.store().budget().Take(Holder{1}, {free});
  const size_t objects = volume().objects();
  std::string bytes(60'000, 'x');
  size_t puts = 0;
  while (Put({.bytes = bytes, .name = "n" + std::to_string(puts)}).ok()) ++puts;
  EXPECT_EQ(volume().objects(), objects + puts);
  EXPECT_EQ(volume().FindName("n" + std::to_string(puts)), nullptr);
  machine_.CheckConsistent();
  machine_.store().budget().Give(Holder{1}, {free});
  EXPECT_OK(Put({.bytes = bytes}));
}

// ---- reading

TEST_F(VolumeTest, AReaderFindsWhatWasPutByTheIndexAlone) {
  const ObjectId id = PutId({.bytes = "hello", .name = "greeting"});
  const auto record = machine_.Read(id);
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(record->bytes().data()), 5), "hello");
  const auto name = machine_.ReadName("greeting");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->fields().value, id.value());
  EXPECT_EQ(name->fields().version, 1u);
  ASSERT_OK(Delete(id));
  EXPECT_FALSE(machine_.Read(id).has_value());
  EXPECT_FALSE(machine_.ReadName("greeting").has_value());
}

TEST_F(VolumeTest, TheIndexGrowsWithWhatItHolds) {
  std::vector<ObjectId> ids;
  for (int i = 0; i < 3000; ++i) ids.push_back(PutId({.bytes = "x"}));
  machine_.CheckConsistent();
  for (size_t i = 0; i < ids.size(); i += 97) EXPECT_TRUE(machine_.Read(ids[i]).has_value());
  for (const ObjectId id : ids) ASSERT_OK(Delete(id));
  EXPECT_EQ(volume().usage(), 0u);
}

// ---- labels

TEST_F(VolumeTest, LabelsAreAddedAndReplacedAndNothingElseChanges) {
  const ObjectId part = PutId({.bytes = "part"});
  const ObjectId id = PutId({.bytes = "hello", .name = "n", .members = {part}});
  const auto before = machine_.Read(id);
  ASSERT_OK(volume().SetLabels(machine_.NextRequest(client_), id, {{"a", "1"}, {"b", "2"}}));
  ASSERT_OK(volume().SetLabels(machine_.NextRequest(client_), id, {{"a", "3"}}));
  const auto after = machine_.Read(id);
  ASSERT_TRUE(after.has_value());
  const ObjectInfo was = wire::ToObjectInfo(**wire::DecodeDescriptor(before->head()));
  const ObjectInfo now = wire::ToObjectInfo(**wire::DecodeDescriptor(after->head()));
  ASSERT_EQ(now.labels.size(), 2u);
  EXPECT_EQ(now.labels[0].value, "3");
  EXPECT_EQ(now.created_unix_ns, was.created_unix_ns);
  EXPECT_EQ(now.members.size(), 1u);
  EXPECT_TRUE(std::ranges::equal(before->bytes(), after->bytes()));
  ASSERT_OK(DropName("n"));
  EXPECT_FALSE(Exists(id));
  EXPECT_FALSE(Exists(part));
}

TEST_F(VolumeTest, ABlobHasNoLabels) {
  const ObjectId blob(machine_.PutBlob(client_, "bytes")->id);
  EXPECT_CODE(kNotFound, volume().SetLabels(machine_.NextRequest(client_), blob, {{"a", "1"}}));
}

// ---- answers

TEST_F(VolumeTest, EachChangeLeavesItsAnswerWithTheClient) {
  const Request request = machine_.NextRequest(client_);
  ASSERT_OK_AND_ASSIGN(const auto answer,
                       volume().Put(request, {.own_size = 0, .id = machine_.store().NextId()}));
  const auto recalled = machine_.store().clients().Recall(*request.client, request.number);
  ASSERT_OK(recalled);
  ASSERT_TRUE(recalled->has_value());
  EXPECT_EQ((*recalled)->id, answer.id);
}

}  // namespace
}  // namespace vineyard::store
