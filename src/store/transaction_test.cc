// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/transaction.h"

#include "base/testing.h"
#include "store/test_machine.h"
#include "store/volume.h"

namespace vineyard::store {
namespace {

using layout::RecordKind;
using layout::Ref;

class TransactionTest : public ::testing::Test {
 protected:
  Volume& volume() { return machine_.volume(); }
  layout::Ledger ledger() { return machine_.store().ledger(); }
  static layout::RecordFields Fields(uint64_t id) {
    layout::RecordFields fields;
    fields.kind = RecordKind::kBlob;
    fields.id = id;
    return fields;
  }
  size_t Indexed() { return volume().catalog().index().live(); }

  Machine machine_;
  uint64_t client_ = machine_.AddClient();
};

TEST_F(TransactionTest, DestroyedUncommittedItLeavesNoTrace) {
  const uint64_t usage = volume().usage();
  {
    Transaction tx(volume());
    ASSERT_OK_AND_ASSIGN(const Ref ref, tx.Stage(Fields(7), {}, {}));
    tx.Change(7, Ref(), ref);
    EXPECT_GT(volume().usage(), usage);
    EXPECT_EQ(Indexed(), 0u);  // nobody finds it yet
  }
  EXPECT_EQ(volume().usage(), usage);
  EXPECT_EQ(Indexed(), 0u);
  EXPECT_FALSE(ledger().ReadIntent().value().has_value());
}

TEST_F(TransactionTest, MoreChangesThanAnIntentHoldsAreRefused) {
  Transaction tx(volume());
  const Ref was(RecordKind::kBlob, 1, 64);
  for (size_t i = 0; i <= layout::kMaxChanges; ++i) tx.Change(i + 1, was, Ref());
  EXPECT_CODE(kLimitExceeded, tx.Commit(ledger(), nullptr, nullptr, {}));
  EXPECT_FALSE(ledger().ReadIntent().value().has_value());
}

TEST_F(TransactionTest, CommittedItIsIndexedAnsweredAndTheIntentIsGone) {
  Transaction tx(volume());
  ASSERT_OK_AND_ASSIGN(const Ref ref, tx.Stage(Fields(7), {}, {}));
  tx.Change(7, Ref(), ref);
  const Request request = machine_.NextRequest(client_);
  ASSERT_OK(
      tx.Commit(ledger(), &machine_.store().clients(), request.client, {request.number, 7, 0, 0}));
  EXPECT_EQ(Indexed(), 1u);
  EXPECT_FALSE(ledger().ReadIntent().value().has_value());
  EXPECT_EQ(machine_.store().clients().Recall(*request.client, request.number).value()->id, 7u);
}

TEST_F(TransactionTest, WhatWasReplacedIsFreedAfterTheCommit) {
  Ref first;
  {
    Transaction tx(volume());
    first = tx.Stage(Fields(7), {}, {}).value();
    tx.Change(7, Ref(), first);
    ASSERT_OK(tx.Commit(ledger(), nullptr, nullptr, {}));
  }
  const uint64_t usage = volume().usage();
  Transaction tx(volume());
  ASSERT_OK_AND_ASSIGN(const Ref second, tx.Stage(Fields(7), {}, {}));
  tx.Change(7, first, second);
  EXPECT_NE(layout::SequenceOf(volume().arenas().At(first)), 0u);
  ASSERT_OK(tx.Commit(ledger(), nullptr, nullptr, {}));
  EXPECT_EQ(layout::SequenceOf(volume().arenas().At(first)), 0u);
  EXPECT_EQ(volume().usage(), usage);
  EXPECT_EQ(Indexed(), 1u);
}

}  // namespace
}  // namespace vineyard::store
