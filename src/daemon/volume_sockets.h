// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Sockets of durable volumes, made again when everything has died.
//
// Who asks for a volume makes its sockets and passes them listening; after that nobody is there who would. So
// the engine makes them, from what it has written itself, in a folder that is its user's alone, before it gives up
// its rights.
#pragma once

#include <map>

#include "daemon/door.h"
#include "os/fd.h"
#include "spill/place.h"

namespace vineyard::daemon {

/// Those that nobody listens at. What can't be made is said in the log: such a volume is there, and can't be
/// reached before it is removed or its socket's path is free at another start.
std::map<Door, os::UniqueFd> MakeVolumeSockets(const std::shared_ptr<spill::Place>& place);

}  // namespace vineyard::daemon
