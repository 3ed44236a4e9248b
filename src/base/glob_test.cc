// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "base/glob.h"

#include <string>

#include <gtest/gtest.h>

namespace vineyard {
namespace {

TEST(Glob, NoPatternTakesExponentialTime) {
  // With backtracking into every star this would take 2^60 steps.
  std::string pattern;
  for (int i = 0; i < 60; ++i) pattern += "a*";
  pattern += "b";
  EXPECT_FALSE(GlobMatch(pattern, std::string(2000, 'a')));
  EXPECT_TRUE(GlobMatch(pattern, std::string(2000, 'a') + "b"));
  EXPECT_FALSE(GlobMatch("*" + std::string(2000, '[') + "x", std::string(4000, '[')));
}

TEST(Glob, MalformedPatternsStandForThemselves) {
  EXPECT_TRUE(GlobMatch("[", "["));
  EXPECT_TRUE(GlobMatch("a[b", "a[b"));
  EXPECT_FALSE(GlobMatch("a[b", "ab"));
  EXPECT_TRUE(GlobMatch("[!", "[!"));
  EXPECT_TRUE(GlobMatch("[]", "[]"));
  EXPECT_TRUE(GlobMatch("[a-", "[a-"));
  EXPECT_TRUE(GlobMatch("a\\", "a\\"));
  EXPECT_TRUE(GlobMatch("[\\", "[\\"));
  EXPECT_FALSE(GlobMatch("[z-a]", "m")) << "an empty range holds nothing";
}

TEST(Glob, AllOfTheTextMustFit) {
  EXPECT_TRUE(GlobMatch("", ""));
  EXPECT_FALSE(GlobMatch("", "a"));
  EXPECT_FALSE(GlobMatch("a", ""));
  EXPECT_FALSE(GlobMatch("abc", "abcd"));
  EXPECT_FALSE(GlobMatch("abcd", "abc"));
  EXPECT_TRUE(GlobMatch("abc", "abc"));
  EXPECT_FALSE(GlobMatch("abc", "aBc"));
}

TEST(Glob, AStarTakesAnyText) {
  EXPECT_TRUE(GlobMatch("*", ""));
  EXPECT_TRUE(GlobMatch("***", "anything/at all"));
  EXPECT_TRUE(GlobMatch("flights/*/clean", "flights/2013/01/clean"));
  EXPECT_TRUE(GlobMatch("*ab", "aabab"));
  EXPECT_TRUE(GlobMatch("a*b*c", "axxbxbxxc"));
  EXPECT_FALSE(GlobMatch("a*b*c", "axxbxbxx"));
  EXPECT_FALSE(GlobMatch("*.csv", "x.csv2"));
}

TEST(Glob, AQuestionMarkTakesOneCharacter) {
  EXPECT_TRUE(GlobMatch("a?c", "abc"));
  EXPECT_FALSE(GlobMatch("a?c", "ac"));
  EXPECT_TRUE(GlobMatch("?", "\xc3\xa9")) << "é is one character";
  EXPECT_FALSE(GlobMatch("??", "\xc3\xa9"));
  EXPECT_FALSE(GlobMatch("*??", "\xe2\x82\xac")) << "a star does not split one";
  EXPECT_TRUE(GlobMatch("??", "\xff\xc3")) << "bytes that are no UTF-8 count one each";
}

TEST(Glob, SetsHoldCharactersAndRanges) {
  EXPECT_TRUE(GlobMatch("part-[0-9][0-9]", "part-42"));
  EXPECT_FALSE(GlobMatch("part-[0-9][0-9]", "part-4x"));
  EXPECT_TRUE(GlobMatch("[abx-z]", "y"));
  EXPECT_FALSE(GlobMatch("[abx-z]", "c"));
  EXPECT_TRUE(GlobMatch("[!0-9]", "x"));
  EXPECT_FALSE(GlobMatch("[!0-9]", "7"));
  EXPECT_FALSE(GlobMatch("[!0-9]", ""));
  EXPECT_TRUE(GlobMatch("[]a]", "]"));
  EXPECT_TRUE(GlobMatch("[!]a]", "b"));
  EXPECT_TRUE(GlobMatch("[a-]", "-"));
  EXPECT_TRUE(GlobMatch("[a!]", "!"));
  EXPECT_TRUE(GlobMatch("[\\]]", "]"));
  EXPECT_TRUE(GlobMatch("[\xc3\xa0-\xc3\xbc]", "\xc3\xa9")) << "é lies between à and ü";
}

TEST(Glob, ABackslashTakesTheNextCharacterAsItStands) {
  EXPECT_TRUE(GlobMatch("\\*", "*"));
  EXPECT_FALSE(GlobMatch("\\*", "x"));
  EXPECT_TRUE(GlobMatch("\\[a]", "[a]"));
  EXPECT_TRUE(GlobMatch("a\\\\b", "a\\b"));
  EXPECT_TRUE(GlobMatch("*\\?", "why?"));
}

}  // namespace
}  // namespace vineyard
