// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "layout/ledger.h"

#include <cstring>
#include <random>

#include "base/testing.h"
#include "os/mapping.h"

namespace vineyard::layout {
namespace {

class LedgerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fd_ = os::CreateMemfd("ledger_test", kLedgerSize).value();
    mapping_ = os::Mapping::Open(fd_, kLedgerSize, os::Access::kReadWrite).value();
    ledger_ = Ledger(mapping_.data());
    ledger_.Initialize(3, 1000);
  }
  std::byte* area() { return mapping_.data() + kLedgerPage; }

  os::UniqueFd fd_;
  os::Mapping mapping_;
  Ledger ledger_;
};

TEST_F(LedgerTest, ZeroPagesAreNoLedger) {
  std::memset(mapping_.data(), 0, kLedgerPage);
  EXPECT_CODE(kCorrupted, ledger_.Check());
}

TEST_F(LedgerTest, AnotherVersionIsToldFromDamage) {
  ledger_.header().version = kLedgerVersion + 1;
  EXPECT_CODE(kProtocol, ledger_.Check());
}

TEST_F(LedgerTest, AFreshOneServesNobodyAndHasNoIntent) {
  EXPECT_OK(ledger_.Check());
  EXPECT_EQ(ledger_.header().serving.load(), 0u);
  EXPECT_EQ(ledger_.header().next_id.load(), 1000u);
  ASSERT_OK_AND_ASSIGN(const auto intent, ledger_.ReadIntent());
  EXPECT_FALSE(intent.has_value());
}

TEST_F(LedgerTest, AnIntentIsReadAsItWasPublishedUntilItIsCleared) {
  const std::vector<IntentChange> changes{{1, 2, 3, 4}, {5, 6, 7, 8}};
  ledger_.Publish(42, {9, 10, 11, 0}, changes);
  ASSERT_OK_AND_ASSIGN(const auto intent, ledger_.ReadIntent());
  ASSERT_TRUE(intent.has_value());
  EXPECT_EQ(intent->client_key, 42u);
  EXPECT_EQ(intent->answer.number, 9u);
  EXPECT_EQ(intent->answer.value, 11u);
  ASSERT_EQ(intent->changes.size(), 2u);
  EXPECT_EQ(intent->changes[1].now, 8u);
  ledger_.Clear();
  EXPECT_FALSE(ledger_.ReadIntent().value().has_value());
}

TEST_F(LedgerTest, AnIntentWithoutChangesIsOne) {
  ledger_.Publish(42, {9, 0, 0, 0}, {});
  EXPECT_TRUE(ledger_.ReadIntent().value().has_value());
}

TEST_F(LedgerTest, TheLargestIntentFits) {
  const std::vector<IntentChange> changes(kMaxChanges, IntentChange{1, 2, 3, 4});
  ledger_.Publish(1, {}, changes);
  EXPECT_EQ(ledger_.ReadIntent().value()->changes.size(), kMaxChanges);
  EXPECT_EQ(ledger_.row(0).client_key.load(), 0u);  // not written over
}

TEST_F(LedgerTest, AnImpossibleLengthIsCorrupted) {
  ledger_.Publish(1, {}, std::vector<IntentChange>(2));
  const uint64_t right = ledger_.header().intent.load();
  for (const uint64_t wrong :
       {uint64_t{1}, sizeof(IntentHeader) - 1, sizeof(IntentHeader), right - 1, right + 1,
        right + 32, kIntentArea, kIntentArea + 1, ~uint64_t{0}}) {
    ledger_.header().intent.store(wrong);
    EXPECT_CODE(kCorrupted, ledger_.ReadIntent());
  }
  ledger_.header().intent.store(right);
  EXPECT_OK(ledger_.ReadIntent());
}

TEST_F(LedgerTest, ACountThatOverflowsIsCorrupted) {
  ledger_.Publish(1, {}, std::vector<IntentChange>(2));
  auto* header = reinterpret_cast<IntentHeader*>(area());
  // 2^59 changes of 32 bytes are 0 bytes in 64 bits.
  for (const uint64_t count : {uint64_t{1} << 59, (uint64_t{1} << 59) + 2, ~uint64_t{0}}) {
    header->changes = count;
    EXPECT_CODE(kCorrupted, ledger_.ReadIntent());
  }
}

TEST_F(LedgerTest, EveryFlippedBitOfAnIntentIsNoticed) {
  ledger_.Publish(42, {9, 10, 11, 0}, std::vector<IntentChange>{{1, 2, 3, 4}, {5, 6, 7, 8}});
  const size_t bytes = ledger_.header().intent.load();
  for (size_t bit = 0; bit < bytes * 8; ++bit) {
    area()[bit / 8] ^= std::byte{1} << bit % 8;
    EXPECT_CODE(kCorrupted, ledger_.ReadIntent()) << "bit " << bit;
    area()[bit / 8] ^= std::byte{1} << bit % 8;
  }
  EXPECT_OK(ledger_.ReadIntent());
}

TEST_F(LedgerTest, RowsDoNotOverlap) {
  for (uint32_t n = 0; n < kMaxClients; ++n) {
    ledger_.row(n).client_key.store(n + 1);
    for (Answer& a : ledger_.row(n).answers) a.number = n + 1;
  }
  for (uint32_t n = 0; n < kMaxClients; ++n) {
    ASSERT_EQ(ledger_.row(n).client_key.load(), n + 1);
    for (const Answer& a : ledger_.row(n).answers) ASSERT_EQ(a.number, n + 1);
  }
  const auto* end = reinterpret_cast<const std::byte*>(&ledger_.row(kMaxClients - 1) + 1);
  EXPECT_EQ(end, mapping_.data() + kLedgerSize);
}

}  // namespace
}  // namespace vineyard::layout
