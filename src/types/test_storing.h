// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests and fuzzers: what a value is stored as, without a store.
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "types/table_json.h"
#include "types/test_objects.h"

namespace vineyard::types {

struct StoredValue {
  std::string metadata;
  std::vector<std::string> buffers;

  /// What a reader gets.
  [[nodiscard]] Object object() const { return ObjectOf(metadata, buffers); }
  bool operator==(const StoredValue&) const = default;
};

/// Of an Array, a ChunkedArray, a Schema or a Table.
template <typename Value>
Result<StoredValue> StoredAs(const Value& value) {
  TreeWriter writer;
  NewJson node;
  if constexpr (std::is_same_v<Value, Schema>) {
    VY_ASSIGN_OR_RETURN(node, NodeOf(value));
  } else {
    VY_ASSIGN_OR_RETURN(node, NodeOf(value, &writer));
  }
  TreeWriter::Text text = writer.TextOf(node);
  StoredValue stored{std::move(text.metadata), {}};
  for (const Buffer& buffer : writer.buffers()) {
    stored.buffers.emplace_back(reinterpret_cast<const char*>(buffer.data()), buffer.size());
  }
  if (text.buffer) stored.buffers.push_back(std::move(*text.buffer));
  return stored;
}

}  // namespace vineyard::types
