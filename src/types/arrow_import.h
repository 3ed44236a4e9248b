// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// From ArrowArray structures to ArrayData. A producer in this process is believed as the C data
// interface demands (it says no sizes of buffers); what can be seen to make no sense is refused.
#pragma once

#include <memory>

#include "types/arrow_data.h"
#include "types/arrow_type.h"
#include "vineyard/arrow_abi.h"

namespace vineyard::types {

/// Moves the array out of `*array`; what is returned releases it when the last copy goes.
std::shared_ptr<const ArrowArray> TakeOver(ArrowArray* array);

/// Buffers are referred to. Copied are only, where a slice does not begin at the start of its parent,
/// offsets and views (they are counted anew) and bitmaps (where they begin within a byte); of views, the
/// bytes too where a slice uses less than half of what lies between the first and the last of them.
Result<ArrayData> ImportArray(const std::shared_ptr<const ArrowArray>& array, const Type& type);

}  // namespace vineyard::types
