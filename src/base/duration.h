// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Durations as people write them: "250ms", "60s", "5m", "1h".
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "vineyard/status.h"

namespace vineyard {

/// Reads one number (a fraction is allowed) and one unit: ns, us, ms, s, m, h, d. Only 0 may go
/// without a unit. Negative durations, and those above 292 years, are errors.
Result<std::chrono::nanoseconds> ParseDuration(std::string_view text);

/// "250ms", "1.5s", "5m": the largest unit that shows at least one whole, and at most three digits
/// after the point, rounded down. Reading it again gives the same duration where nothing was cut.
std::string FormatDuration(std::chrono::nanoseconds duration);

}  // namespace vineyard
