// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// StreamCopy: memcpy that passes the caches by.
#pragma once

#include <cstddef>

namespace vineyard::client {

/// For copies too large to be found in a cache by whoever reads them: does not read the lines that it
/// overwrites, nor drives out others. On an AMD EPYC of 2024 1.2 times as fast as glibc's memcpy from 16 MiB on, no
/// faster below 4 MiB. The ranges do not overlap.
void StreamCopy(std::byte* to, const std::byte* from, size_t size);

}  // namespace vineyard::client
