// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/packet.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "os/memfd.h"

namespace vineyard::os {
namespace {

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

struct Read {
  std::string text;
  Packet packet;
};

Read Receive(const UniqueFd& socket) {
  Read read;
  std::array<std::byte, 64> buffer{};
  read.packet = ReceivePacket(socket, buffer).value();
  if (read.packet.arrival == Arrival::kPacket) {
    read.text.assign(reinterpret_cast<const char*>(buffer.data()),
                     std::min(read.packet.bytes, buffer.size()));
  }
  return read;
}

TEST(Packet, ADescriptorArrivesWithItsPacketAndNamesTheSameMemory) {
  auto [left, right] = PacketPair().value();
  EXPECT_EQ(Receive(right).packet.arrival, Arrival::kNothing);
  const UniqueFd memory = CreateMemfd("packet_test", PageSize()).value();
  ASSERT_EQ(SendPacket(left, Bytes("first"), memory.get()).value(), Sent::kSent);
  ASSERT_EQ(SendPacket(left, Bytes("second"), -1).value(), Sent::kSent);

  const Read first = Receive(right);
  EXPECT_EQ(first.text, "first");
  EXPECT_EQ(FileIdentity(first.packet.fd).value(), FileIdentity(memory).value());
  const Read second = Receive(right);
  EXPECT_EQ(second.text, "second");
  EXPECT_FALSE(second.packet.fd.valid());
}

TEST(Packet, OneThatIsTooLongTellsItsLength) {
  auto [left, right] = PacketPair().value();
  ASSERT_EQ(SendPacket(left, Bytes(std::string(100, 'x')), -1).value(), Sent::kSent);
  const Read read = Receive(right);
  EXPECT_EQ(read.packet.bytes, 100u);
  EXPECT_EQ(read.text.size(), 64u);
}

TEST(Packet, AFullSocketSaysSoAndLosesNothing) {
  auto [left, right] = PacketPair().value();
  size_t sent = 0;
  while (SendPacket(left, Bytes(std::to_string(sent)), -1).value() == Sent::kSent) ++sent;
  for (size_t i = 0; i < sent; ++i) ASSERT_EQ(Receive(right).text, std::to_string(i));
  EXPECT_EQ(Receive(right).packet.arrival, Arrival::kNothing);
  EXPECT_EQ(SendPacket(left, Bytes("again"), -1).value(), Sent::kSent);
}

// The kernel reports the reset of such a connection before the packets that came before it.
TEST(Packet, WhatAKilledProcessSentIsReadEvenIfItHadNotReadWhatWasSentToIt) {
  auto [left, right] = PacketPair().value();
  ASSERT_EQ(SendPacket(left, Bytes("unread"), -1).value(), Sent::kSent);
  const pid_t child = ::fork();
  if (child == 0) {
    left.Reset();
    const UniqueFd memory = CreateMemfd("packet_test", PageSize()).value();
    for (const char* text : {"one", "two"}) {
      if (SendPacket(right, Bytes(text), memory.get()).value() != Sent::kSent) ::_exit(1);
    }
    ::kill(::getpid(), SIGKILL);
  }
  right.Reset();
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  for (const char* text : {"one", "two"}) {
    const Read read = Receive(left);
    EXPECT_EQ(read.text, text);
    EXPECT_TRUE(read.packet.fd.valid());
  }
  EXPECT_EQ(Receive(left).packet.arrival, Arrival::kClosed);
  EXPECT_EQ(SendPacket(left, Bytes("late"), -1).status().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace vineyard::os
