// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The places in the source at which an engine may be told to die (os/crash_point.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace vineyard::soak {

/// All names below that folder that begin so.
std::vector<std::string> CrashPlaces(const std::string& source, const std::string& prefix = "");
/// "name:n,name:n,…" for VINEYARD_CRASH_AT: each place several times, in random order, to be passed once or up to
/// some hundred times.
std::string RandomCrashes(const std::vector<std::string>& places, uint64_t random);
/// How many engines died at each, as the instance's log says.
std::map<std::string, uint64_t> CountCrashes(const std::string& log);

}  // namespace vineyard::soak
