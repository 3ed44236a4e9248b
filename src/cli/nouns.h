// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The nouns and verbs of vineyardctl: each Add… hangs its part into the tree, one file per noun.
#pragma once

#include <string>
#include <string_view>

#include <CLI/App.hpp>

#include "cli/session.h"

namespace vineyard::cli {

void AddStatus(CLI::App& root, Session& session);
void AddObject(CLI::App& root, Session& session);
void AddName(CLI::App& root, Session& session);
void AddVolume(CLI::App& root, Session& session);
void AddCompletion(CLI::App& root, Session& session);

/// A noun or a verb with its help: `json` says what `-o json` prints, and `example` how it is used.
struct CommandText {
  std::string_view name;
  std::string_view description;
  std::string_view json;  ///< Empty: prints no JSON.
  std::string_view example;
};
CLI::App& AddCommand(CLI::App& parent, const CommandText& text);

}  // namespace vineyard::cli
