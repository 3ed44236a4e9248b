// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Who this process runs as.
#pragma once

#include <unistd.h>

namespace vineyard::os {

inline bool IsRoot() { return ::geteuid() == 0; }

}  // namespace vineyard::os
