// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// An object that somebody has put, read as every type of value there is. What is accepted must be safe
// to be walked, imported and exported again, and stored again as the same value.
//
// Input: the metadata up to the first NUL; then buffers, each a length of 15 bits, a bit, and so many bytes.
// Where the bit of one is set, none of them lies where anything is aligned.
#include <algorithm>
#include <string>
#include <vector>

#include "types/test_storing.h"
#include "types/test_walk.h"
#include "vineyard/vineyard.h"

namespace {

using namespace vineyard;

uint64_t sink = 0;

Object ObjectOf(const uint8_t* data, size_t size) {
  const uint8_t* end = data + size;
  const uint8_t* at = std::find(data, end, uint8_t{0});
  std::string metadata(data, at);
  std::vector<std::string> buffers;
  size_t shift = 0;
  at += at == end ? 0 : 1;
  while (end - at >= 2 && buffers.size() < 64) {
    const size_t wanted = at[0] + size_t{256} * (at[1] & 127U);
    if (at[1] >= 128) shift = 1;
    at += 2;
    const size_t length = std::min(wanted, static_cast<size_t>(end - at));
    buffers.emplace_back(at, at + length);
    at += length;
  }
  // Of exactly as much memory as that.
  return types::ObjectOf(std::move(metadata), buffers, shift);
}

// A value that was read can be put, and is read as what it was: putting that one stores the same bytes.
template <typename Value>
void StoreAgain(const Value& value) {
  const auto first = types::StoredAs(value);
  VY_CHECK(first.ok());
  const Object object = first->object();
  const Result<Value> again = Value::FromObject(object);
  VY_CHECK(again.ok());
  const auto second = types::StoredAs(*again);
  VY_CHECK(second.ok() && *second == *first);
}

void WalkArray(const Array& array) {
  ArrowArray c_array{};
  ArrowSchema c_schema{};
  if (!array.Export(&c_array, &c_schema).ok()) return;
  types::Walker walker;
  walker.Walk(c_schema, c_array);
  sink += walker.sum();
  const Result<Array> again = Array::Import(&c_array, &c_schema);
  VY_CHECK(again.ok() && again->length() == array.length() &&
           again->null_count() == array.null_count());
}

void WalkStream(const auto& value) {
  ArrowArrayStream stream{};
  if (!value.Export(&stream).ok()) return;
  ArrowSchema schema{};
  VY_CHECK(stream.get_schema(&stream, &schema) == 0);
  for (int i = 0; i < 1000; ++i) {
    ArrowArray array{};
    VY_CHECK(stream.get_next(&stream, &array) == 0);
    if (array.release == nullptr) break;
    types::Walker walker;
    walker.Walk(schema, array);
    sink += walker.sum();
    array.release(&array);
  }
  schema.release(&schema);
  stream.release(&stream);
}

// Each element, by the strides, if there are not too many.
void WalkTensor(const AnyTensor& tensor) {
  if (tensor.size() == 0 || tensor.size() > 10'000) return;
  std::vector<int64_t> at(tensor.shape().size());
  for (int64_t n = 0; n < tensor.size(); ++n) {
    const std::byte* element = tensor.data();
    for (size_t i = 0; i < at.size(); ++i) element += at[i] * tensor.strides()[i];
    for (uint32_t i = 0; i < tensor.item_size(); ++i) sink += std::to_integer<uint8_t>(element[i]);
    for (size_t i = at.size(); i-- > 0;) {
      if (++at[i] < tensor.shape()[i]) break;
      at[i] = 0;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Object object = ObjectOf(data, size);
  if (const auto array = Array::FromObject(object); array.ok()) {
    WalkArray(*array);
    StoreAgain(*array);
  }
  if (const auto chunked = ChunkedArray::FromObject(object); chunked.ok()) {
    WalkStream(*chunked);
    StoreAgain(*chunked);
  }
  if (const auto table = Table::FromObject(object); table.ok()) {
    WalkStream(*table);
    StoreAgain(*table);
  }
  // No more is promised of these than that they are there.
  Array::FromObject(object, Check::kSizes).status().IgnoreError();
  Table::FromObject(object, Check::kSizes).status().IgnoreError();
  if (const auto schema = Schema::FromObject(object); schema.ok()) {
    StoreAgain(*schema);
    ArrowSchema c_schema{};
    if (schema->Export(&c_schema).ok()) VY_CHECK(Schema::Import(&c_schema).ok());
  }
  if (const auto tensor = AnyTensor::FromObject(object); tensor.ok()) {
    WalkTensor(*tensor);
    if (const auto flags = tensor->As<bool>(); flags.ok())
      sink += flags->size() > 0 && *flags->data();
    if (const auto numbers = tensor->As<double>(); numbers.ok()) {
      sink += numbers->is_contiguous() ? numbers->values().size() : 0;
    }
  }
  return 0;
}
