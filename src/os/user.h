// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Who this process runs as.
#pragma once

#include <unistd.h>

namespace vineyard::os {

inline uid_t EffectiveUser() { return ::geteuid(); }
inline gid_t EffectiveGroup() { return ::getegid(); }
inline bool IsRoot() { return EffectiveUser() == 0; }

}  // namespace vineyard::os
