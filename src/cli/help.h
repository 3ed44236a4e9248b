// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What --help prints: how a command is written, its arguments and options, and an example at the end.
#pragma once

#include <string>

#include <CLI/App.hpp>

namespace vineyard::cli {

std::string HelpText(const CLI::App& app);

}  // namespace vineyard::cli
