// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// An object that somebody has put, read as every type of value there is. What is accepted must be safe
// to be walked, and to be imported and exported again.
//
// Input: the metadata up to the first NUL; then buffers, each a length of 2 bytes and so many bytes.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "types/test_walk.h"
#include "vineyard/vineyard.h"

namespace {

using namespace vineyard;

uint64_t sink = 0;

Object ObjectOf(const uint8_t* data, size_t size) {
  const uint8_t* end = data + size;
  const uint8_t* at = std::find(data, end, uint8_t{0});
  ObjectInfo info;
  info.type_name = "fuzz";
  info.metadata.assign(data, at);
  std::vector<Blob> blobs;
  at += at == end ? 0 : 1;
  while (end - at >= 2 && blobs.size() < 64) {
    const size_t wanted = at[0] + size_t{256} * at[1];
    at += 2;
    const size_t length = std::min(wanted, static_cast<size_t>(end - at));
    // Exactly as much memory as is said to be there.
    const std::shared_ptr<std::byte[]> bytes(new std::byte[length]);
    if (length > 0) std::memcpy(bytes.get(), at, length);
    blobs.emplace_back(ObjectId(7), 0, std::span(bytes.get(), length), bytes, nullptr);
    at += length;
  }
  return {std::move(info), std::move(blobs)};
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
  if (const auto array = Array::FromObject(object); array.ok()) WalkArray(*array);
  if (const auto chunked = ChunkedArray::FromObject(object); chunked.ok()) WalkStream(*chunked);
  if (const auto table = Table::FromObject(object); table.ok()) WalkStream(*table);
  // No more is promised of these than that they are there.
  Array::FromObject(object, Check::kSizes).status().IgnoreError();
  Table::FromObject(object, Check::kSizes).status().IgnoreError();
  if (const auto schema = Schema::FromObject(object); schema.ok()) {
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
