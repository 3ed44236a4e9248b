// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/clients.h"

#include <unistd.h>

#include "base/testing.h"
#include "os/mapping.h"
#include "os/process.h"

namespace vineyard::store {
namespace {

class Clients : public ::testing::Test {
 protected:
  void SetUp() override {
    memory_ = os::CreateMemfd("clients_test", layout::kLedgerSize).value();
    mapping_ = os::Mapping::Open(memory_, layout::kLedgerSize, os::Access::kReadWrite).value();
    ledger_ = layout::Ledger(mapping_.data());
    ledger_.Initialize(1, 1);
    table_ = std::make_unique<ClientTable>(ledger_);
  }
  ClientState* Add(uint64_t low) {
    return table_->Add({1, low}, static_cast<uint64_t>(::getpid()), 0, 1, {}).value();
  }

  os::UniqueFd memory_;
  os::Mapping mapping_;
  layout::Ledger ledger_;
  std::unique_ptr<ClientTable> table_;
};

TEST_F(Clients, OneMoreThanThereAreRowsIsRefused) {
  for (uint32_t i = 0; i < layout::kMaxClients; ++i) Add(i);
  EXPECT_CODE(kLimitExceeded, table_->Add({2, 0}, 1, 0, 1, {}));
  table_->Remove(table_->Find(Token{1, 77})->key);
  EXPECT_OK(table_->Add({2, 0}, 1, 0, 1, {}));
}

TEST_F(Clients, AClientThatIsGoneIsNotFound) {
  const uint64_t key = Add(1)->key;
  table_->Remove(key);
  table_->Remove(key);
  EXPECT_EQ(table_->Find(key), nullptr);
  EXPECT_EQ(table_->Find(Token{1, 1}), nullptr);
  EXPECT_EQ(ledger_.row(0).client_key.load(), 0u);
}

TEST_F(Clients, KeysAreNeverUsedTwice) {
  const uint64_t first = Add(1)->key;
  table_->Remove(first);
  EXPECT_NE(Add(2)->key, first);
  // One taken over from the engine before pushes the counter on.
  ASSERT_OK(table_->Add({3, 3}, 1, 0, 1, {}, 1000));
  EXPECT_GT(Add(4)->key, 1000u);
}

TEST_F(Clients, ARowThatIsUsedAgainRemembersNothing) {
  ClientState* first = Add(1);
  table_->Note(*first, {5, 50, 500, 0});
  table_->Acknowledge(*first, 4);
  const uint32_t row = first->row;
  table_->Remove(first->key);
  ClientState* second = Add(2);
  ASSERT_EQ(second->row, row);
  EXPECT_FALSE(table_->Recall(*second, 5).value().has_value());
  EXPECT_EQ(table_->acknowledged(*second), 0u);
}

TEST_F(Clients, AnAnswerIsRecalledUntilItIsAcknowledged) {
  ClientState* client = Add(1);
  EXPECT_FALSE(table_->Recall(*client, 1).value().has_value());
  table_->Note(*client, {1, 10, 100, 0});
  ASSERT_OK_AND_ASSIGN(const auto answer, table_->Recall(*client, 1));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->value, 100u);
  table_->Acknowledge(*client, 1);
  EXPECT_CODE(kProtocol, table_->Recall(*client, 1));
  table_->Acknowledge(*client, 0);  // never goes back
  EXPECT_EQ(table_->acknowledged(*client), 1u);
}

TEST_F(Clients, NumberZeroIsNoRequest) { EXPECT_CODE(kProtocol, table_->Recall(*Add(1), 0)); }

TEST_F(Clients, AWholeWindowOfAnswersIsRemembered) {
  ClientState* client = Add(1);
  for (uint64_t n = 1; n <= layout::kAnswerWindow; ++n) table_->Note(*client, {n, n, n, 0});
  for (uint64_t n = 1; n <= layout::kAnswerWindow; ++n) {
    ASSERT_EQ(table_->Recall(*client, n).value()->value, n);
  }
}

TEST_F(Clients, WhoHoldsTellsTheThreeThatHoldMost) {
  for (uint64_t i = 1; i <= 5; ++i) {
    ClientState* client = Add(i);
    client->pid = i;
    for (uint64_t blob = 0; blob < i; ++blob) client->mapped.insert(blob);
  }
  const std::string text = table_->WhoHolds({0, 1, 2, 3, 4, 5});
  EXPECT_NE(text.find("pid 5"), std::string::npos);
  EXPECT_NE(text.find("pid 3"), std::string::npos);
  EXPECT_EQ(text.find("pid 2"), std::string::npos);
  EXPECT_LT(text.find("pid 5"), text.find("pid 4"));
  EXPECT_EQ(table_->WhoHolds({99}), "");
}

}  // namespace
}  // namespace vineyard::store
