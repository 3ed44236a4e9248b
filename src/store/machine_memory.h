// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// MayTouch: whether the machine, and the control groups that this process is in, have pages for what is about to be made.
// The kernel, asked for more than there is, ends a process, and not always the one that asked.
#pragma once

#include <cstdint>

#include "vineyard/status.h"

namespace vineyard::store {

/// kOutOfMemory where not. Others may be faster: no promise, only a look. Any thread; it may read files.
Status MayTouch(uint64_t bytes);

}  // namespace vineyard::store
