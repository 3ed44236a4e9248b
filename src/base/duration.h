// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Durations as people write them: "250ms", "60s", "5m", "1h".
#pragma once

#include <chrono>
#include <string_view>

#include "vineyard/status.h"

namespace vineyard {

/// Reads one number (a fraction is allowed) and one unit: ns, us, ms, s, m, h, d. Only 0 may go
/// without a unit. Negative durations, and those above 292 years, are errors.
Result<std::chrono::nanoseconds> ParseDuration(std::string_view text);

}  // namespace vineyard
