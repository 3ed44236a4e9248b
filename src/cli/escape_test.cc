// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/escape.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/session.h"

namespace vineyard::cli {
namespace {

TEST(EscapeForTerminal, LeavesOrdinaryTextOfAnyLanguageAlone) {
  for (const char* text : {"", "weights/epoch-7", "Größe", "漢字", "🙂", "a b  c", "'\"$`*"}) {
    EXPECT_EQ(EscapeForTerminal(text), text);
  }
}

TEST(EscapeForTerminal, ControlCharactersAndTerminalEscapesAreShownNotObeyed) {
  EXPECT_EQ(EscapeForTerminal("a\nb\r\tc"), "a\\nb\\r\\tc");
  EXPECT_EQ(EscapeForTerminal("\x1b[2J\x1b]0;title\x07"), "\\x1b[2J\\x1b]0;title\\x07");
  EXPECT_EQ(EscapeForTerminal(std::string_view("a\0b\x7f", 4)), "a\\x00b\\x7f");
  EXPECT_EQ(EscapeForTerminal("\xc2\x9b"
                              "31m"),
            "\\u{9b}31m")
      << "an escape in one character";
  EXPECT_EQ(EscapeForTerminal("a\xe2\x80\xae"
                              "b"),
            "a\\u{202e}b")
      << "turns the direction";
  EXPECT_EQ(EscapeForTerminal("\xf3\xa0\x81\x81"), "\\u{e0041}") << "an invisible letter";
}

TEST(EscapeForTerminal, BytesThatAreNoUtf8AreShownAsBytes) {
  EXPECT_EQ(EscapeForTerminal("a\xff\xfe"), "a\\xff\\xfe");
  EXPECT_EQ(EscapeForTerminal("\xc0\xaf"), "\\xc0\\xaf") << "longer than need be";
  EXPECT_EQ(EscapeForTerminal("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "half a surrogate pair";
  EXPECT_EQ(EscapeForTerminal("\xe6\xbc"), "\\xe6\\xbc") << "cut off";
  EXPECT_EQ(EscapeForTerminal("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond the last one";
}

TEST(EscapeForTerminal, DifferentTextsStayDifferent) {
  EXPECT_EQ(EscapeForTerminal("a\\nb"), "a\\\\nb");
  EXPECT_NE(EscapeForTerminal("a\\nb"), EscapeForTerminal("a\nb"));
}

TEST(DisplayWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(DisplayWidth(""), 0U);
  EXPECT_EQ(DisplayWidth("abc"), 3U);
  EXPECT_EQ(DisplayWidth("Größe"), 5U);
  EXPECT_EQ(DisplayWidth("漢字"), 4U);
  EXPECT_EQ(DisplayWidth("e\xcc\x81"), 1U) << "an accent of its own takes no column";
}

TEST(JsonText, SaysTheSameAndCannotSteerATerminal) {
  const std::string steering = "\x1b[2J\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81\n漢";
  const std::string text = JsonText({{"key", steering}});
  EXPECT_EQ(nlohmann::json::parse(text)["key"], steering);
  for (const char* unsafe : {"\x1b", "\x7f", "\xc2\x9b", "\xe2\x80\xae", "\xf3\xa0"}) {
    EXPECT_EQ(text.find(unsafe), std::string::npos);
  }
  EXPECT_NE(text.find("漢"), std::string::npos);
}

TEST(JsonText, IsJsonAlsoForBytesThatAreNoText) {
  const std::string text = JsonText({{"name", "a\xff"}});
  EXPECT_EQ(nlohmann::json::parse(text)["name"], "a\xef\xbf\xbd");
}

}  // namespace
}  // namespace vineyard::cli
