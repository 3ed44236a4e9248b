// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Types, fields and schemas as JSON (docs/formats/values.md).
#include "types/arrow_type.h"
#include "types/utf8.h"

namespace vineyard::types {

namespace {

// ---- to JSON

Result<NewJson> TextJson(const std::string& text, std::string_view what) {
  if (IsUtf8(text)) return NewJson(text);
  return Status::Invalid(fmt::format("{} of an Arrow type is no UTF-8", what));
}

NewJson BytesJson(const std::string& bytes) {
  if (IsUtf8(bytes)) return bytes;
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return {{"hex_", hex}};
}

NewJson MetadataJson(const Metadata& metadata) {
  NewJson pairs = NewJson::array();
  for (const auto& [key, value] : metadata) {
    NewJson pair = NewJson::array();
    pair.push_back(BytesJson(key));
    pair.push_back(BytesJson(value));
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

Result<NewJson> StorageJson(const Type& type) {
  VY_ASSIGN_OR_RETURN(NewJson format, TextJson(type.format, "the format"));
  NewJson node = {{"format_", std::move(format)}};
  if (type.dictionary) {
    VY_ASSIGN_OR_RETURN(node["dictionary_"], TypeJson(*type.dictionary));
    if (type.ordered) node["ordered_"] = true;
    return node;
  }
  if (type.children.empty() && type.format[0] != '+') return std::move(node["format_"]);
  NewJson children = NewJson::array();
  for (const Field& child : type.children) {
    VY_ASSIGN_OR_RETURN(NewJson field, FieldJson(child));
    children.push_back(std::move(field));
  }
  node["children_"] = std::move(children);
  if (type.sorted) node["sorted_"] = true;
  return node;
}

// ---- back

Result<std::string> BytesOf(const Json& node) {
  if (node.is_string()) return node.get<std::string>();
  const Json* hex = Find(node, "hex_");
  if (hex == nullptr || !hex->is_string()) return Damaged("Arrow metadata are no text");
  const auto& digits = hex->get_ref<const std::string&>();
  const auto value_of = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    const int high = value_of(digits[i]);
    const int low = value_of(digits[i + 1]);
    if (high < 0 || low < 0) return Damaged("Arrow metadata are no hexadecimal digits");
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  if (digits.size() % 2 != 0) return Damaged("Arrow metadata are half a byte too long");
  return bytes;
}

Result<std::optional<Metadata>> MetadataOf(const Json& node) {
  if (Find(node, "metadata_") == nullptr) return std::optional<Metadata>();
  VY_ASSIGN_OR_RETURN(const Json* pairs, NeedList(node, "metadata_"));
  Metadata metadata;
  for (const Json& pair : *pairs) {
    if (!pair.is_array() || pair.size() != 2) return Damaged("Arrow metadata are no pairs");
    VY_ASSIGN_OR_RETURN(std::string key, BytesOf(pair[0]));
    VY_ASSIGN_OR_RETURN(std::string value, BytesOf(pair[1]));
    metadata.emplace_back(std::move(key), std::move(value));
  }
  return std::optional(std::move(metadata));
}

Result<Field> FieldOf(const Json& node, int depth) {
  Field field;
  VY_ASSIGN_OR_RETURN(field.name, NeedText(node, "name_"));
  VY_ASSIGN_OR_RETURN(field.type, TypeOf(Find(node, "type_"), depth));
  if (Find(node, "nullable_") != nullptr) {
    VY_ASSIGN_OR_RETURN(field.nullable, FlagOf(node, "nullable_"));
  }
  VY_ASSIGN_OR_RETURN(field.metadata, MetadataOf(node));
  return field;
}

Result<std::vector<Field>> FieldsOf(const Json& node, const char* key, int depth) {
  VY_ASSIGN_OR_RETURN(const Json* list, NeedList(node, key));
  std::vector<Field> fields;
  for (const Json& item : *list) {
    VY_ASSIGN_OR_RETURN(fields.emplace_back(), FieldOf(item, depth));
  }
  return fields;
}

// What has no meaning in a call is damage in what was stored.
Status AsDamage(const Status& status) {
  if (status.Is(StatusCode::kInvalid)) return Damaged("{}", status.message());
  return status;
}

Result<Type> ExtensionOf(const Json& node, int depth) {
  VY_ASSIGN_OR_RETURN(Type type, TypeOf(Find(node, "storage_"), depth + 1));
  if (type.extension) return Status::NotSupported("an Arrow extension type inside of another");
  Extension extension;
  VY_ASSIGN_OR_RETURN(extension.name, NeedText(node, "extension_"));
  if (const Json* serialized = Find(node, "serialized_")) {
    VY_ASSIGN_OR_RETURN(extension.serialized, BytesOf(*serialized));
  }
  type.extension = std::move(extension);
  return type;
}

}  // namespace

Result<NewJson> TypeJson(const Type& type) {
  if (!type.extension) return StorageJson(type);
  VY_ASSIGN_OR_RETURN(NewJson name, TextJson(type.extension->name, "the extension"));
  NewJson node = {{"extension_", std::move(name)}};
  VY_ASSIGN_OR_RETURN(node["storage_"], StorageJson(type));
  if (!type.extension->serialized.empty()) {
    node["serialized_"] = BytesJson(type.extension->serialized);
  }
  return node;
}

Result<NewJson> FieldJson(const Field& field) {
  NewJson node = NewJson::object();
  VY_ASSIGN_OR_RETURN(node["name_"], TextJson(field.name, "a field"));
  VY_ASSIGN_OR_RETURN(node["type_"], TypeJson(field.type));
  if (!field.nullable) node["nullable_"] = false;
  if (field.metadata) node["metadata_"] = MetadataJson(*field.metadata);
  return node;
}

Result<NewJson> SchemaJson(const SchemaData& schema) {
  NewJson fields = NewJson::array();
  for (const Field& field : schema.fields) {
    VY_ASSIGN_OR_RETURN(NewJson node, FieldJson(field));
    fields.push_back(std::move(node));
  }
  NewJson node = {{"fields_", std::move(fields)}};
  if (schema.metadata) node["metadata_"] = MetadataJson(*schema.metadata);
  return node;
}

Result<Type> TypeOf(const Json* node, int depth) {
  if (depth > kMaxDepth) return Damaged("Arrow types are nested more than {} deep", kMaxDepth);
  if (node == nullptr) return Damaged("an Arrow type is missing");
  if (Find(*node, "extension_") != nullptr) return ExtensionOf(*node, depth);
  Type type;
  const Json* dictionary = nullptr;
  if (node->is_string()) {
    type.format = node->get<std::string>();
  } else {
    if (!node->is_object()) return Damaged("an Arrow type is {}", ShortJson(*node));
    VY_ASSIGN_OR_RETURN(type.format, NeedText(*node, "format_"));
    dictionary = Find(*node, "dictionary_");
  }
  VY_RETURN_IF_ERROR(AsDamage(ParseFormat(&type)));
  if (dictionary != nullptr) {
    VY_ASSIGN_OR_RETURN(Type values, TypeOf(dictionary, depth + 1));
    type.dictionary = std::make_shared<const Type>(std::move(values));
    VY_ASSIGN_OR_RETURN(type.ordered, FlagOf(*node, "ordered_"));
  } else if (node->is_object()) {
    VY_ASSIGN_OR_RETURN(type.children, FieldsOf(*node, "children_", depth + 1));
    VY_ASSIGN_OR_RETURN(type.sorted, FlagOf(*node, "sorted_"));
  }
  VY_RETURN_IF_ERROR(AsDamage(CheckType(type)));
  return type;
}

Result<SchemaData> SchemaOf(const Json* node) {
  if (node == nullptr || !node->is_object()) return Damaged("a schema is missing");
  SchemaData schema;
  VY_ASSIGN_OR_RETURN(schema.fields, FieldsOf(*node, "fields_", 0));
  VY_ASSIGN_OR_RETURN(schema.metadata, MetadataOf(*node));
  return schema;
}

}  // namespace vineyard::types
