// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Type and Field: what the Arrow C data interface's ArrowSchema says, as values.
//
// A Type that ParseFormat and CheckType have accepted is whole: what follows from its format is filled
// in, and its children are as many and as the format wants them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "types/tree.h"
#include "vineyard/arrow_abi.h"
#include "vineyard/status.h"

namespace vineyard::types {

/// What buffers an array has, and what is in them.
enum class Layout : uint8_t {
  kNull,
  kBits,
  kFixed,
  kBinary,
  kBinaryView,
  kList,  // and maps
  kListView,
  kFixedList,
  kStruct,
  kSparseUnion,
  kDenseUnion,
  kRunEnds,
};

struct Field;
using Metadata = std::vector<std::pair<std::string, std::string>>;

struct Extension {
  std::string name;
  std::string serialized;
};

struct Type {
  std::string format;  ///< Of a dictionary, that of its indices.
  std::vector<Field> children;
  std::shared_ptr<const Type> dictionary;  ///< Of the values.
  bool ordered = false;                    ///< The order of the dictionary's values has a meaning.
  bool sorted = false;                     ///< The keys of a map are sorted.
  std::optional<Extension> extension;      ///< Of which all else is the storage.

  // What ParseFormat finds in the format.
  Layout layout = Layout::kNull;
  int64_t width = 0;          ///< Of an item: bytes, or items of a fixed-size list.
  bool large = false;         ///< Offsets have 64 bits.
  bool text = false;          ///< Bytes must be UTF-8.
  std::vector<int8_t> codes;  ///< Of a union: one for each child.

  /// "+l" or "dictionary of u", for messages.
  [[nodiscard]] std::string Name() const;
};

struct Field {
  std::string name;
  Type type;
  bool nullable = true;
  std::optional<Metadata> metadata;
};

struct SchemaData {
  std::vector<Field> fields;
  std::optional<Metadata> metadata;
};

/// Fills in what follows from `type->format`. kInvalid when that has no meaning; kNotSupported when it
/// may have one in a newer release.
Status ParseFormat(Type* type);
/// Whether the rest of a type fits its format.
Status CheckType(const Type& type);
/// How many buffers an array has: of views, at least.
size_t BufferCount(const Type& type);
/// Whether the first of them is the validity.
bool HasValidity(const Type& type);
/// A type without children.
Type PlainType(std::string format);

// ---- as JSON; what is read is checked

Result<NewJson> TypeJson(const Type& type);
Result<NewJson> FieldJson(const Field& field);
Result<NewJson> SchemaJson(const SchemaData& schema);
Result<Type> TypeOf(const Json* node, int depth = 0);
Result<SchemaData> SchemaOf(const Json* node);
/// v6d's typename of an array where it had one.
std::string ArrayTypeName(const Type& type);

// ---- as C structures

/// Reads, and does not release.
Result<Field> ImportField(const ArrowSchema& schema, int depth = 0);
Result<SchemaData> ImportSchema(const ArrowSchema& schema);
/// kNotSupported when a name has a NUL in it, where a C string would end.
Status CheckNames(const Field& field);
Status CheckNames(const Type& type);
void ExportField(const Field& field, ArrowSchema* out);
void ExportType(const Type& type, ArrowSchema* out);
void ExportSchema(const SchemaData& schema, ArrowSchema* out);

}  // namespace vineyard::types
