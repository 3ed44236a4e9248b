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

using Counts = std::map<uint64_t, uint64_t>;  // by socket; those that there are

uint64_t Sum(const Counts& counts) {
  uint64_t sum = 0;
  for (const auto& [socket, count] : counts) sum += count;
  return sum;
}

DescriptorShares::Clients Now(const DescriptorShares& shares, const Counts& clients,
                              uint64_t socket) {
  DescriptorShares::Clients now{
      .of_socket = clients.at(socket), .of_all = Sum(clients), .sockets = clients.size()};
  const uint64_t each = shares.ClientsOfEach(clients.size());
  for (const auto& [other, count] : clients) {
    if (other != socket && count < each) now.kept += each - count;
  }
  return now;
}

// Clients that the socket gets in beside those there are.
uint64_t Fill(const DescriptorShares& shares, Counts* clients, uint64_t socket) {
  uint64_t came = 0;
  (*clients)[socket];
  for (; shares.MayServe(Now(shares, *clients, socket)).ok(); ++came) ++(*clients)[socket];
  return came;
}

TEST(DescriptorShares, ASocketThatIsAloneMayHaveAll) {
  for (const uint64_t limit : kLimits) {
    const DescriptorShares shares(limit);
    Counts clients;
    EXPECT_EQ(Fill(shares, &clients, 1), shares.most_clients()) << limit;
  }
}

// However many there are, and whoever comes first: each gets what it was promised, at least one.
TEST(DescriptorShares, NobodyTakesWhatAnotherSocketWasPromised) {
  for (const uint64_t limit : kLimits) {
    const DescriptorShares shares(limit);
    for (const uint64_t sockets : {2U, 3U, 10U, 40U, 300U}) {
      if (sockets > shares.most_clients()) continue;
      const uint64_t each = shares.ClientsOfEach(sockets);
      EXPECT_GE(each, 1U) << limit << ", " << sockets;
      Counts clients;
      for (uint64_t socket = 1; socket <= sockets; ++socket) clients[socket] = 0;
      const uint64_t greedy = Fill(shares, &clients, 1);
      EXPECT_GE(greedy, shares.most_clients() - (sockets - 1) * each) << limit << ", " << sockets;
      for (uint64_t socket = sockets; socket > 1; --socket) {
        EXPECT_GE(Fill(shares, &clients, socket), each) << limit << ", " << sockets;
      }
      EXPECT_GE(Sum(clients), shares.most_clients());
    }
  }
}

// What is promised to others binds only while they do not have it.
TEST(DescriptorShares, WhatOthersHaveOfTheirsIsNotKeptForThemTwice) {
  const DescriptorShares shares(1024);
  const uint64_t each = shares.ClientsOfEach(2);
  Counts clients{{1, 0}, {2, each}};
  EXPECT_EQ(Fill(shares, &clients, 1), shares.most_clients() - each);
}

TEST(DescriptorShares, OfASocketThatCameLaterAFewAreServedAllTheSame) {
  for (const uint64_t limit : {512U, 4096U}) {
    const DescriptorShares shares(limit);
    Counts clients;
    Fill(shares, &clients, 1);
    EXPECT_GE(Fill(shares, &clients, 2), 2U) << limit;
    EXPECT_GE(Fill(shares, &clients, 3), 1U) << limit;
  }
}

TEST(DescriptorShares, ClientsNeverTakeMoreThanTheirHalfAndAFew) {
  for (const uint64_t limit : kLimits) {
    const DescriptorShares shares(limit);
    Counts clients;
    for (uint64_t socket = 1; socket < 300; ++socket) Fill(shares, &clients, socket);
    const uint64_t all = Sum(clients);
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
    EXPECT_OK(shares.MayMake({.wanted = 1, .used = most - 1}));
    EXPECT_CODE(kLimitExceeded, shares.MayMake({.wanted = 1, .used = most}));
    EXPECT_CODE(kLimitExceeded, shares.MayMake({.wanted = 2, .kept = 0, .used = most - 1}));
    EXPECT_CODE(kLimitExceeded, shares.MayMake({.wanted = 1, .kept = 1, .used = most - 1}));
    EXPECT_CODE(kLimitExceeded, shares.MayMake({.wanted = 2, .used = most - 1}));
    EXPECT_OK(shares.MayMake({.wanted = 2, .rest = 2, .kept = 9, .used = most - 2}));
    EXPECT_CODE(kLimitExceeded,
                shares.MayMake({.wanted = 2, .rest = 1, .kept = 9, .used = most - 2}));
    EXPECT_CODE(kLimitExceeded, shares.MayMake({.wanted = 2, .rest = 2, .used = most - 1}));
    EXPECT_CODE(kLimitExceeded, shares.MayMake({.wanted = 1, .used = limit}));
    EXPECT_LE(shares.FilesOfEach(3) * 3, most / 2 + 3);
    EXPECT_GE(shares.FilesOfEach(3), 1U);
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
  const Status refused = shares.MayServe({.of_socket = 80, .of_all = 85, .kept = 7});
  ASSERT_EQ(refused.code(), StatusCode::kLimitExceeded);
  EXPECT_NE(refused.message().find("80 clients"), std::string_view::npos) << refused.message();
  EXPECT_NE(refused.message().find("ulimit -n"), std::string_view::npos) << refused.message();
  EXPECT_NE(refused.message().find("7 that are kept"), std::string_view::npos) << refused.message();
  const Status full = shares.MayMake({.wanted = 3, .kept = 5, .used = 910});
  ASSERT_EQ(full.code(), StatusCode::kLimitExceeded);
  EXPECT_NE(full.message().find("3 memory files"), std::string_view::npos) << full.message();
  EXPECT_NE(full.message().find("5 kept"), std::string_view::npos) << full.message();
  EXPECT_NE(full.message().find("delete objects"), std::string_view::npos) << full.message();
}

}  // namespace
}  // namespace vineyard::daemon
