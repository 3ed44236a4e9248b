// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "http/page.h"

namespace vineyard::http {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Answer, SaysWhatABrowserMustKnow) {
  const std::string head = HeadOf(JsonAnswer("{}"), /*keep_alive=*/true, 1'700'000'000);
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n"));
  for (const char* line :
       {"Content-Length: 2\r\n", "Content-Type: application/json; charset=utf-8\r\n",
        "Cache-Control: no-store\r\n", "X-Content-Type-Options: nosniff\r\n",
        "Referrer-Policy: no-referrer\r\n", "default-src 'none'; script-src 'self';"}) {
    EXPECT_THAT(head, HasSubstr(line));
  }
  EXPECT_THAT(head, Not(HasSubstr("Access-Control")));
  EXPECT_THAT(head, Not(HasSubstr("Connection: close")));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  EXPECT_THAT(HeadOf(TextAnswer(200, "x"), false, 0), HasSubstr("Connection: close\r\n\r\n"));
}

TEST(Answer, WithoutABodyHasNoLengthOfOne) {
  EXPECT_THAT(HeadOf({.status = 304}, true, 0), Not(HasSubstr("Content-Length")));
}

TEST(Answer, RefusalsSayWhatToDo) {
  EXPECT_THAT(HeadOf(ErrorAnswer(401, "a", "b"), false, 0),
              HasSubstr("WWW-Authenticate: Bearer\r\n"));
  EXPECT_THAT(HeadOf(ErrorAnswer(405, "a", "b"), false, 0), HasSubstr("Allow: GET, HEAD\r\n"));
}

TEST(Answer, ErrorsAreJsonWhateverTheMessageSays) {
  const std::string nasty = "</script>\"\\\n\x01\xff";
  const Answer answer = ErrorAnswer(500, "internal", nasty);
  const auto json = nlohmann::json::parse(*answer.body);
  EXPECT_EQ(json["error"]["code"], "internal");
  EXPECT_THAT(json["error"]["message"].get<std::string>(), StartsWith("</script>\"\\\n\x01"));
}

TEST(Page, IsCompiledInAndNamesNoOtherHost) {
  bool has_index = false;
  for (const PageFile& file : PageFiles()) {
    EXPECT_TRUE(file.path.starts_with('/'));
    EXPECT_FALSE(file.body->empty()) << file.path;
    has_index = has_index || file.path == "/";
    if (file.path != "/" && file.path.find("vendor/") != std::string_view::npos) continue;
    EXPECT_THAT(*file.body, Not(HasSubstr("src=\"http"))) << file.path;
    EXPECT_THAT(*file.body, Not(HasSubstr("src=\"//"))) << file.path;
  }
  EXPECT_TRUE(has_index);
}

}  // namespace
}  // namespace vineyard::http
