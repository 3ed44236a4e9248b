// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/guard.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "base/testing.h"

namespace vineyard::http {
namespace {

const os::TcpAddress kLoopback{os::TcpAddress::Family::kIp4, "127.0.0.1", 8080};
const os::TcpAddress kAny{os::TcpAddress::Family::kIp4, "0.0.0.0", 8080};
constexpr const char* kToken = "0123456789abcdef";

int StatusOf(const std::optional<Refusal>& refused) { return refused ? refused->status : 0; }

int ForHost(const os::TcpAddress& address, std::string_view host) {
  Request request;
  request.host = host;
  return StatusOf(Guard(address, "").Check(request));
}

// Note [Who asks]
TEST(Guard, ARequestForAnotherHostIsNotForUs) {
  for (const char* host : {"127.0.0.1:8080", "localhost:8080", "LocalHost:8080", "[::1]:8080"}) {
    EXPECT_EQ(ForHost(kLoopback, host), 0) << host;
    EXPECT_EQ(ForHost(kAny, host), 0) << host;
  }
  for (const char* host : {"evil.example:8080", "evil.example", "127.0.0.1", "localhost",
                           "127.0.0.1:8081", "127.0.0.1:80800", "127.0.0.1.evil.example:8080",
                           "localhost.evil.example:8080", "", ":8080", "user@127.0.0.1:8080"}) {
    EXPECT_EQ(ForHost(kLoopback, host), 421) << host;
    EXPECT_EQ(ForHost(kAny, host), 421) << host;
  }
}

TEST(Guard, WhereAllAddressesAreListenedAtAnyInNumbersWillDo) {
  EXPECT_EQ(ForHost(kAny, "10.1.2.3:8080"), 0);
  EXPECT_EQ(ForHost(kAny, "[fe80::1]:8080"), 0);
  EXPECT_EQ(ForHost(kLoopback, "10.1.2.3:8080"), 421);
  EXPECT_EQ(ForHost({os::TcpAddress::Family::kIp4, "10.1.2.3", 80}, "10.1.2.3"), 0);
}

TEST(Guard, PagesOfOtherSitesMayNotAsk) {
  const Guard guard(kLoopback, "");
  Request request;
  request.host = "localhost:8080";
  request.fetch_site = "same-origin";
  request.origin = "http://localhost:8080";
  EXPECT_EQ(StatusOf(guard.Check(request)), 0);
  for (const char* origin :
       {"http://evil.example", "null", "http://localhost:8081", "https://localhost:8080",
        "http://localhost:80800", "", "http://127.0.0.1:8080"}) {
    request.origin = origin;
    EXPECT_EQ(StatusOf(guard.Check(request)), 403) << origin;
  }
  request.origin.reset();
  request.fetch_site = "cross-site";
  EXPECT_EQ(StatusOf(guard.Check(request)), 403);
}

TEST(Guard, OnlyTheWholeTokenOpens) {
  const Guard guard(kLoopback, kToken);
  Request request;
  EXPECT_EQ(StatusOf(guard.CheckToken(request)), 401);
  for (const char* wrong :
       {"", "Bearer", "Bearer ", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0",
        "Bearer 0123456789abcdeF", "Basic 0123456789abcdef", "0123456789abcdef",
        "Bearer 0123456789abcdef0123456789abcdef"}) {
    request.authorization = wrong;
    EXPECT_EQ(StatusOf(guard.CheckToken(request)), 401) << wrong;
  }
  request.authorization = "bearer 0123456789abcdef";
  EXPECT_EQ(StatusOf(guard.CheckToken(request)), 0);
  EXPECT_EQ(StatusOf(Guard(kLoopback, "").CheckToken(Request{})), 0) << "there is none";
}

TEST(Token, IsOneWordOfSomeLength) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("vineyard-token-" + std::to_string(::getpid()));
  const auto read = [&](const std::string& text) {
    std::ofstream(path, std::ios::trunc) << text;
    return ReadToken(path.string());
  };
  ASSERT_OK_AND_ASSIGN(const std::string token, read("  0123456789abcdef\r\n"));
  EXPECT_EQ(token, kToken);
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("short"), std::string("two words, both long"),
        std::string(2000, 'a'), std::string("0123456789abcde\x01")}) {
    EXPECT_CODE(kInvalid, read(text)) << text;
  }
  std::filesystem::remove(path);
  EXPECT_CODE(kNotFound, ReadToken(path.string()));
  EXPECT_EQ(ReadToken("").value(), "");
}

}  // namespace
}  // namespace vineyard::http
