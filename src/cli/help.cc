// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/help.h"

#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "cli/arguments.h"

namespace vineyard::cli {

namespace {

constexpr size_t kLeft = 30;  // columns of what is explained

// A line, or two where the left side is long; line ends in the explanation are kept.
void AddEntry(std::string_view left, std::string_view right, std::string& text) {
  std::string line = fmt::format("  {:<{}}", left, kLeft - 2);
  if (left.size() + 4 > kLeft) line = fmt::format("  {}\n{:{}}", left, "", kLeft);
  text += line;
  for (const char c : right) {
    text += c;
    if (c == '\n') text.append(kLeft, ' ');
  }
  text += '\n';
}

std::string OptionLeft(const CLI::Option& option) {
  std::string left;
  for (const std::string& name : option.get_snames()) left += "-" + name + ", ";
  for (const std::string& name : option.get_lnames()) {
    left += (left.empty() || left.ends_with(' ') ? "--" : ", --") + name;
  }
  if (TakesValue(option)) left += " " + option.get_type_name();
  return left;
}

std::string PositionalLeft(const CLI::Option& option) {
  std::string left = option.get_name(true);
  if (option.get_expected_max() > 1) left += "...";
  return left;
}

// "object ls|get|rm": a noun with its verbs.
std::string CommandLeft(const CLI::App& app) {
  std::string left = app.get_name();
  for (const CLI::App* verb : ChildrenOf(app)) {
    left += (left == app.get_name() ? " " : "|") + verb->get_name();
  }
  return left;
}

std::string Usage(const CLI::App& app) {
  std::string text = "usage: " + PathOf(app);
  for (const CLI::Option* option : PositionalsOf(app)) {
    const std::string name = PositionalLeft(*option);
    text += option->get_required() ? " " + name : " [" + name + "]";
  }
  if (!ChildrenOf(app).empty()) text += app.get_parent() == nullptr ? " COMMAND ..." : " VERB ...";
  return text + " [options]\n";
}

void AddOptions(const CLI::App& app, std::string_view title, std::string& text) {
  const auto options = OptionsOf(app);
  if (options.empty()) return;
  fmt::format_to(std::back_inserter(text), "\n{}:\n", title);
  for (const CLI::Option* option : options) {
    AddEntry(OptionLeft(*option), option->get_description(), text);
  }
}

}  // namespace

std::string HelpText(const CLI::App& app) {
  std::string text = app.get_description() + "\n\n" + Usage(app);
  if (const auto positionals = PositionalsOf(app); !positionals.empty()) {
    text += "\narguments:\n";
    for (const CLI::Option* option : positionals) {
      AddEntry(PositionalLeft(*option), option->get_description(), text);
    }
  }
  if (const auto children = ChildrenOf(app); !children.empty()) {
    text += app.get_parent() == nullptr ? "\ncommands:\n" : "\nverbs:\n";
    for (const CLI::App* child : children) {
      const std::string description = child->get_description();
      AddEntry(CommandLeft(*child), description.substr(0, description.find('\n')), text);
    }
  }
  const CLI::App* root = &app;
  while (root->get_parent() != nullptr) root = root->get_parent();
  if (&app != root) AddOptions(app, "options", text);
  AddOptions(*root, "options of every command", text);
  AddEntry("-h, --help", "explain this command", text);
  if (!app.get_footer().empty()) text += "\n" + app.get_footer() + "\n";
  return text;
}

}  // namespace vineyard::cli
