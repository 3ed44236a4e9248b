// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Paths: what lies there, and folders that must be.
#pragma once

#include <string>

#include "vineyard/status.h"

namespace vineyard::os {

/// True when a socket lies there itself (not a link to one).
bool IsSocket(const std::string& path);
/// Removes a socket; never anything else. OK when nothing is there.
Status RemoveSocket(const std::string& path);
/// Makes the folder, and those above it, where they are missing. Returns its absolute path, without
/// "..", "." or links.
Result<std::string> MakeDirectories(const std::string& path);

}  // namespace vineyard::os
