// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The engine: the process that does the work. Its keeper starts it, and another one if it dies.
#pragma once

#include "daemon/config.h"
#include "os/fd.h"

namespace vineyard::daemon {

/// What --self_test does, of a program that is to take over: enters the engine's sandbox, and tells the keeper at
/// the other end of `keeper_socket` (if there is one) what it can take over. Returns the exit code.
int RunSelfTest(const Config& config, const os::UniqueFd& keeper_socket);

/// Takes over what the keeper holds, then serves until SIGTERM or the end of the keeper. Returns the
/// process's exit code.
int RunEngine(const Config& config, os::UniqueFd keeper_socket);

}  // namespace vineyard::daemon
