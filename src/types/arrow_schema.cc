// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Types, fields and schemas as ArrowSchema structures. Of an extension type, name and parameters stand
// in the metadata of whoever has the type.
#include <cstring>

#include "types/arrow_type.h"

namespace vineyard::types {

namespace {

constexpr std::string_view kExtensionName = "ARROW:extension:name";
constexpr std::string_view kExtensionMetadata = "ARROW:extension:metadata";

// ---- import

class MetadataReader {
 public:
  explicit MetadataReader(const char* at) : at_(at) {}
  Result<Metadata> Read() {
    VY_ASSIGN_OR_RETURN(const int32_t count, Length());
    Metadata metadata;
    for (int32_t i = 0; i < count; ++i) {
      VY_ASSIGN_OR_RETURN(std::string key, Text());
      VY_ASSIGN_OR_RETURN(std::string value, Text());
      metadata.emplace_back(std::move(key), std::move(value));
    }
    return metadata;
  }

 private:
  Result<int32_t> Length() {
    int32_t length;
    std::memcpy(&length, at_, sizeof length);
    at_ += sizeof length;
    if (length < 0) return Status::Invalid("metadata of an ArrowSchema have a negative length");
    return length;
  }
  Result<std::string> Text() {
    VY_ASSIGN_OR_RETURN(const int32_t length, Length());
    std::string text(at_, static_cast<size_t>(length));
    at_ += length;
    return text;
  }
  const char* at_;
};

// Takes what says that a type is an extension type out of the metadata.
void TakeExtension(Metadata* metadata, Type* type) {
  std::optional<Extension> found;
  std::string serialized;
  std::erase_if(*metadata, [&](std::pair<std::string, std::string>& pair) {
    if (pair.first == kExtensionName) {
      if (!found) found.emplace().name = std::move(pair.second);
      return true;
    }
    if (pair.first != kExtensionMetadata) return false;
    serialized = std::move(pair.second);
    return true;
  });
  if (found) {
    found->serialized = std::move(serialized);
    type->extension = std::move(found);
  }
}

Status ImportChildren(const ArrowSchema& schema, int depth, Type* type) {
  if (schema.n_children < 0 || (schema.n_children > 0 && schema.children == nullptr)) {
    return Status::Invalid("an ArrowSchema has no sound list of children");
  }
  for (int64_t i = 0; i < schema.n_children; ++i) {
    if (schema.children[i] == nullptr) return Status::Invalid("a child of an ArrowSchema is null");
    VY_ASSIGN_OR_RETURN(Field child, ImportField(*schema.children[i], depth + 1));
    type->children.push_back(std::move(child));
  }
  return {};
}

}  // namespace

Result<Field> ImportField(const ArrowSchema& schema, int depth) {
  if (depth > kMaxDepth) {
    return Status::LimitExceeded(fmt::format("Arrow types nested more than {} deep", kMaxDepth));
  }
  if (schema.release == nullptr) return Status::Invalid("the ArrowSchema was released already");
  if (schema.format == nullptr) return Status::Invalid("the ArrowSchema has no format");
  Field field;
  field.name = schema.name == nullptr ? "" : schema.name;
  field.nullable = (schema.flags & ARROW_FLAG_NULLABLE) != 0;
  field.type.format = schema.format;
  VY_RETURN_IF_ERROR(ParseFormat(&field.type));
  VY_RETURN_IF_ERROR(ImportChildren(schema, depth, &field.type));
  if (schema.dictionary != nullptr) {
    VY_ASSIGN_OR_RETURN(Field values, ImportField(*schema.dictionary, depth + 1));
    field.type.dictionary = std::make_shared<const Type>(std::move(values.type));
    field.type.ordered = (schema.flags & ARROW_FLAG_DICTIONARY_ORDERED) != 0;
  }
  if (field.type.format == "+m") {
    field.type.sorted = (schema.flags & ARROW_FLAG_MAP_KEYS_SORTED) != 0;
    // Not every producer says what is true of every map.
    if (field.type.children.size() == 1) {
      Field& entries = field.type.children[0];
      entries.nullable = false;
      if (!entries.type.children.empty()) entries.type.children[0].nullable = false;
    }
  }
  VY_RETURN_IF_ERROR(CheckType(field.type));
  if (schema.metadata != nullptr) {
    VY_ASSIGN_OR_RETURN(Metadata metadata, MetadataReader(schema.metadata).Read());
    TakeExtension(&metadata, &field.type);
    if (!metadata.empty()) field.metadata = std::move(metadata);
  }
  return field;
}

Result<SchemaData> ImportSchema(const ArrowSchema& schema) {
  VY_ASSIGN_OR_RETURN(Field whole, ImportField(schema));
  if (whole.type.layout != Layout::kStruct || whole.type.dictionary || whole.type.extension) {
    return Status::TypeMismatch(
        fmt::format("the schema of a table is '+s', and this is '{}'", whole.type.Name()));
  }
  return SchemaData{std::move(whole.type.children), std::move(whole.metadata)};
}

// ---- export

namespace {

// Owns what one ArrowSchema points at. Its children and its dictionary release themselves.
struct ExportedSchema {
  std::string format;
  std::string name;
  std::string metadata;
  std::vector<ArrowSchema> children;
  std::vector<ArrowSchema*> pointers;
  ArrowSchema dictionary{};
};

void Release(ArrowSchema* schema) {
  const std::unique_ptr<ExportedSchema> owned(static_cast<ExportedSchema*>(schema->private_data));
  for (ArrowSchema& child : owned->children) {
    if (child.release != nullptr) child.release(&child);
  }
  if (owned->dictionary.release != nullptr) owned->dictionary.release(&owned->dictionary);
  schema->release = nullptr;
}

std::string MetadataBytes(const Metadata& metadata) {
  std::string bytes;
  const auto add_length = [&bytes](size_t length) {
    const auto number = static_cast<int32_t>(length);
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  };
  add_length(metadata.size());
  for (const auto& [key, value] : metadata) {
    add_length(key.size());
    bytes += key;
    add_length(value.size());
    bytes += value;
  }
  return bytes;
}

int64_t FlagsOf(const Field& field) {
  return (field.nullable ? ARROW_FLAG_NULLABLE : 0) |
         (field.type.ordered ? ARROW_FLAG_DICTIONARY_ORDERED : 0) |
         (field.type.sorted ? ARROW_FLAG_MAP_KEYS_SORTED : 0);
}

}  // namespace

Status CheckNames(const Field& field) {
  if (field.name.contains('\0')) {
    return Status::NotSupported(fmt::format(
        "the C data interface holds no name with a NUL in it, such as '{}'", field.name.c_str()));
  }
  return CheckNames(field.type);
}

Status CheckNames(const Type& type) {
  if (type.format.contains('\0')) {
    return Status::NotSupported("the C data interface holds no time zone with a NUL in it");
  }
  for (const Field& child : type.children) VY_RETURN_IF_ERROR(CheckNames(child));
  return type.dictionary ? CheckNames(*type.dictionary) : Status::OK();
}

void ExportField(const Field& field, ArrowSchema* out) {
  auto owned = std::make_unique<ExportedSchema>();
  const Type& type = field.type;
  owned->format = type.format;
  owned->name = field.name;
  Metadata metadata = field.metadata.value_or(Metadata());
  if (type.extension) {
    metadata.emplace_back(kExtensionName, type.extension->name);
    metadata.emplace_back(kExtensionMetadata, type.extension->serialized);
  }
  if (!metadata.empty()) owned->metadata = MetadataBytes(metadata);
  owned->children.resize(type.children.size());
  for (size_t i = 0; i < type.children.size(); ++i) {
    ExportField(type.children[i], &owned->children[i]);
    owned->pointers.push_back(&owned->children[i]);
  }
  if (type.dictionary) ExportType(*type.dictionary, &owned->dictionary);
  *out = {.format = owned->format.c_str(),
          .name = owned->name.c_str(),
          .metadata = owned->metadata.empty() ? nullptr : owned->metadata.data(),
          .flags = FlagsOf(field),
          .n_children = static_cast<int64_t>(owned->children.size()),
          .children = owned->pointers.data(),
          .dictionary = type.dictionary ? &owned->dictionary : nullptr,
          .release = Release,
          .private_data = nullptr};
  out->private_data = owned.release();
}

void ExportType(const Type& type, ArrowSchema* out) {
  Field field;
  field.type = type;
  ExportField(field, out);
}

void ExportSchema(const SchemaData& schema, ArrowSchema* out) {
  Field whole;
  whole.type = PlainType("+s");
  whole.type.children = schema.fields;
  whole.nullable = false;
  whole.metadata = schema.metadata;
  ExportField(whole, out);
}

}  // namespace vineyard::types
