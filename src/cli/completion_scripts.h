// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Scripts that complete vineyardctl in a shell, written from the tree of commands, so that they offer
// exactly what it takes.
#pragma once

#include <string>

#include <CLI/App.hpp>

namespace vineyard::cli {

std::string BashCompletion(const CLI::App& root);
std::string ZshCompletion(const CLI::App& root);
std::string FishCompletion(const CLI::App& root);

}  // namespace vineyard::cli
