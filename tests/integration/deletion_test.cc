// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// More objects than one request deletes: the call's promises are those of few.
#include <algorithm>

#include <gmock/gmock.h>

#include "base/testing.h"
#include "testing/test_daemon.h"
#include "wire/frame.h"

namespace vineyard {
namespace {

using ::testing::HasSubstr;
using testing::TestDaemon;

constexpr size_t kMany = 3 * wire::kMostDeleted + 7;

class DeletionOfMany : public ::testing::Test {
 protected:
  std::vector<ObjectId> PutMany(size_t count) {
    const std::vector<ObjectBuilder> builders(count, ObjectBuilder("test"));
    std::vector<ObjectId> ids;
    for (const auto& id : client_.PutMany(builders)) {
      EXPECT_OK(id);
      ids.push_back(*id);
    }
    return ids;
  }
  ObjectId PutParentOf(ObjectId member) {
    ObjectBuilder builder("parent");
    builder.AddMember("member", member);
    auto id = client_.Put(builder);
    EXPECT_OK(id);
    return *id;
  }
  uint64_t Objects() { return client_.GetStatus()->objects; }

  TestDaemon daemon_;
  Client client_ = daemon_.Connect();
};

TEST_F(DeletionOfMany, AllGoAndAreCounted) {
  const std::vector<ObjectId> ids = PutMany(kMany);
  const auto gone = client_.Delete(ids);
  ASSERT_OK(gone);
  EXPECT_EQ(*gone, kMany);
  EXPECT_EQ(Objects(), 0U);
}

TEST_F(DeletionOfMany, AnUnknownOneLeavesAll) {
  std::vector<ObjectId> ids = PutMany(kMany);
  ids.push_back(ObjectId(12345));
  const auto gone = client_.Delete(ids);
  EXPECT_EQ(gone.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(gone.status().message(), HasSubstr(ObjectId(12345).ToString()));
  EXPECT_EQ(Objects(), kMany);
}

TEST_F(DeletionOfMany, MembersMayStandBeforeAndBehindWhatTheyAreMembersOf) {
  std::vector<ObjectId> ids = PutMany(kMany);
  // Across requests in both directions at once: neither the first nor the last request can go whole.
  ids.push_back(PutParentOf(ids.front()));
  ids.insert(ids.begin(), PutParentOf(ids[kMany - 1]));
  const auto gone = client_.Delete(ids);
  ASSERT_OK(gone);
  EXPECT_EQ(*gone, kMany + 2);
  EXPECT_EQ(Objects(), 0U);
}

TEST_F(DeletionOfMany, AMemberOfWhatStaysIsRefusedAndStays) {
  const std::vector<ObjectId> ids = PutMany(kMany);
  const ObjectId parent = PutParentOf(ids[wire::kMostDeleted + 1]);
  const auto gone = client_.Delete(ids);
  EXPECT_EQ(gone.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(gone.status().message(), HasSubstr(parent.ToString()));
  EXPECT_TRUE(*client_.Exists(parent));
  EXPECT_TRUE(*client_.Exists(ids[wire::kMostDeleted + 1]));
}

TEST_F(DeletionOfMany, WithForceWhatTheyAreMembersOfGoesToo) {
  const std::vector<ObjectId> ids = PutMany(kMany);
  PutParentOf(ids[kMany / 2]);
  const auto gone = client_.Delete(ids, {.force = true});
  ASSERT_OK(gone);
  EXPECT_EQ(*gone, kMany + 1);
  EXPECT_EQ(Objects(), 0U);
}

TEST_F(DeletionOfMany, TheSameOneTwiceIsDeletedOnce) {
  std::vector<ObjectId> ids = PutMany(kMany);
  ids.push_back(ids.front());
  const auto gone = client_.Delete(ids);
  ASSERT_OK(gone);
  EXPECT_EQ(*gone, kMany);
}

}  // namespace
}  // namespace vineyard
