// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Which pages of a private mapping of a file have become this process's own, because somebody has
// written to them since: where none has, the mapping still shows the file's bytes.
//
// Such a page is present or swapped out, and not the file's. That it is not the file's says nothing
// alone: neither is a page that nobody has touched yet.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vineyard/status.h"

namespace vineyard::os {

/// Bytes of the pages that [address, +length) touches and that are this process's own. Of a mapping
/// without such pages it takes microseconds for a gigabyte (Linux 6.7, PAGEMAP_SCAN) or milliseconds.
Result<uint64_t> PrivateBytesIn(const std::byte* address, uint64_t length);

/// The way of older kernels: one word for each page.
Result<uint64_t> PrivateBytesByPagemap(const std::byte* address, uint64_t length);

}  // namespace vineyard::os
