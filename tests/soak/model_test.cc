// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What judges a soak must itself be right: the rules, and what is made of an end half-way.
#include "soak/model.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "soak/seat.h"

namespace vineyard::soak {
namespace {

constexpr Operation kPutOne{.what = Kind::kPut,
                            .slot = 0,
                            .count = 1,
                            .name = kNoName,
                            .size = 100,
                            .label = 0,
                            .seed = 64};

Outcome Made(uint64_t id) {
  Outcome outcome{};
  outcome.ids[0] = id;
  return outcome;
}

Operation Put(uint32_t name) {
  Operation put = kPutOne;
  put.name = name;
  return put;
}

Operation Of(Kind what, uint32_t slot, uint32_t name) {
  Operation operation = kPutOne;
  operation.what = what;
  operation.slot = slot;
  operation.name = name;
  return operation;
}

std::vector<uint64_t> IdsOf(const Model& model) {
  std::vector<uint64_t> ids;
  for (const Held& held : model.objects()) ids.push_back(held.id);
  return ids;
}

using Ids = std::vector<uint64_t>;

TEST(SoakModel, AnObjectGoesWithTheLastNameThatOwnsIt) {
  const auto model = std::make_unique<Model>();
  model->Apply(Put(0), Made(1));
  model->Apply(Of(Kind::kPutName, 0, 1), {});
  model->Apply(Of(Kind::kDropName, 0, 0), {});
  EXPECT_EQ(IdsOf(*model), Ids({1}));
  EXPECT_EQ(model->names()[0].version, 0U);
  model->Apply(Put(1), Made(2));
  EXPECT_EQ(IdsOf(*model), Ids({2}));
  EXPECT_EQ(model->names()[1].id, 2U);
  EXPECT_EQ(model->names()[1].version, 2U);
  EXPECT_EQ(model->bytes(), 100U);
}

TEST(SoakModel, WhatWasPutWithoutANameStaysWithoutOne) {
  const auto model = std::make_unique<Model>();
  model->Apply(kPutOne, Made(1));
  model->Apply(Of(Kind::kPutName, 0, 3), {});
  model->Apply(Of(Kind::kDropName, 0, 3), {});
  EXPECT_EQ(IdsOf(*model), Ids({1}));
}

TEST(SoakModel, AnObjectThatIsDeletedTakesItsNamesAlong) {
  const auto model = std::make_unique<Model>();
  for (uint64_t id = 1; id <= 4; ++id) model->Apply(kPutOne, Made(id));
  model->Apply(Of(Kind::kPutName, 1, 3), {});
  model->Apply(Of(Kind::kPutName, 3, 4), {});
  Operation both = Of(Kind::kDelete, 0, kNoName);
  both.count = 2;
  model->Apply(both, {});
  EXPECT_EQ(IdsOf(*model), Ids({3, 4}));
  EXPECT_EQ(model->names()[3].id, 0U);
  EXPECT_EQ(model->names()[4].id, 4U);
}

TEST(SoakModel, AWholeCountsWithItsParts) {
  const auto model = std::make_unique<Model>();
  Outcome outcome = Made(3);
  outcome.parts = {1, 2};
  model->Apply(Of(Kind::kPutWhole, 0, kNoName), outcome);
  EXPECT_EQ(model->bytes(), 300U);
  model->Apply(Of(Kind::kDelete, 0, kNoName), {});
  EXPECT_EQ(model->bytes(), 0U);
}

TEST(SoakModel, ContentIsOfItsSeedAlone) {
  for (const size_t size : {size_t{1}, size_t{8}, size_t{13}, size_t{4096}}) {
    std::vector<std::byte> bytes(size);
    FillContent(bytes, 7);
    EXPECT_TRUE(IsContent(bytes, 7));
    EXPECT_FALSE(IsContent(bytes, 8));
    bytes[size - 1] ^= std::byte{1};
    EXPECT_FALSE(IsContent(bytes, 7));
  }
}

TEST(SoakModel, TypeNamesSayWhoPutWhat) {
  Origin origin;
  EXPECT_TRUE(ReadTypeName(TypeName({3, 12'345}), &origin));
  EXPECT_EQ(origin, (Origin{3, 12'345}));
  for (const char* other : {"", "s", "s3", "s3.", "s3.x", "x3.4", "s3.4x"}) {
    EXPECT_FALSE(ReadTypeName(other, &origin)) << other;
  }
}

class SoakSeat : public ::testing::Test {
 protected:
  // As it is found when the process ended at a phase. What was being changed then is anything.
  void EndAt(Phase phase) {
    seat_->operation = kPutOne;
    seat_->outcome = Made(9);
    if (phase == Phase::kDone) seat_->models[0].Apply(Put(5), Made(77));
    if (phase == Phase::kHalfWay) {
      seat_->models[0].Apply(seat_->operation, seat_->outcome);
      seat_->models[1].Apply(Put(5), Made(77));
    }
    seat_->phase = phase;
  }
  void ExpectBoth(const Ids& ids) const {
    for (const Model& model : seat_->models) EXPECT_EQ(IdsOf(model), ids);
  }

  std::unique_ptr<Seat> seat_ = std::make_unique<Seat>();
};

TEST_F(SoakSeat, AfterTheAnswerTheOperationHasHappenedWhereverItEnded) {
  for (const Phase phase : {Phase::kDone, Phase::kHalfWay}) {
    seat_ = std::make_unique<Seat>();
    EndAt(phase);
    EXPECT_FALSE(seat_->Settle());
    EXPECT_EQ(seat_->phase.load(), Phase::kIdle);
    ExpectBoth({9});
    EXPECT_EQ(seat_->models[0].names()[5].id, 0U);
  }
}

TEST_F(SoakSeat, BeforeTheAnswerNobodyKnows) {
  EndAt(Phase::kBegun);
  EXPECT_TRUE(seat_->Settle());
  ExpectBoth({});
  seat_->GiveUp();
  EXPECT_FALSE(seat_->Settle());
}

}  // namespace
}  // namespace vineyard::soak
