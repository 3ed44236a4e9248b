// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What getting a typed value (Tensor, Array, Table, Schema) has in common.
#pragma once

#include <cstdint>
#include <optional>

#include "vineyard/client.h"

namespace vineyard {

/// How much of a stored value is looked at before it is handed out. That its buffers are as large as
/// its type and length want them is always checked.
enum class Check : uint8_t {
  /// Also all that a reader follows: offsets, codes of dictionaries, views, run ends, and texts to be
  /// UTF-8. Reads those buffers once; numbers are not read.
  kContents,
  /// No more: for values of writers that are trusted. Reads no buffer.
  kSizes,
};

struct ReadOptions {
  std::optional<Timeout> timeout;
  /// By name: wait until the name exists, for as long as the timeout allows.
  bool wait = false;
  Check check = Check::kContents;
};

}  // namespace vineyard
