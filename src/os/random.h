// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Randomness that nobody can guess, from the kernel.
#pragma once

#include <array>
#include <cstdint>

#include "vineyard/status.h"

namespace vineyard::os {

/// A random (version 4) UUID as two words.
Result<std::array<uint64_t, 2>> MakeUuid();

}  // namespace vineyard::os
