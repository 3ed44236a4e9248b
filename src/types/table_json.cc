// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "types/table_json.h"

namespace vineyard::types {

namespace {

NewJson ChunksJson(const ChunkedArray& column, TreeWriter* writer) {
  NewJson chunks = NewJson::array();
  for (const Array& chunk : column.chunks()) {
    chunks.push_back(ArrayJson(*chunk.type(), *chunk.data(), writer));
  }
  return chunks;
}

}  // namespace

Result<NewJson> NodeOf(const Array& array, TreeWriter* writer) {
  NewJson node = {{"codec", "arrow.array"}};
  VY_ASSIGN_OR_RETURN(node["type_"], TypeJson(*array.type()));
  node.update(ArrayJson(*array.type(), *array.data(), writer));
  return node;
}

Result<NewJson> NodeOf(const ChunkedArray& column, TreeWriter* writer) {
  NewJson node = {{"codec", "arrow.chunked"}};
  VY_ASSIGN_OR_RETURN(node["type_"], TypeJson(*column.type()));
  node["chunks_"] = ChunksJson(column, writer);
  return node;
}

Result<NewJson> NodeOf(const Schema& schema) {
  NewJson node = {{"codec", "arrow.schema"}};
  VY_ASSIGN_OR_RETURN(node["schema_"], SchemaJson(*schema.data()));
  return node;
}

Result<NewJson> NodeOf(const Table& table, TreeWriter* writer) {
  NewJson node = {
      {"codec", "arrow.table"}, {"num_rows_", table.rows()}, {"num_columns_", table.columns()}};
  VY_ASSIGN_OR_RETURN(node["schema_"], SchemaJson(*table.schema().data()));
  NewJson columns = NewJson::array();
  for (size_t i = 0; i < table.columns(); ++i) {
    columns.push_back(ChunksJson(table.column(i), writer));
  }
  node["columns_"] = std::move(columns);
  return node;
}

namespace {

Result<ChunkedArray> ChunksOf(const Tree& tree, const Json& chunks,
                              std::shared_ptr<const Type> type, Check check) {
  if (!chunks.is_array()) return Damaged("the chunks of an Arrow column are no JSON array");
  std::vector<Array> made;
  int64_t length = 0;
  for (const Json& chunk : chunks) {
    VY_ASSIGN_OR_RETURN(ArrayData data, ArrayOf(tree, chunk, *type, check));
    if (data.length > kMaxLength - length) {
      return Damaged("a column of more than {} items", kMaxLength);
    }
    length += data.length;
    made.emplace_back(type, std::make_shared<const ArrayData>(std::move(data)));
  }
  return ChunkedArray(std::move(type), std::move(made));
}

}  // namespace

Result<ChunkedArray> ChunkedOf(const Tree& tree, const Json& node, Check check) {
  VY_ASSIGN_OR_RETURN(Type type, TypeOf(Find(node, "type_")));
  VY_ASSIGN_OR_RETURN(const Json* chunks, NeedList(node, "chunks_"));
  return ChunksOf(tree, *chunks, std::make_shared<const Type>(std::move(type)), check);
}

Result<Table> TableOf(const Tree& tree, const Json& node, Check check) {
  VY_ASSIGN_OR_RETURN(SchemaData schema, SchemaOf(Find(node, "schema_")));
  VY_ASSIGN_OR_RETURN(const int64_t rows, NeedInt(node, "num_rows_", 0, kMaxLength));
  VY_ASSIGN_OR_RETURN(const Json* columns, NeedList(node, "columns_"));
  if (columns->size() != schema.fields.size()) {
    return Damaged("{} columns where the schema has {}", columns->size(), schema.fields.size());
  }
  const bool is_batch = Tree::CodecOf(node) == "arrow.batch";
  std::vector<ChunkedArray> made;
  for (size_t i = 0; i < columns->size(); ++i) {
    const auto type = std::make_shared<const Type>(schema.fields[i].type);
    const Json& column = (*columns)[i];
    VY_ASSIGN_OR_RETURN(ChunkedArray chunks,
                        ChunksOf(tree, is_batch ? Json::array({column}) : column, type, check));
    made.push_back(std::move(chunks));
  }
  Result<Table> table = TableFrom(std::move(schema), std::move(made), rows);
  if (!table.ok()) return Damaged("{}", table.status().message());
  return table;
}

Result<Table> TableFrom(SchemaData schema, std::vector<ChunkedArray> columns, int64_t rows) {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].length() != rows) {
      return Status::Invalid(fmt::format("column '{}' of {} items in a table of {} rows",
                                         Short(schema.fields[i].name), columns[i].length(), rows));
    }
  }
  return Table(Schema(std::make_shared<const SchemaData>(std::move(schema))), std::move(columns),
               rows);
}

}  // namespace vineyard::types
