// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// How long nobody is served when an engine dies.
#pragma once

#include <cstdint>
#include <vector>

#include "soak/process.h"
#include "vineyard/client.h"

namespace vineyard::soak {

/// With so many small objects in the store: milliseconds from the engine's death until a client that asks all
/// the time has an answer, each time.
Result<std::vector<double>> MeasureRestarts(const Instance& instance, Client& client,
                                            uint64_t objects, int times);

}  // namespace vineyard::soak
