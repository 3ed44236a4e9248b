// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Why: what one object is, where it lies, and why it is still there, as GET /api/v1/why answers; and who is connected
// and what waits. These are asked of the instance when somebody wants to know.
#pragma once

#include <string>

#include "vineyard/client.h"

namespace vineyard::http {

/// `volume` as its own socket's client sees it.
Result<std::string> WhyJson(Client& volume, ObjectId id);
/// Through the instance's first socket.
Result<std::string> ClientsJson(Client& instance);
Result<std::string> WaitsJson(Client& instance);

}  // namespace vineyard::http
