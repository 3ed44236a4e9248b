// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/completion_scripts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/app.h"

namespace vineyard::cli {
namespace {

using ::testing::HasSubstr;

// A tree with what a shell could stumble over.
std::unique_ptr<CLI::App> Tree() {
  auto root = std::make_unique<CLI::App>("", "vineyardctl");
  root->add_option("-o,--output", "the user's form")->type_name("table|json");
  CLI::App* noun = root->add_subcommand("noun", "A noun; it's $HOME `here`: \\");
  noun->alias("nouns");
  CLI::App* verb = noun->add_subcommand("verb", "First line.\nSecond line.");
  verb->add_option("--dir", "where")->type_name("DIR");
  verb->add_option("SHELL")->type_name("bash|zsh");
  return root;
}

TEST(Completion, FollowsTheTree) {
  const auto root = Tree();
  for (const std::string& script :
       {BashCompletion(*root), ZshCompletion(*root), FishCompletion(*root)}) {
    for (const char* word :
         {"noun", "nouns", "verb", "noun verb", "bash", "zsh", "json", "table"}) {
      EXPECT_THAT(script, HasSubstr(word));
    }
    EXPECT_EQ(script.find("Second line"), std::string::npos);
  }
}

TEST(Completion, OfBashOffersWordsFlagsAndValues) {
  const std::string script = BashCompletion(*Tree());
  EXPECT_THAT(script, HasSubstr("':noun' | ':nouns') at='noun' ;;"));
  EXPECT_THAT(script, HasSubstr("'noun:verb') at='noun verb' ;;"));
  EXPECT_THAT(script, HasSubstr("*':--output' | *':-o') skip=1 ;;"));
  EXPECT_THAT(script, HasSubstr("compgen -W 'table json'"));
  EXPECT_THAT(script, HasSubstr("'noun verb') words='bash zsh' flags='--dir' ;;"));
}

TEST(Completion, QuotesDescriptions) {
  const auto root = Tree();
  EXPECT_THAT(ZshCompletion(*root), HasSubstr(R"('noun:A noun; it'\''s $HOME `here`: \')"));
  EXPECT_THAT(FishCompletion(*root), HasSubstr(R"(-d 'A noun; it\'s $HOME `here`: \\')"));
}

}  // namespace
}  // namespace vineyard::cli
