// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The nouns and verbs of vineyardctl: each Add… hangs its part into the tree, one file per noun.
#pragma once

#include <CLI/App.hpp>

#include "cli/session.h"

namespace vineyard::cli {

void AddStatus(CLI::App& root, Session& session);
void AddObject(CLI::App& root, Session& session);
void AddName(CLI::App& root, Session& session);
void AddClients(CLI::App& root, Session& session);
void AddDu(CLI::App& root, Session& session);
void AddTop(CLI::App& root, Session& session);
void AddTrace(CLI::App& root, Session& session);
void AddWaits(CLI::App& root, Session& session);
void AddWhy(CLI::App& root, Session& session);
void AddVolume(CLI::App& root, Session& session);
void AddUpgrade(CLI::App& root, Session& session);
void AddCompletion(CLI::App& root, Session& session);

}  // namespace vineyard::cli
