// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "types/arrow_json.h"

#include "types/arrow_check.h"

namespace vineyard::types {

NewJson ArrayJson(const Type& type, const ArrayData& data, TreeWriter* writer) {
  NewJson node = {{"length_", data.length}};
  if (data.null_count != 0) node["null_count_"] = data.null_count;
  NewJson buffers = NewJson::array();
  for (const Buffer& buffer : data.buffers) buffers.push_back(writer->Add(buffer));
  node["buffers_"] = std::move(buffers);
  if (!type.children.empty() || type.format[0] == '+') {
    NewJson children = NewJson::array();
    for (size_t i = 0; i < data.children.size(); ++i) {
      children.push_back(ArrayJson(type.children[i].type, data.children[i], writer));
    }
    node["children_"] = std::move(children);
  }
  if (type.dictionary) node["dictionary_"] = ArrayJson(*type.dictionary, *data.dictionary, writer);
  return node;
}

namespace {

Status ReadBuffers(const Tree& tree, const Json& node, const Type& type, ArrayData* data) {
  VY_ASSIGN_OR_RETURN(const Json* indexes, NeedList(node, "buffers_"));
  const size_t count = BufferCount(type);
  const bool more = type.layout == Layout::kBinaryView && indexes->size() > count;
  if (indexes->size() != count && !more) {
    return Damaged("{} buffers where an array of type '{}' has {}", indexes->size(), type.Name(),
                   count);
  }
  for (const Json& index : *indexes) {
    Buffer& buffer = data->buffers.emplace_back();
    if (index.is_null()) continue;
    VY_ASSIGN_OR_RETURN(buffer, tree.BufferAt(&index));
  }
  return {};
}

// Without a look at what is in the buffers. The type has been checked not to be nested too deeply.
Result<ArrayData> ReadArray(const Tree& tree, const Json* node, const Type& type) {
  if (node == nullptr || !node->is_object()) return Damaged("an Arrow array is no JSON object");
  ArrayData data;
  VY_ASSIGN_OR_RETURN(data.length, NeedInt(*node, "length_", 0, kMaxLength));
  if (type.layout == Layout::kNull) return data;
  VY_RETURN_IF_ERROR(ReadBuffers(tree, *node, type, &data));
  if (HasValidity(type)) {
    const bool has_count = Find(*node, "null_count_") != nullptr;
    if (has_count) {
      VY_ASSIGN_OR_RETURN(data.null_count, NeedInt(*node, "null_count_", 0, data.length));
    }
    if (has_count != !data.buffers[0].empty())
      return Damaged("nulls and a bitmap of them, or none");
  }
  if (type.dictionary) {
    VY_ASSIGN_OR_RETURN(ArrayData values,
                        ReadArray(tree, Find(*node, "dictionary_"), *type.dictionary));
    data.dictionary = std::make_shared<const ArrayData>(std::move(values));
  } else if (!type.children.empty()) {
    VY_ASSIGN_OR_RETURN(const Json* children, NeedList(*node, "children_"));
    if (children->size() != type.children.size()) {
      return Damaged("{} children where an array of type '{}' has {}", children->size(),
                     type.Name(), type.children.size());
    }
    for (size_t i = 0; i < children->size(); ++i) {
      VY_ASSIGN_OR_RETURN(data.children.emplace_back(),
                          ReadArray(tree, &(*children)[i], type.children[i].type));
    }
  }
  return data;
}

}  // namespace

Result<ArrayData> ArrayOf(const Tree& tree, const Json& node, const Type& type, Check check) {
  VY_ASSIGN_OR_RETURN(ArrayData data, ReadArray(tree, &node, type));
  VY_RETURN_IF_ERROR(CheckArray(type, check, &data));
  return data;
}

}  // namespace vineyard::types
