// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// vineyardctl from its arguments to its exit code.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "cli/session.h"

namespace vineyard::cli {

/// The tree of all commands. It fills in `session`, which must outlive it.
std::unique_ptr<CLI::App> BuildApp(Session& session);

/// `args` without the program's name.
int RunProgram(std::vector<std::string> args);

}  // namespace vineyard::cli
