// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// CopyAll: fills memory, with as many threads as help, and asks meanwhile whether to go on.
#pragma once

#include <cstddef>
#include <span>

#include "vineyard/blob.h"

namespace vineyard::client {

struct CopyJob {
  std::byte* to;
  std::span<const std::byte> from;
};

/// Copies every job, by several threads where there is much to copy. The ranges written do not overlap.
/// kCancelled when `options` said so, which may be after the last byte.
Status CopyAll(std::span<const CopyJob> jobs, const CopyOptions& options = {});

}  // namespace vineyard::client
