// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "vineyard/array.h"

#include <cstring>

#include "types/arrow_check.h"
#include "types/arrow_export.h"
#include "types/arrow_import.h"
#include "types/arrow_json.h"
#include "types/arrow_views.h"
#include "types/pandas_values.h"
#include "types/table_json.h"
#include "types/typed.h"
#include "types/utf8.h"

namespace vineyard {

using types::ArrayData;
using types::Buffer;
using types::Json;
using types::Layout;
using types::NewJson;
using types::Tree;
using types::TreeWriter;
using types::Type;

// ---- Array

Result<Array> Array::Import(ArrowArray* array, ArrowSchema* schema) {
  const std::shared_ptr<const ArrowArray> taken = types::TakeOver(array);
  Result<types::Field> field = types::ImportField(*schema);
  if (schema->release != nullptr) schema->release(schema);
  if (!field.ok()) return std::move(field).status();
  VY_ASSIGN_OR_RETURN(ArrayData data, types::ImportArray(taken, field->type));
  return Array(std::make_shared<const Type>(std::move(field->type)),
               std::make_shared<const ArrayData>(std::move(data)));
}

Result<Array> Array::Get(Client& client, ObjectId id, const ReadOptions& options) {
  return types::GetTyped<Array>(client, id, options);
}
Result<Array> Array::Get(Client& client, std::string_view name, const ReadOptions& options) {
  return types::GetTyped<Array>(client, name, options);
}

Result<Array> Array::FromObject(const Object& object, Check check) {
  VY_ASSIGN_OR_RETURN(const Tree tree, Tree::Of(object));
  VY_ASSIGN_OR_RETURN(const Json* node, types::ArrowRoot(tree));
  const std::string codec = Tree::CodecOf(*node);
  if (codec == "arrow.chunked") {
    return types::NoSuchType(tree, "Array: it has chunks, get it as a ChunkedArray");
  }
  if (codec != "arrow.array") return types::NoSuchType(tree, "Array");
  VY_ASSIGN_OR_RETURN(Type type, types::TypeOf(types::Find(*node, "type_")));
  VY_ASSIGN_OR_RETURN(ArrayData data, types::ArrayOf(tree, *node, type, check));
  return Array(std::make_shared<const Type>(std::move(type)),
               std::make_shared<const ArrayData>(std::move(data)));
}

Array Array::OfNumbers(std::string_view format, std::span<const std::byte> bytes, int64_t length,
                       std::shared_ptr<const void> keep_alive) {
  ArrayData data;
  data.length = length;
  data.buffers = {Buffer(), Buffer(bytes, std::move(keep_alive))};
  return {std::make_shared<const Type>(types::PlainType(std::string(format))),
          std::make_shared<const ArrayData>(std::move(data))};
}

Result<Array> Array::Of(std::span<const std::optional<std::string>> texts) {
  std::vector<int64_t> offsets{0};
  std::vector<char> bytes;
  std::vector<uint8_t> validity((texts.size() + 7) / 8);
  ArrayData data;
  data.length = static_cast<int64_t>(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i]) {
      if (!types::IsUtf8(*texts[i])) return Status::Invalid("a text is no UTF-8");
      bytes.insert(bytes.end(), texts[i]->begin(), texts[i]->end());
      validity[i / 8] = static_cast<uint8_t>(validity[i / 8] | (1U << (i % 8)));
    } else {
      ++data.null_count;
    }
    offsets.push_back(static_cast<int64_t>(bytes.size()));
  }
  data.buffers = {data.null_count > 0 ? Buffer::Of(std::move(validity)) : Buffer(),
                  Buffer::Of(std::move(offsets)), Buffer::Of(std::move(bytes))};
  return Array(std::make_shared<const Type>(types::PlainType("U")),
               std::make_shared<const ArrayData>(std::move(data)));
}

Result<Array> Array::Of(std::span<const std::string> texts) {
  const std::vector<std::optional<std::string>> all(texts.begin(), texts.end());
  return Of(all);
}

Result<ObjectId> Array::Put(Client& client, const PutOptions& options) const {
  TreeWriter writer;
  VY_ASSIGN_OR_RETURN(const NewJson node, types::NodeOf(*this, &writer));
  return writer.Put(client, types::ArrayTypeName(*type_), node, options);
}

Status Array::Export(ArrowArray* array, ArrowSchema* schema) const {
  VY_RETURN_IF_ERROR(types::CheckNames(*type_));
  types::ExportType(*type_, schema);
  types::ExportArray(data_, *type_, 0, data_->length, array);
  return {};
}

int64_t Array::length() const { return data_->length; }
int64_t Array::null_count() const { return data_->null_count; }
const std::string& Array::format() const { return type_->format; }

Result<const std::byte*> Array::Numbers(std::string_view format) const {
  if (type_->format != format || type_->dictionary) {
    return Status::TypeMismatch(
        fmt::format("an array of type '{}' asked for as '{}'", type_->Name(), format));
  }
  return data_->buffers[1].data();
}

bool Array::IsNull(int64_t index) const {
  VY_CHECK(index >= 0 && index < data_->length);
  if (type_->layout == Layout::kNull) return true;
  return types::HasValidity(*type_) && data_->IsNull(index);
}

namespace {

template <typename T>
std::string_view ItemOf(const ArrayData& data, int64_t index) {
  const T start = data.buffers[1].At<T>(index);
  const T end = data.buffers[1].At<T>(index + 1);
  const auto* bytes = reinterpret_cast<const char*>(data.buffers[2].data());
  return end == start ? "" : std::string_view(bytes + start, static_cast<size_t>(end - start));
}

std::string_view ViewOf(const ArrayData& data, int64_t index) {
  const auto view = data.buffers[1].At<types::BinaryView>(index);
  const auto size = static_cast<size_t>(view.size);
  const auto* views = reinterpret_cast<const char*>(data.buffers[1].data());
  if (view.is_inline()) {
    return {views + static_cast<size_t>(index) * sizeof view + 4, size};
  }
  const Buffer& bytes = data.buffers[static_cast<size_t>(view.buffer) + 2];
  return {reinterpret_cast<const char*>(bytes.data()) + view.offset, size};
}

}  // namespace

Result<std::optional<std::string_view>> Array::Text(int64_t index) const {
  VY_CHECK(index >= 0 && index < data_->length);
  const bool is_view = type_->layout == Layout::kBinaryView;
  if (type_->dictionary || (!is_view && type_->layout != Layout::kBinary)) {
    return Status::TypeMismatch(fmt::format("an array of type '{}' has no texts", type_->Name()));
  }
  if (data_->IsNull(index)) return std::optional<std::string_view>();
  if (is_view) return std::optional(ViewOf(*data_, index));
  return std::optional(type_->large ? ItemOf<int64_t>(*data_, index)
                                    : ItemOf<int32_t>(*data_, index));
}

// ---- ChunkedArray

ChunkedArray::ChunkedArray(Array array) : type_(array.type()), chunks_({std::move(array)}) {}

Result<ChunkedArray> ChunkedArray::Import(ArrowArrayStream* stream) {
  VY_ASSIGN_OR_RETURN(types::StreamContent content, types::ImportStream(stream));
  const auto type = std::make_shared<const Type>(std::move(content.field.type));
  std::vector<Array> chunks;
  for (auto& data : content.arrays) chunks.emplace_back(type, std::move(data));
  return ChunkedArray(type, std::move(chunks));
}

Result<ChunkedArray> ChunkedArray::Get(Client& client, ObjectId id, const ReadOptions& options) {
  return types::GetTyped<ChunkedArray>(client, id, options);
}
Result<ChunkedArray> ChunkedArray::Get(Client& client, std::string_view name,
                                       const ReadOptions& options) {
  return types::GetTyped<ChunkedArray>(client, name, options);
}

Result<ChunkedArray> ChunkedArray::FromObject(const Object& object, Check check) {
  VY_ASSIGN_OR_RETURN(const Tree tree, Tree::Of(object));
  VY_ASSIGN_OR_RETURN(const Json* node, types::ArrowRoot(tree));
  const std::string codec = Tree::CodecOf(*node);
  if (codec == "arrow.array") {
    VY_ASSIGN_OR_RETURN(Array array, Array::FromObject(object, check));
    return ChunkedArray(std::move(array));
  }
  if (codec == "arrow.chunked") return types::ChunkedOf(tree, *node, check);
  if (codec == "pandas.series") return types::SeriesOf(tree, *node, check);
  if (codec == "polars.series") {
    VY_ASSIGN_OR_RETURN(const Table table, types::TableOf(tree, *node, check));
    if (table.columns() != 1) return types::Damaged("a series of {} columns", table.columns());
    return table.column(0);
  }
  return types::NoSuchType(tree, "ChunkedArray");
}

Result<ObjectId> ChunkedArray::Put(Client& client, const PutOptions& options) const {
  TreeWriter writer;
  VY_ASSIGN_OR_RETURN(const NewJson node, types::NodeOf(*this, &writer));
  return writer.Put(client, "vineyard::ChunkedArray", node, options);
}

Status ChunkedArray::Export(ArrowArrayStream* stream) const {
  VY_RETURN_IF_ERROR(types::CheckNames(*type_));
  const auto next = [chunks = chunks_, at = size_t{0}](ArrowArray* out) mutable {
    if (at == chunks.size()) return false;
    const Array& chunk = chunks[at++];
    types::ExportArray(chunk.data(), *chunk.type(), 0, chunk.length(), out);
    return true;
  };
  types::ExportStream({[type = type_](ArrowSchema* out) { types::ExportType(*type, out); }, next},
                      stream);
  return {};
}

int64_t ChunkedArray::length() const {
  int64_t length = 0;
  for (const Array& chunk : chunks_) length += chunk.length();
  return length;
}

const std::string& ChunkedArray::format() const { return type_->format; }

}  // namespace vineyard
