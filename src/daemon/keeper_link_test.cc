// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/keeper_link.h"

#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "os/memfd.h"
#include "os/packet.h"

namespace vineyard::daemon {
namespace {

// The keeper's end is played by the test.
class KeeperLinkTest : public testing::Test {
 protected:
  KeeperLinkTest() {
    auto ends = os::PacketPair().value();
    keeper_ = std::move(ends.first);
    engine_ = std::move(ends.second);
  }

  void KeeperSays(const KeeperMessage& message, int fd = -1) {
    ASSERT_EQ(os::SendPacket(keeper_, std::as_bytes(std::span(&message, 1)), fd).value(),
              os::Sent::kSent);
  }
  std::vector<std::pair<KeeperMessage, os::UniqueFd>> KeeperReads() {
    std::vector<std::pair<KeeperMessage, os::UniqueFd>> all;
    while (true) {
      KeeperMessage message;
      auto packet =
          os::ReceivePacket(keeper_, std::as_writable_bytes(std::span(&message, 1))).value();
      if (packet.arrival != os::Arrival::kPacket) return all;
      all.emplace_back(message, std::move(packet.fd));
    }
  }
  std::unique_ptr<KeeperLink> Link() {
    return std::make_unique<KeeperLink>(io_, std::move(engine_), [this] { ++lost_; });
  }

  os::UniqueFd keeper_;
  os::UniqueFd engine_;
  asio::io_context io_;
  int lost_ = 0;
};

TEST_F(KeeperLinkTest, AnInventoryComesWithItsDescriptors) {
  const os::UniqueFd memory = os::CreateMemfd("test", os::PageSize()).value();
  KeeperSays({.op = KeeperOp::kHello, .a = 3, .b = 2, .c = 11, .d = 12});
  KeeperSays({.op = KeeperOp::kItem, .kind = KeptKind::kChunk, .a = 5, .f = 6}, memory.get());
  KeeperSays({.op = KeeperOp::kInventoryEnd, .a = 1});
  const Inventory inventory = KeeperLink::ReceiveInventory(engine_).value();
  EXPECT_EQ(inventory.generation, 3u);
  EXPECT_EQ(inventory.start, KeeperStart::kAfterKill);
  EXPECT_EQ(inventory.instance[1], 12u);
  ASSERT_EQ(inventory.items.size(), 1u);
  EXPECT_EQ(inventory.items[0].what.f, 6u);
  EXPECT_EQ(os::FileIdentity(inventory.items[0].fd).value(), os::FileIdentity(memory).value());
}

TEST_F(KeeperLinkTest, AnInventoryThatEndsEarlyOrMakesNoSenseIsRefused) {
  KeeperSays({.op = KeeperOp::kHello});
  KeeperSays({.op = KeeperOp::kInventoryEnd, .a = 1});
  EXPECT_EQ(KeeperLink::ReceiveInventory(engine_).status().code(), StatusCode::kProtocol);

  KeeperSays({.version = 2, .op = KeeperOp::kHello});
  EXPECT_EQ(KeeperLink::ReceiveInventory(engine_).status().code(), StatusCode::kProtocol);

  KeeperSays({.op = KeeperOp::kHello});
  keeper_.Reset();
  EXPECT_EQ(KeeperLink::ReceiveInventory(engine_).status().code(), StatusCode::kUnavailable);
}

TEST_F(KeeperLinkTest, AFullSocketKeepsOrderAndDescriptors) {
  auto link = Link();
  uint64_t count = 0;
  bool sent = true;
  while (sent) {
    sent = link->Hold({.kind = KeptKind::kChunk, .a = count++},
                      os::CreateMemfd("test", os::PageSize()).value().get())
               .value();
    EXPECT_EQ(link->Flushed(), sent);
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(link->Hold({.kind = KeptKind::kChunk, .a = count++},
                            os::CreateMemfd("test", os::PageSize()).value().get())
                     .value());
  }
  bool flushed = false;
  link->WhenFlushed([&] { flushed = true; });
  link->Ready();
  io_.poll();
  EXPECT_FALSE(flushed);

  std::vector<std::pair<KeeperMessage, os::UniqueFd>> all;
  while (!link->Flushed()) {
    for (auto& message : KeeperReads()) all.push_back(std::move(message));
    io_.poll();
  }
  for (auto& message : KeeperReads()) all.push_back(std::move(message));
  EXPECT_TRUE(flushed);
  ASSERT_EQ(all.size(), count + 1);
  for (uint64_t i = 0; i < count; ++i) {
    EXPECT_EQ(all[i].first.a, i);
    EXPECT_TRUE(all[i].second.valid());
  }
  EXPECT_EQ(all.back().first.op, KeeperOp::kReady);
}

TEST_F(KeeperLinkTest, WhenNothingWaitsFlushedIsAtOnce) {
  auto link = Link();
  link->Ready();
  bool flushed = false;
  link->WhenFlushed([&] { flushed = true; });
  EXPECT_TRUE(flushed);
}

TEST_F(KeeperLinkTest, AnswersFindTheirQuestions) {
  auto link = Link();
  const os::UniqueFd memory = os::CreateMemfd("test", os::PageSize()).value();
  std::vector<StatusCode> held;
  int dropped = 0;
  const auto note = [&](const Status& status) { held.push_back(status.code()); };
  ASSERT_TRUE(link->Hold({.kind = KeptKind::kCatalog}, memory.get(), note).value());
  ASSERT_TRUE(link->Hold({.kind = KeptKind::kCatalog}, memory.get(), note).value());
  link->Drop(KeptKind::kChunk, 1, 2, [&] { ++dropped; });
  link->Drop(KeptKind::kChunk, 1, 3);
  const auto questions = KeeperReads();
  ASSERT_EQ(questions.size(), 4u);
  EXPECT_EQ(questions[3].first.sequence, 0u) << "nobody waits for an answer";

  KeeperSays({.op = KeeperOp::kDropped, .sequence = questions[2].first.sequence});
  KeeperSays({.op = KeeperOp::kHeld,
              .sequence = questions[1].first.sequence,
              .c = static_cast<uint64_t>(StatusCode::kInvalid)});
  KeeperSays({.op = KeeperOp::kHeld, .sequence = questions[0].first.sequence});
  KeeperSays({.op = KeeperOp::kHeld, .sequence = 12345});
  io_.poll();
  EXPECT_EQ(dropped, 1);
  EXPECT_EQ(held, (std::vector{StatusCode::kInvalid, StatusCode::kOk}));
}

TEST_F(KeeperLinkTest, TheLossOfTheKeeperIsToldOnce) {
  auto link = Link();
  io_.poll();
  EXPECT_EQ(lost_, 0);
  keeper_.Reset();
  const os::UniqueFd memory = os::CreateMemfd("test", os::PageSize()).value();
  EXPECT_EQ(link->Hold({.kind = KeptKind::kChunk}, memory.get()).status().code(),
            StatusCode::kUnavailable);
  EXPECT_EQ(lost_, 0) << "never from within a call";
  link->Ready();
  io_.run();
  EXPECT_EQ(lost_, 1);
}

TEST_F(KeeperLinkTest, ALinkMayGoWhileItsHandlersAreDue) {
  auto link = Link();
  KeeperSays({.op = KeeperOp::kHeld, .sequence = 1});
  keeper_.Reset();
  link->Ready();
  link.reset();
  io_.run();
  EXPECT_EQ(lost_, 0);
}

}  // namespace
}  // namespace vineyard::daemon
