// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// From ArrayData to ArrowArray structures. Nothing is copied; what is exported keeps the bytes alive
// until it is released, in whatever thread.
#pragma once

#include <functional>
#include <memory>

#include "types/arrow_data.h"
#include "types/arrow_type.h"
#include "vineyard/arrow_abi.h"

namespace vineyard::types {

/// The items [offset, offset + length) of an array. REQUIRES: it has them.
void ExportArray(std::shared_ptr<const ArrayData> data, const Type& type, int64_t offset,
                 int64_t length, ArrowArray* out);
/// A struct array without nulls around arrays of its length, which it takes over.
void ExportBatch(std::vector<ArrowArray> columns, int64_t length, ArrowArray* out);

/// What a stream gives: `schema` fills in one, and `next` the next array, or gives false at the end.
struct StreamSource {
  std::function<void(ArrowSchema*)> schema;
  std::function<bool(ArrowArray*)> next;
};
void ExportStream(StreamSource source, ArrowArrayStream* out);

/// Takes a stream over: its schema and all of its arrays.
struct StreamContent {
  Field field;
  std::vector<std::shared_ptr<const ArrayData>> arrays;
};
Result<StreamContent> ImportStream(ArrowArrayStream* stream);

}  // namespace vineyard::types
