// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Table and Schema: named columns of Arrow types; what Python puts and gets as pyarrow's Table,
// RecordBatch and Schema. Frames of polars are stored as tables, and frames of pandas can be read as one.
//
// As of Array: immutable, cheap to copy, for any thread; what they are made of lives as long as they do.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vineyard/array.h"

namespace vineyard {

namespace types {
struct SchemaData;
}  // namespace types

/// Names and types of columns, and metadata.
class Schema {
 public:
  /// Takes over a schema of type "+s", which is released also on failure.
  static Result<Schema> Import(ArrowSchema* schema);
  static Result<Schema> Get(Client& client, ObjectId id, const ReadOptions& options = {});
  static Result<Schema> Get(Client& client, std::string_view name, const ReadOptions& options = {});
  /// Also of the object of a table.
  static Result<Schema> FromObject(const Object& object);

  [[nodiscard]] Result<ObjectId> Put(Client& client, const PutOptions& options = {}) const;
  [[nodiscard]] Status Export(ArrowSchema* schema) const;

  [[nodiscard]] size_t columns() const;
  /// REQUIRES: index < columns().
  [[nodiscard]] const std::string& name(size_t index) const;
  /// In the words of the C data interface.
  [[nodiscard]] const std::string& format(size_t index) const;
  /// The first column of that name.
  [[nodiscard]] std::optional<size_t> Find(std::string_view name) const;
  /// The value of a key of the metadata.
  [[nodiscard]] std::optional<std::string> Metadata(std::string_view key) const;

  /// Used by the library.
  explicit Schema(std::shared_ptr<const types::SchemaData> data) : data_(std::move(data)) {}
  [[nodiscard]] const std::shared_ptr<const types::SchemaData>& data() const { return data_; }

 private:
  std::shared_ptr<const types::SchemaData> data_;
};

class Table {
 public:
  struct NamedColumn {
    std::string name;
    ChunkedArray values;
  };
  /// Of columns of one length. kInvalid when they are not, or a name is no UTF-8.
  static Result<Table> Make(std::vector<NamedColumn> columns);
  /// All batches of a stream, which is read to its end and released, also on failure.
  static Result<Table> Import(ArrowArrayStream* stream);
  /// One batch: a struct array without nulls. Both are released, also on failure.
  static Result<Table> Import(ArrowArray* batch, ArrowSchema* schema);
  /// A Table, RecordBatch or frame of the store. kTypeMismatch when the object is none. Of a pandas
  /// DataFrame a column that Arrow can't express is kNotSupported, with its name; columns of numbers,
  /// datetimes and Arrow data are not copied where each lies in one piece. Its index, unless it only
  /// counts rows, is the last columns.
  static Result<Table> Get(Client& client, ObjectId id, const ReadOptions& options = {});
  static Result<Table> Get(Client& client, std::string_view name, const ReadOptions& options = {});
  static Result<Table> FromObject(const Object& object, Check check = Check::kContents);

  [[nodiscard]] Result<ObjectId> Put(Client& client, const PutOptions& options = {}) const;
  /// A stream of record batches: as long as no column's chunk ends within one. Nothing is copied.
  [[nodiscard]] Status Export(ArrowArrayStream* stream) const;

  [[nodiscard]] int64_t rows() const { return rows_; }
  [[nodiscard]] size_t columns() const { return columns_.size(); }
  [[nodiscard]] const Schema& schema() const { return schema_; }
  /// REQUIRES: index < columns().
  [[nodiscard]] const ChunkedArray& column(size_t index) const { return columns_[index]; }
  /// The first column of that name. kNotFound says which there are.
  [[nodiscard]] Result<ChunkedArray> column(std::string_view name) const;

  /// Used by the library.
  Table(Schema schema, std::vector<ChunkedArray> columns, int64_t rows)
      : schema_(std::move(schema)), columns_(std::move(columns)), rows_(rows) {}

 private:
  Schema schema_;
  std::vector<ChunkedArray> columns_;
  int64_t rows_;
};

}  // namespace vineyard
