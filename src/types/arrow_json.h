// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Arrays as JSON and buffers (docs/formats/values.md).
#pragma once

#include "types/arrow_data.h"
#include "types/arrow_type.h"
#include "types/tree.h"
#include "vineyard/typed.h"

namespace vineyard::types {

/// The keys of an array's node.
NewJson ArrayJson(const Type& type, const ArrayData& data, TreeWriter* writer);
/// The array of a node, checked.
Result<ArrayData> ArrayOf(const Tree& tree, const Json& node, const Type& type, Check check);

}  // namespace vineyard::types
