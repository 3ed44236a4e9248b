// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The folder in which an engine keeps what it spills, as its configuration says.
#pragma once

#include <memory>

#include "daemon/config.h"
#include "spill/place.h"
#include "vineyard/status.h"

namespace vineyard::daemon {

/// Before the sandbox: it may make the folder. The engine before has ended, and its lock with it; another
/// instance's is kAlreadyExists. REQUIRES: config.spill_path is not empty.
Result<std::shared_ptr<spill::Place>> TakeSpillPlace(const Config& config);

}  // namespace vineyard::daemon
