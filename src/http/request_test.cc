// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/request.h"

#include <string>

#include <gtest/gtest.h>

namespace vineyard::http {
namespace {

// 0: it is a request.
int StatusOf(const std::string& head) {
  Request request;
  const auto refused = ParseRequest(head, &request);
  return refused ? refused->status : 0;
}
// One that is in order but for this line of its head.
int WithLine(const std::string& line) {
  return StatusOf("GET / HTTP/1.1\r\nHost: x\r\n" + line + "\r\n\r\n");
}
int WithFirstLine(const std::string& line) { return StatusOf(line + "\r\nHost: x\r\n\r\n"); }

TEST(Request, IsReadWithItsQueryAndTheFieldsThatMeanSomething) {
  const std::string head =
      "GET /api/v1/why?volume=a%20b+c&id=o1&flag HTTP/1.1\r\nhOST:  localhost:1 \r\n"
      "Authorization: Bearer x y\r\nORIGIN: http://localhost:1\r\nAccept: */*\r\n\r\n";
  Request request;
  ASSERT_FALSE(ParseRequest(head, &request));
  EXPECT_EQ(request.path, "/api/v1/why");
  EXPECT_EQ(request.Parameter("volume"), "a b c");
  EXPECT_EQ(request.Parameter("id"), "o1");
  EXPECT_EQ(request.Parameter("flag"), "");
  EXPECT_EQ(request.Parameter("absent"), std::nullopt);
  EXPECT_EQ(request.host, "localhost:1");
  EXPECT_EQ(request.authorization, "Bearer x y");
  EXPECT_EQ(request.origin, "http://localhost:1");
  EXPECT_TRUE(request.keep_alive);
  EXPECT_FALSE(request.head_only);
}

TEST(Request, TheConnectionEndsWhereTheClientSaysSoOrIsOld) {
  Request request;
  ASSERT_FALSE(ParseRequest("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n", &request));
  EXPECT_FALSE(request.keep_alive);
  EXPECT_TRUE(request.head_only);
  ASSERT_FALSE(ParseRequest("GET / HTTP/1.0\r\nHost: x\r\n\r\n", &request));
  EXPECT_FALSE(request.keep_alive);
  ASSERT_FALSE(
      ParseRequest("GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", &request));
  EXPECT_FALSE(request.keep_alive);
  ASSERT_FALSE(
      ParseRequest("GET / HTTP/1.1\r\nHost: x\r\nConnection: TE, close\r\n\r\n", &request));
  EXPECT_FALSE(request.keep_alive) << "one of several";
}

TEST(Request, OutlivesTheBytesItWasReadFrom) {
  Request request;
  {
    std::string head = "GET /path HTTP/1.1\r\nHost: x\r\nOrigin: y\r\n\r\n";
    ASSERT_FALSE(ParseRequest(head, &request));
    head.assign(head.size(), '-');
  }
  EXPECT_EQ(request.path, "/path");
  EXPECT_EQ(request.host, "x");
  EXPECT_EQ(request.origin, "y");
}

TEST(Request, OnlyQuestionsAreAnswered) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "X"}) {
    EXPECT_EQ(WithFirstLine(std::string(method) + " / HTTP/1.1"), 405) << method;
  }
  EXPECT_EQ(WithLine("Content-Length: 1"), 413);
  EXPECT_EQ(WithLine("Content-Length: -0"), 413);
  EXPECT_EQ(WithLine("Content-Length: 0"), 0);
  EXPECT_EQ(WithLine("Content-Length: 0, 0"), 413);
  EXPECT_EQ(WithLine("Content-Length: 18446744073709551616"), 413);
  EXPECT_EQ(WithLine("Transfer-Encoding: chunked"), 413);
  EXPECT_EQ(WithLine("Transfer-Encoding: identity"), 413);
  EXPECT_EQ(WithLine("Transfer-Encoding: xchunked"), 413);
  EXPECT_EQ(WithLine("Content-Length: 0\r\nTransfer-Encoding: chunked"), 413);
}

TEST(Request, FirstLinesThatAreNoneAreRefused) {
  for (const char* line :
       {"", " ", "GET", "GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "/ HTTP/1.1",
        "GET\t/ HTTP/1.1", "G(T / HTTP/1.1", "GET / http/1.1", "GET /\x80 HTTP/1.1",
        "GET /a b HTTP/1.1", "GET http://x/ HTTP/1.1", "GET * HTTP/1.1", "GET ../x HTTP/1.1",
        "GET /?a=%4 HTTP/1.1", "GET /?a=%zz HTTP/1.1"}) {
    EXPECT_EQ(WithFirstLine(line), 400) << line;
  }
  EXPECT_EQ(WithFirstLine("GET / HTTP/2.0"), 505);
  EXPECT_EQ(WithFirstLine("GET / HTTP/1.12"), 505);
  EXPECT_EQ(WithFirstLine("GET /" + std::string(5000, 'a') + " HTTP/1.1"), 414);
}

TEST(Request, FieldsThatTwoServersWouldReadDifferentlyAreRefused) {
  for (const char* line :
       {"No colon", ": nameless", "Name : blank", " Folded: on", "\tFolded", "A\x01: b", "A: b\x01",
        "Host: second", "Origin: a\r\nOrigin: b", "Authorization: a\r\nAuthorization: b",
        "Connection: close\r\nConnection: close", "Connection: a b",
        "Content-Length: 0\r\nContent-Length: 0", "A: b\r\n c", "A: b\nC: d", "A: b\rC: d"}) {
    EXPECT_EQ(WithLine(line), 400) << line;
  }
  EXPECT_EQ(WithLine(std::string("A: b\0c", 6)), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\n\r\n"), 400) << "no host";
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: \r\n\r\n"), 400);
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\nHost: x\n\n"), 400);
}

TEST(Request, HowMuchMayBeSaidIsBounded) {
  std::string fields;
  for (int i = 0; i < 101; ++i) fields += "A: b\r\n";
  EXPECT_EQ(StatusOf("GET / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n"), 431);
  std::string query = "/?";
  for (int i = 0; i < 17; ++i) query += "a=b&";
  EXPECT_EQ(WithFirstLine("GET " + query + " HTTP/1.1"), 400);
}

TEST(Request, EndsAtItsEmptyLine) {
  EXPECT_EQ(EndOfHead("GET / HTTP/1.1\r\nHost: x\r\n"), std::nullopt);
  EXPECT_EQ(EndOfHead("ab\r\n\r\ncd"), 6U);
}

}  // namespace
}  // namespace vineyard::http
