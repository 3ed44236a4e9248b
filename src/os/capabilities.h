// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Giving up privileges: the capabilities of this process, and those that a program it starts could gain.
//
// Both belong to a thread: call them while there is one. Neither can be undone.
#pragma once

#include <initializer_list>

#include "vineyard/status.h"

namespace vineyard::os {

/// No program started from here on gains privileges by set-user-ID bits or capabilities of its file.
Status ForbidNewPrivileges();

/// Keeps of the capabilities (CAP_… of linux/capability.h) at most these; a process that has none is left
/// as it is. A program started from here on has none, root's included, where this process may say so
/// (it has CAP_SETPCAP, as root does).
Status DropCapabilities(std::initializer_list<int> kept);

}  // namespace vineyard::os
