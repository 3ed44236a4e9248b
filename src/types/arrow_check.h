// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Whether whoever walks an array stays inside of its buffers. Nobody has checked what is looked at.
#pragma once

#include "types/arrow_data.h"
#include "types/arrow_type.h"
#include "vineyard/typed.h"

namespace vineyard::types {

/// Always: buffers as large as type and length want them, children as long. With Check::kContents also
/// offsets, codes, views, run ends, and texts to be UTF-8; and the nulls are counted. Buffers that are
/// not aligned for their items are replaced by copies that are. kCorrupted says what does not fit.
Status CheckArray(const Type& type, Check check, ArrayData* data);

}  // namespace vineyard::types
