// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/app.h"
#include "cli/help.h"
#include "cli/session.h"

namespace vineyard::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string Refused(const std::vector<std::string>& args) {
  Session session;
  const auto app = BuildApp(session);
  const Result<Arguments> arguments = ReadArguments(*app, args);
  if (arguments.ok()) return "accepted";
  EXPECT_EQ(arguments.status().code(), StatusCode::kInvalid);
  EXPECT_EQ(arguments.status().message().find('\n'), std::string::npos);
  return arguments.status().message();
}

TEST(Arguments, UnknownWordsAndFlagsNameTheNearest) {
  EXPECT_THAT(Refused({"objetc", "ls"}), HasSubstr("did you mean 'object'?"));
  EXPECT_THAT(Refused({"statsu"}), HasSubstr("did you mean 'status'?"));
  EXPECT_THAT(Refused({"object", "lss"}), HasSubstr("did you mean 'ls'?"));
  EXPECT_THAT(Refused({"object", "ls", "--regx"}), HasSubstr("did you mean '--regex'?"));
  EXPECT_THAT(Refused({"object", "ls", "--sokcet=a"}), HasSubstr("did you mean '--socket'?"));
  EXPECT_THAT(Refused({"status", "-o", "jsn"}), HasSubstr("did you mean 'json'?"));
  EXPECT_THAT(Refused({"completion", "bsh"}), HasSubstr("did you mean 'bash'?"));
}

TEST(Arguments, WithoutANearestWordTheHelpIsNamed) {
  EXPECT_THAT(Refused({"xyzzy"}), HasSubstr("'vineyardctl --help'"));
  EXPECT_THAT(Refused({"name", "rm", "--xyzzy"}), HasSubstr("'vineyardctl name rm --help'"));
  EXPECT_THAT(Refused({"name", "rm", "-x"}), HasSubstr("unknown flag '-x'"));
  EXPECT_THAT(Refused({"name", "rm", "-x"}), HasSubstr("behind --"));
  EXPECT_THAT(Refused({"status", "-x"}), Not(HasSubstr("behind --"))) << "it has no arguments";
}

TEST(Arguments, AVerbWithoutItsNounNamesTheNouns) {
  EXPECT_THAT(Refused({"ls"}), HasSubstr("object ls, name ls or volume ls"));
  EXPECT_THAT(Refused({"create"}), HasSubstr("volume create"));
}

TEST(Arguments, WhatIsMissingOrTooMuchIsSaid) {
  EXPECT_THAT(Refused({"object"}), StartsWith("object what? say ls, get, rm, evict or load"));
  EXPECT_THAT(Refused({"object", "rm"}), HasSubstr("ID is missing"));
  EXPECT_THAT(Refused({"name", "put", "a"}), HasSubstr("ID is missing"));
  EXPECT_THAT(Refused({"status", "me"}), HasSubstr("unexpected argument 'me'"));
  EXPECT_THAT(Refused({"status", "--socket"}), HasSubstr("--socket PATH"));
  EXPECT_THAT(Refused({"object", "ls", "--regex=1"}), HasSubstr("takes no value"));
  EXPECT_THAT(Refused({"--", "status"}), HasSubstr("unexpected argument"));
}

// What `name rm` reads when it is given these words.
std::vector<std::string> NamesRead(const std::vector<std::string>& words) {
  CLI::App root("", "program");
  std::vector<std::string> names;
  std::string socket;
  bool force = false;
  root.add_option("-s,--socket", socket)->type_name("PATH");
  CLI::App* rm = root.add_subcommand("rm");
  rm->add_option("NAME", names);
  rm->add_flag("--force", force);
  ExpectSealed(root);
  std::vector<std::string> args = {"rm"};
  args.insert(args.end(), words.begin(), words.end());
  Result<Arguments> arguments = ReadArguments(root, args);
  if (!arguments.ok()) return {arguments.status().ToString()};
  root.parse(std::move(arguments->sealed));
  if (!socket.empty()) names.push_back("socket " + socket);
  if (force) names.emplace_back("forced");
  return names;
}

TEST(Arguments, ANameMayBeAnything) {
  EXPECT_THAT(NamesRead({"a", "b"}), ElementsAre("a", "b"));
  EXPECT_THAT(NamesRead({"[a,b]", "{}", "%%", "", "a b", "=x", "rm", "-"}),
              ElementsAre("[a,b]", "{}", "%%", "", "a b", "=x", "rm", "-"));
  EXPECT_THAT(NamesRead({"a", "--", "-b", "--force", "--", ""}),
              ElementsAre("a", "-b", "--force", "--", ""));
}

TEST(Arguments, OptionsTakeAnyValueAndTheLastCounts) {
  EXPECT_THAT(NamesRead({"--socket", "-x", "a"}), ElementsAre("a", "socket -x"));
  EXPECT_THAT(NamesRead({"a", "--socket=[b]"}), ElementsAre("a", "socket [b]"));
  EXPECT_THAT(NamesRead({"-s", "b", "a", "-sc=d"}), ElementsAre("a", "socket c=d"));
  EXPECT_THAT(NamesRead({"--force", "--force", "a"}), ElementsAre("a", "forced"));
}

TEST(Arguments, HelpIsAskedForAnywhere) {
  Session session;
  const auto app = BuildApp(session);
  for (const auto& [args, path] :
       {std::pair<std::vector<std::string>, std::string>{{"--help"}, "vineyardctl"},
        {{"object", "-h"}, "vineyardctl object"},
        {{"object", "rm", "--help"}, "vineyardctl object rm"},
        {{"objects", "delete", "--socket", "x", "--help", "--nonsense"},
         "vineyardctl object rm"}}) {
    const Result<Arguments> arguments = ReadArguments(*app, args);
    ASSERT_TRUE(arguments.ok()) << arguments.status().ToString();
    EXPECT_EQ(arguments->kind, Arguments::Kind::kHelp);
    EXPECT_EQ(PathOf(*arguments->app), path);
  }
}

void CheckHelp(const CLI::App& app) {
  const std::string help = HelpText(app);
  const size_t example = help.find("\nexample: ");
  ASSERT_NE(example, std::string::npos) << PathOf(app);
  EXPECT_NE(help.find("vineyardctl ", example), std::string::npos) << PathOf(app);
  for (size_t begin = 0; begin < help.size();) {
    const size_t end = help.find('\n', begin);
    EXPECT_LE(end - begin, 100U) << help.substr(begin, end - begin);
    begin = end + 1;
  }
  for (const CLI::App* child : ChildrenOf(app)) CheckHelp(*child);
}

TEST(Help, OfEveryNounAndVerbEndsWithAnExample) {
  Session session;
  CheckHelp(*BuildApp(session));
}

TEST(Help, OfTheProgramNamesTheVerbsOfEachNoun) {
  Session session;
  const std::string help = HelpText(*BuildApp(session));
  EXPECT_THAT(help, HasSubstr("\n  object ls|get|rm|evict|load\n"));
  EXPECT_THAT(help, HasSubstr("\n  status "));
}

}  // namespace
}  // namespace vineyard::cli
