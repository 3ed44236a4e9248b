// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/tcp.h"

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/socket.h"

namespace vineyard::os {
namespace {

TEST(TcpAddress, IsWrittenAsItIsRead) {
  for (const char* text : {"127.0.0.1:8080", "0.0.0.0:1", "[::1]:65535", "[::]:0", "10.1.2.3:9"}) {
    ASSERT_OK_AND_ASSIGN(const TcpAddress address, ParseTcpAddress(text));
    EXPECT_EQ(address.ToString(), text);
  }
  EXPECT_EQ(ParseTcpAddress("localhost:80")->ToString(), "127.0.0.1:80");
  EXPECT_EQ(ParseTcpAddress("[0:0:0:0:0:0:0:1]:80")->ToString(), "[::1]:80");
}

TEST(TcpAddress, NothingElseIsOne) {
  for (const char* text : {"", ":", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                           "127.0.0.1:-1", "8080", "127.0.0.1:80 ", "127.1:80", "example.com:80",
                           "::1:80", "[::1]", "[127.0.0.1]:80", "[]:80", "127.0.0.1:0x50"}) {
    EXPECT_CODE(kInvalid, ParseTcpAddress(text)) << text;
  }
}

TEST(TcpAddress, OnlyLoopbackIsOutOfReachOfOthers) {
  EXPECT_TRUE(ParseTcpAddress("127.0.0.1:1")->IsLoopback());
  EXPECT_TRUE(ParseTcpAddress("127.9.9.9:1")->IsLoopback());
  EXPECT_TRUE(ParseTcpAddress("[::1]:1")->IsLoopback());
  for (const char* text : {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "128.0.0.1:1", "[fe80::1]:1",
                           "[::ffff:127.0.0.1]:1"}) {
    EXPECT_FALSE(ParseTcpAddress(text)->IsLoopback()) << text;
  }
}

TEST(TcpAddress, HostsInNumbersAreToldFromNames) {
  EXPECT_TRUE(IsIpAddress("10.0.0.1"));
  EXPECT_TRUE(IsIpAddress("fe80::1"));
  EXPECT_FALSE(IsIpAddress("localhost"));
  EXPECT_FALSE(IsIpAddress("10.0.0.1.example"));
  EXPECT_FALSE(IsIpAddress(""));
}

TEST(ListenTcp, TakesAPortOfTheKernelsChoiceAndRefusesOneThatIsTaken) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenTcp(*ParseTcpAddress("127.0.0.1:0")));
  ASSERT_OK_AND_ASSIGN(const TcpAddress bound, BoundTcpAddress(listener));
  EXPECT_EQ(bound.host, "127.0.0.1");
  EXPECT_NE(bound.port, 0);
  const auto second = ListenTcp(bound);
  EXPECT_CODE(kAlreadyExists, second);
  EXPECT_NE(second.status().message().find(bound.ToString()), std::string::npos);
  EXPECT_CODE(kNotFound, Accept(listener));
}

}  // namespace
}  // namespace vineyard::os
