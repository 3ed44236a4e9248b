// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Values of pandas as Arrow columns, as far as Arrow can express them (docs/formats/values.md). What it
// can't is kNotSupported, and the message names the column.
#pragma once

#include "types/table_json.h"
#include "types/tree.h"
#include "vineyard/table.h"

namespace vineyard::types {

/// A node of codec pandas.frame.
Result<Table> FrameOf(const Tree& tree, const Json& node, Check check);
/// A node of codec pandas.series, without its index.
Result<ChunkedArray> SeriesOf(const Tree& tree, const Json& node, Check check);

// ---- for these two (pandas_columns.cc)

/// The column of a block's values, or all of an array of one dimension (`row` = 0). As many items as
/// the values say.
Result<ChunkedArray> PandasColumn(const Tree& tree, const Json* values, int64_t row, Check check);
/// How many columns a block's values have: 1 for an array of one dimension.
Result<int64_t> PandasColumnCount(const Tree& tree, const Json* values);
/// The items of a sequence that are texts, integers or None, as texts.
Result<std::vector<std::optional<std::string>>> PandasItems(const Tree& tree, const Json& node);
/// `node[key]`, and what it refers to.
Result<const Json*> Part(const Tree& tree, const Json& node, const char* key);
/// The integers of a packed sequence.
Result<std::vector<int64_t>> PackedInts(const Tree& tree, const Json& packed, const char* key);

}  // namespace vineyard::types
