// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Sizes in bytes as people write and read them: "8Gi", "1.5G", "50%".
//
// Units are those of Kubernetes: K, M, G, T, P, E (also KB, …) are powers of 1000, Ki, Mi, Gi, …
// (also KiB, …) of 1024. Case does not matter, and neither does a space before the unit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vineyard/status.h"

namespace vineyard {

/// Reads a size. A fraction of a byte is dropped; a size above 2^64 - 1 is an error.
Result<uint64_t> ParseSize(std::string_view text);

/// The same, or a share of `total` such as "50%", from 0% to 100%.
Result<uint64_t> ParseSizeOrShare(std::string_view text, uint64_t total);

/// "512 B", "1.5 GiB", "8 GiB": at most one digit after the point, rounded down, for people.
std::string FormatSize(uint64_t bytes);

}  // namespace vineyard
