// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Watching: the same question again and again, until Ctrl-C.
#pragma once

#include <functional>
#include <string>

#include <CLI/App.hpp>

#include "cli/session.h"

namespace vineyard::cli {

/// The option --watch of a verb.
void AddWatch(CLI::App& verb, std::string& watch);

/// Connects, has `show` print, and does so again every `watch` ("2s"); "" or "0": once. Each time replaces what a
/// terminal shows; elsewhere it follows, a JSON document each time.
Status ShowOften(Session& session, const std::string& watch,
                 const std::function<Status(Client&)>& show);

}  // namespace vineyard::cli
