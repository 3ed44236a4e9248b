// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Reading short text files: configuration, and what /proc and /sys tell.
#pragma once

#include <string>

#include "vineyard/status.h"

namespace vineyard::os {

/// All of a file of at most 1 MiB. kNotFound, kPermissionDenied, kInvalid (a folder, or too long),
/// else kIOError.
Result<std::string> ReadTextFile(const std::string& path);

}  // namespace vineyard::os
