// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// CopyAll: fills shared memory, with as many threads as help.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace vineyard::client {

struct CopyJob {
  std::byte* to;
  std::span<const std::byte> from;
};

/// Copies every job, split evenly over threads where there is much to copy. The ranges written do not
/// overlap.
void CopyAll(std::span<const CopyJob> jobs);

}  // namespace vineyard::client
