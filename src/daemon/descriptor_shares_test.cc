// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/descriptor_shares.h"

#include <cstdint>
#include <initializer_list>
#include <map>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "layout/ledger.h"

namespace vineyard::daemon {
namespace {

constexpr uint64_t kLimits[] = {64, 256, 1024, 4096, 20'000, 1'048'576};

// Clients that the volume gets in beside those there are.
uint64_t Fill(const DescriptorShares& shares, std::map<uint64_t, uint64_t>* clients,
              uint64_t volume) {
  uint64_t came = 0;
  while (true) {
    uint64_t all = 0;
    for (const auto& [v, count] : *clients) all += count;
    const uint64_t volumes = clients->size() + (clients->contains(volume) ? 0 : 1);
    const uint64_t own = clients->contains(volume) ? clients->at(volume) : 0;
    if (!shares.MayServe({own, all, volumes}).ok()) return came;
    ++(*clients)[volume];
    ++came;
  }
}

TEST(DescriptorShares, AVolumeThatTakesAllItCanLeavesRoomForTheOthers) {
  for (const uint64_t limit : kLimits) {
    const DescriptorShares shares(limit);
    std::map<uint64_t, uint64_t> clients;
    const uint64_t greedy = Fill(shares, &clients, 1);
    EXPECT_GE(greedy, 4U) << limit;
    EXPECT_LE(greedy, std::max<uint64_t>(shares.most_clients() * 3 / 4, 4)) << limit;
    const uint64_t second = Fill(shares, &clients, 2);
    if (limit >= 256) {
      EXPECT_GE(second, 4U) << limit;
    }
    // However many came before: each of the next ones gets some, while descriptors last.
    if (limit >= 1024) {
      EXPECT_GE(Fill(shares, &clients, 3), 4U) << limit;
      EXPECT_GE(Fill(shares, &clients, 4), 2U) << limit;
    }
  }
}

TEST(DescriptorShares, ClientsNeverTakeMoreThanTheirHalfAndAFew) {
  for (const uint64_t limit : kLimits) {
    const DescriptorShares shares(limit);
    std::map<uint64_t, uint64_t> clients;
    uint64_t all = 0;
    for (uint64_t volume = 1; volume < 300; ++volume) all += Fill(shares, &clients, volume);
    EXPECT_LE(all, shares.most_clients() + shares.most_clients() / 8) << limit;
    EXPECT_LE(all, uint64_t{layout::kMaxClients}) << limit;
    EXPECT_LT(all * 6, limit * 5 / 8) << limit;
  }
}

TEST(DescriptorShares, MemoryLeavesAQuarterForConnections) {
  for (const uint64_t limit : kLimits) {
    const DescriptorShares shares(limit);
    EXPECT_LE(shares.most_with_memory(), limit - limit / 4) << limit;
    EXPECT_GE(shares.most_with_memory(), limit / 3) << limit;
    const uint64_t most = shares.most_with_memory();
    EXPECT_OK(shares.MayMake(1, 0, most - 1));
    EXPECT_CODE(kLimitExceeded, shares.MayMake(1, 0, most));
    EXPECT_CODE(kLimitExceeded, shares.MayMake(1, 1, most - 1));
    EXPECT_CODE(kLimitExceeded, shares.MayMake(2, 0, most - 1));
    EXPECT_CODE(kLimitExceeded, shares.MayMake(1, 0, limit));
  }
}

TEST(DescriptorShares, SomeMayAlwaysBeSilent) {
  for (const uint64_t limit : kLimits) {
    const DescriptorShares shares(limit);
    for (const size_t volumes : std::initializer_list<size_t>{0, 1, 2, 10, 1000}) {
      EXPECT_GE(shares.MostSilent(volumes), 4U);
      EXPECT_LE(shares.MostSilent(volumes), 64U);
    }
  }
}

TEST(DescriptorShares, ARefusalSaysWhatThereIsAndWhatToDo) {
  const DescriptorShares shares(1024);
  const Status refused = shares.MayServe({80, 85, 1});
  ASSERT_EQ(refused.code(), StatusCode::kLimitExceeded);
  EXPECT_NE(refused.message().find("80 clients"), std::string_view::npos) << refused.message();
  EXPECT_NE(refused.message().find("ulimit -n"), std::string_view::npos) << refused.message();
  const Status full = shares.MayMake(3, 10, 900);
  ASSERT_EQ(full.code(), StatusCode::kLimitExceeded);
  EXPECT_NE(full.message().find("3 memory files"), std::string_view::npos) << full.message();
  EXPECT_NE(full.message().find("delete objects"), std::string_view::npos) << full.message();
}

}  // namespace
}  // namespace vineyard::daemon
