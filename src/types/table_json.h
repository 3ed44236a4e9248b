// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Arrays, chunked arrays and tables as JSON and buffers (docs/formats/values.md).
#pragma once

#include "types/arrow_json.h"
#include "vineyard/table.h"

namespace vineyard::types {

/// The nodes that they are stored as: of codec arrow.array, arrow.chunked, arrow.schema, arrow.table.
Result<NewJson> NodeOf(const Array& array, TreeWriter* writer);
Result<NewJson> NodeOf(const ChunkedArray& column, TreeWriter* writer);
Result<NewJson> NodeOf(const Schema& schema);
Result<NewJson> NodeOf(const Table& table, TreeWriter* writer);

// ---- and back
Result<ChunkedArray> ChunkedOf(const Tree& tree, const Json& node, Check check);
/// A node of codec arrow.table or arrow.batch, or of one that stands on the first.
Result<Table> TableOf(const Tree& tree, const Json& node, Check check);

/// A table of those columns, which must all have so many rows: else kInvalid.
Result<Table> TableFrom(SchemaData schema, std::vector<ChunkedArray> columns, int64_t rows);

}  // namespace vineyard::types
