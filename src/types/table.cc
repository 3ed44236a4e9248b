// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "vineyard/table.h"

#include <algorithm>
#include <numeric>

#include <fmt/ranges.h>

#include "types/arrow_export.h"
#include "types/arrow_import.h"
#include "types/pandas_values.h"
#include "types/table_json.h"
#include "types/typed.h"
#include "types/utf8.h"

namespace vineyard {

using types::ArrayData;
using types::Json;
using types::NewJson;
using types::SchemaData;
using types::Tree;
using types::TreeWriter;
using types::Type;

namespace {

bool IsTable(std::string_view codec) {
  return codec == "arrow.table" || codec == "arrow.batch" || codec == "polars.frame" ||
         codec == "polars.series";
}

Status CheckNames(const SchemaData& schema) {
  for (const types::Field& field : schema.fields) VY_RETURN_IF_ERROR(types::CheckNames(field));
  return {};
}

}  // namespace

// ---- Schema

Result<Schema> Schema::Import(ArrowSchema* schema) {
  Result<SchemaData> data = types::ImportSchema(*schema);
  if (schema->release != nullptr) schema->release(schema);
  if (!data.ok()) return std::move(data).status();
  return Schema(std::make_shared<const SchemaData>(std::move(*data)));
}

namespace {

template <typename Key>
Result<Schema> GetSchema(Client& client, const Key& key, const ReadOptions& options) {
  VY_ASSIGN_OR_RETURN(const Object object, client.Get(key, types::PlainOptions(options)));
  return Schema::FromObject(object);
}

}  // namespace

Result<Schema> Schema::Get(Client& client, ObjectId id, const ReadOptions& options) {
  return GetSchema(client, id, options);
}
Result<Schema> Schema::Get(Client& client, std::string_view name, const ReadOptions& options) {
  return GetSchema(client, name, options);
}

Result<Schema> Schema::FromObject(const Object& object) {
  VY_ASSIGN_OR_RETURN(const Tree tree, Tree::Of(object));
  VY_ASSIGN_OR_RETURN(const Json* node, types::ArrowRoot(tree));
  const std::string codec = Tree::CodecOf(*node);
  if (codec != "arrow.schema" && !IsTable(codec)) return types::NoSuchType(tree, "Schema");
  VY_ASSIGN_OR_RETURN(SchemaData data, types::SchemaOf(types::Find(*node, "schema_")));
  return Schema(std::make_shared<const SchemaData>(std::move(data)));
}

Result<ObjectId> Schema::Put(Client& client, const PutOptions& options) const {
  VY_ASSIGN_OR_RETURN(const NewJson node, types::NodeOf(*this));
  return TreeWriter().Put(client, "vineyard::SchemaProxy", node, options);
}

Status Schema::Export(ArrowSchema* schema) const {
  VY_RETURN_IF_ERROR(CheckNames(*data_));
  types::ExportSchema(*data_, schema);
  return {};
}

size_t Schema::columns() const { return data_->fields.size(); }
const std::string& Schema::name(size_t index) const { return data_->fields[index].name; }
const std::string& Schema::format(size_t index) const { return data_->fields[index].type.format; }

std::optional<size_t> Schema::Find(std::string_view name) const {
  const auto it = std::ranges::find(data_->fields, name, &types::Field::name);
  if (it == data_->fields.end()) return std::nullopt;
  return static_cast<size_t>(it - data_->fields.begin());
}

std::optional<std::string> Schema::Metadata(std::string_view key) const {
  if (!data_->metadata) return std::nullopt;
  const auto it =
      std::ranges::find(*data_->metadata, key, &std::pair<std::string, std::string>::first);
  return it == data_->metadata->end() ? std::nullopt : std::optional(it->second);
}

// ---- Table

Result<Table> Table::Make(std::vector<NamedColumn> columns) {
  SchemaData schema;
  std::vector<ChunkedArray> made;
  const int64_t rows = columns.empty() ? 0 : columns[0].values.length();
  for (NamedColumn& column : columns) {
    if (!types::IsUtf8(column.name)) return Status::Invalid("the name of a column is no UTF-8");
    types::Field& field = schema.fields.emplace_back();
    field.name = std::move(column.name);
    field.type = *column.values.type();
    made.push_back(std::move(column.values));
  }
  return types::TableFrom(std::move(schema), std::move(made), rows);
}

namespace {

// Arrays of a struct type as a table of its fields.
Result<Table> TableOfBatches(types::Field field,
                             const std::vector<std::shared_ptr<const ArrayData>>& batches) {
  if (field.type.layout != types::Layout::kStruct || field.type.dictionary) {
    return Status::TypeMismatch(
        fmt::format("record batches are of type '+s', and these of '{}'", field.type.Name()));
  }
  int64_t rows = 0;
  for (const auto& batch : batches) {
    if (batch->null_count != 0) return Status::Invalid("a record batch has rows that are null");
    if (batch->length > types::kMaxLength - rows) {
      return Status::Invalid("record batches of too many rows");
    }
    rows += batch->length;
  }
  std::vector<ChunkedArray> columns;
  for (size_t i = 0; i < field.type.children.size(); ++i) {
    const auto type = std::make_shared<const Type>(field.type.children[i].type);
    std::vector<Array> chunks;
    for (const auto& batch : batches) {
      chunks.emplace_back(type, std::shared_ptr<const ArrayData>(batch, &batch->children[i]));
    }
    columns.emplace_back(type, std::move(chunks));
  }
  SchemaData schema{std::move(field.type.children), std::move(field.metadata)};
  return types::TableFrom(std::move(schema), std::move(columns), rows);
}

}  // namespace

Result<Table> Table::Import(ArrowArrayStream* stream) {
  VY_ASSIGN_OR_RETURN(types::StreamContent content, types::ImportStream(stream));
  return TableOfBatches(std::move(content.field), content.arrays);
}

Result<Table> Table::Import(ArrowArray* batch, ArrowSchema* schema) {
  const std::shared_ptr<const ArrowArray> taken = types::TakeOver(batch);
  Result<types::Field> field = types::ImportField(*schema);
  if (schema->release != nullptr) schema->release(schema);
  if (!field.ok()) return std::move(field).status();
  VY_ASSIGN_OR_RETURN(ArrayData data, types::ImportArray(taken, field->type));
  return TableOfBatches(std::move(*field), {std::make_shared<const ArrayData>(std::move(data))});
}

Result<Table> Table::Get(Client& client, ObjectId id, const ReadOptions& options) {
  return types::GetTyped<Table>(client, id, options);
}
Result<Table> Table::Get(Client& client, std::string_view name, const ReadOptions& options) {
  return types::GetTyped<Table>(client, name, options);
}

Result<Table> Table::FromObject(const Object& object, Check check) {
  VY_ASSIGN_OR_RETURN(const Tree tree, Tree::Of(object));
  VY_ASSIGN_OR_RETURN(const Json* node, types::ArrowRoot(tree));
  const std::string codec = Tree::CodecOf(*node);
  if (IsTable(codec)) return types::TableOf(tree, *node, check);
  if (codec == "pandas.frame") return types::FrameOf(tree, *node, check);
  return types::NoSuchType(tree, "Table");
}

Result<ObjectId> Table::Put(Client& client, const PutOptions& options) const {
  TreeWriter writer;
  VY_ASSIGN_OR_RETURN(const NewJson node, types::NodeOf(*this, &writer));
  return writer.Put(client, "vineyard::Table", node, options);
}

namespace {

// Goes through the columns together, from one end of a chunk to the next.
class BatchCutter {
 public:
  BatchCutter(std::vector<ChunkedArray> columns, int64_t rows)
      : columns_(std::move(columns)), places_(columns_.size()), left_(rows) {}

  bool Next(ArrowArray* out) {
    if (left_ == 0) return false;
    int64_t length = left_;
    for (size_t c = 0; c < columns_.size(); ++c) {
      Place& place = places_[c];
      const std::vector<Array>& chunks = columns_[c].chunks();
      while (place.offset == chunks[place.chunk].length()) place = {place.chunk + 1, 0};
      length = std::min(length, chunks[place.chunk].length() - place.offset);
    }
    std::vector<ArrowArray> parts(columns_.size());
    for (size_t c = 0; c < columns_.size(); ++c) {
      const Array& chunk = columns_[c].chunks()[places_[c].chunk];
      types::ExportArray(chunk.data(), *chunk.type(), places_[c].offset, length, &parts[c]);
      places_[c].offset += length;
    }
    types::ExportBatch(std::move(parts), length, out);
    left_ -= length;
    return true;
  }

 private:
  struct Place {
    size_t chunk = 0;
    int64_t offset = 0;
  };
  std::vector<ChunkedArray> columns_;
  std::vector<Place> places_;
  int64_t left_;
};

}  // namespace

Status Table::Export(ArrowArrayStream* stream) const {
  VY_RETURN_IF_ERROR(CheckNames(*schema_.data()));
  types::ExportStream(
      {[schema = schema_.data()](ArrowSchema* out) { types::ExportSchema(*schema, out); },
       [cutter = BatchCutter(columns_, rows_)](ArrowArray* out) mutable {
         return cutter.Next(out);
       }},
      stream);
  return {};
}

Result<ChunkedArray> Table::column(std::string_view name) const {
  if (const std::optional<size_t> index = schema_.Find(name)) return columns_[*index];
  std::vector<std::string_view> names;
  for (size_t i = 0; i < std::min<size_t>(columns_.size(), 20); ++i)
    names.push_back(schema_.name(i));
  return Status::NotFound(fmt::format("no column '{}' among the {}: {}{}", types::Short(name),
                                      columns_.size(), fmt::join(names, ", "),
                                      names.size() < columns_.size() ? ", ..." : ""));
}

}  // namespace vineyard
