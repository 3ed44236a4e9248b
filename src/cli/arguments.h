// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The command line walked over the tree of nouns and verbs, before CLI11 parses it.
//
// CLI11 describes the tree and fills in the variables. It gets the arguments sealed (see
// Note [Sealed values]) and only when they fit the tree; what does not fit is explained here, with the
// word that was probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <CLI/App.hpp>

#include "vineyard/status.h"

namespace vineyard::cli {

struct Arguments {
  enum class Kind : uint8_t { kRun, kHelp, kVersion };
  Kind kind = Kind::kRun;
  const CLI::App* app = nullptr;    ///< The noun or verb that was named last.
  std::vector<std::string> sealed;  ///< For CLI::App::parse, the last argument first.
};

/// `args` without the program's name. kInvalid, with what to do, where they do not fit the tree.
Result<Arguments> ReadArguments(const CLI::App& root, const std::vector<std::string>& args);

/// Makes every option and argument below `app` read sealed values. To be called when the tree is
/// complete.
void ExpectSealed(CLI::App& app);

/// "vineyardctl object ls".
std::string PathOf(const CLI::App& app);

/// The words that may stand as this value: those of a type name like "table|json", else none.
std::vector<std::string> Choices(const CLI::Option& option);
/// Options with a dash, in the order in which they were added, without --help.
std::vector<const CLI::Option*> OptionsOf(const CLI::App& app);
/// Arguments without a name, in order.
std::vector<const CLI::Option*> PositionalsOf(const CLI::App& app);
std::vector<const CLI::App*> ChildrenOf(const CLI::App& app);
/// False for a switch.
bool TakesValue(const CLI::Option& option);

}  // namespace vineyard::cli
