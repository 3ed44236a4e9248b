// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/survey.h"

#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/codec.h"

namespace vineyard::client {
namespace {

using ::testing::ElementsAre;

class SurveyOfDescriptors : public ::testing::Test {
 protected:
  // With so many bytes of its own.
  static ObjectInfo Object(uint64_t id, uint64_t bytes, const std::vector<uint64_t>& members = {}) {
    ObjectInfo info;
    info.id = ObjectId(id);
    info.type_name = "type";
    info.metadata = "{}";
    if (bytes > 0) info.buffers.push_back({info.id.own_blob(), 0, bytes});
    for (const uint64_t member : members) info.members.push_back({"m", ObjectId(member)});
    return info;
  }
  // The blob that was put with this object.
  static ObjectInfo Blob(uint64_t owner, uint64_t bytes) {
    return Object(ObjectId(owner).own_blob().value(), bytes);
  }

  void Add(const ObjectInfo& info) {
    const std::vector<std::byte> bytes = wire::EncodeDescriptor(info);
    const auto descriptor = wire::DecodeDescriptor(bytes);
    ASSERT_TRUE(descriptor.ok());
    builder_.Add(**descriptor);
  }
  Survey Finish(uint64_t most_steps = 100) { return std::move(builder_).Finish(most_steps); }

  SurveyBuilder builder_;
};

std::vector<uint64_t> Ids(const Survey& survey) {
  std::vector<uint64_t> ids;
  for (const Survey::Object& object : survey.objects) ids.push_back(object.id.value());
  return ids;
}

std::vector<std::optional<uint64_t>> Bytes(const Survey& survey) {
  std::vector<std::optional<uint64_t>> bytes;
  for (const Survey::Object& object : survey.objects) bytes.push_back(object.bytes);
  return bytes;
}

TEST_F(SurveyOfDescriptors, PartsAreCountedInWhatTheyAreOfOnceEach) {
  Add(Object(4, 1, {3, 1}));  // in any order
  Add(Object(1, 10));
  Add(Object(2, 20));
  Add(Object(3, 5, {1, 2, 99}));  // 99 is gone meanwhile
  Add(Object(5, 7));
  Add(Blob(1, 10));
  Add(Blob(9, 90));
  const Survey survey = Finish();
  EXPECT_THAT(Ids(survey), ElementsAre(4, 5, ObjectId(9).own_blob().value()));
  EXPECT_THAT(Bytes(survey), ElementsAre(36, 7, 90));
  EXPECT_EQ(survey.looked_at, 7U);
}

TEST_F(SurveyOfDescriptors, ABlobIsAPartOfWhoeverHasABufferInIt) {
  ObjectInfo other = Object(2, 0);
  other.buffers.push_back({ObjectId(1).own_blob(), 4, 6});
  Add(other);
  Add(Blob(1, 10));  // whose object has been deleted
  Add(Blob(3, 30));
  Add(Object(4, 0, {ObjectId(3).own_blob().value()}));
  const Survey survey = Finish();
  EXPECT_THAT(Ids(survey), ElementsAre(2, 4));
  EXPECT_THAT(Bytes(survey), ElementsAre(6, 30));
}

TEST_F(SurveyOfDescriptors, WhereItIsIsWhereItsBytesAre) {
  Add(Object(1, 10));
  Add(Object(2, 10));
  Add(Object(3, 0, {1, 2}));
  Add(Object(4, 10));
  Add(Object(5, 0));
  ObjectInfo both = Object(6, 10);
  both.buffers.push_back({ObjectId(4).own_blob(), 0, 10});
  Add(both);
  for (const uint64_t owner : {1U, 2U, 4U, 8U}) {
    Add(Blob(owner, 10));
    if (owner != 2) builder_.AddSpilled(ObjectId(owner).own_blob());
  }
  const Survey survey = Finish();
  ASSERT_THAT(Ids(survey), ElementsAre(3, 4, 5, 6, ObjectId(8).own_blob().value()));
  std::vector<Survey::Where> where;
  for (const Survey::Object& object : survey.objects) where.push_back(object.where);
  EXPECT_THAT(where, ElementsAre(Survey::Where::kBoth, Survey::Where::kDisk, Survey::Where::kMemory,
                                 Survey::Where::kBoth, Survey::Where::kDisk));
}

TEST_F(SurveyOfDescriptors, AGraphOfTooManyStepsHasNoSum) {
  Add(Object(1, 1));
  for (uint64_t id = 2; id <= 4; ++id) Add(Object(id, 1, {id - 1, id - 1}));
  Add(Object(5, 3));
  const Survey survey = Finish(/*most_steps=*/5);
  EXPECT_THAT(Ids(survey), ElementsAre(4, 5));
  EXPECT_THAT(Bytes(survey), ElementsAre(std::nullopt, 3));
}

TEST_F(SurveyOfDescriptors, TypesAndCreatorsAreThereOnce) {
  for (uint64_t id = 1; id <= 6; ++id) {
    ObjectInfo info = Object(id, 1);
    info.type_name = id % 2 == 0 ? "even" : "odd";
    info.creator.program = id % 3 == 0 ? "train.py" : "load.py";
    Add(info);
  }
  const Survey survey = Finish();
  EXPECT_THAT(survey.types, ElementsAre("odd", "even"));
  ASSERT_EQ(survey.creators.size(), 2U);
  for (const Survey::Object& object : survey.objects) {
    const uint64_t id = object.id.value();
    EXPECT_EQ(survey.types[object.type], id % 2 == 0 ? "even" : "odd");
    EXPECT_EQ(survey.creators[object.creator].program, id % 3 == 0 ? "train.py" : "load.py");
  }
}

}  // namespace
}  // namespace vineyard::client
