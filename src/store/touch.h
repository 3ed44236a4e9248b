// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// TouchAll: makes every page of new memory present and zero, with as many threads as help.
#pragma once

#include <span>

#include "os/mapping.h"
#include "vineyard/status.h"

namespace vineyard::store {

/// kOutOfMemory when the machine, or this control group, has no pages left. Blocks for as long as it
/// takes: for the pool's threads only.
Status TouchAll(std::span<os::Mapping> mappings);

}  // namespace vineyard::store
