// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "corpus_values.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vineyard/status.h"

namespace vineyard::fuzz {

namespace {

using Json = nlohmann::json;

// As types_fuzz reads it. The top bit of a length: the buffer lies where nothing is aligned.
std::string InputOf(const StoredValue& value, bool aligned) {
  std::string input = value.metadata.dump() + '\0';
  for (const std::string& buffer : value.buffers) {
    VY_CHECK(buffer.size() < (1U << 15));
    input += static_cast<char>(buffer.size() % 256);
    input += static_cast<char>(buffer.size() / 256 + (aligned ? 0 : 128));
    input += buffer;
  }
  return input;
}

// All that lies below a node.
void FindPlaces(const Json& node, const Json::json_pointer& at,
                std::vector<Json::json_pointer>* places) {
  if (!node.is_structured()) return;
  for (const auto& [key, part] : node.items()) {
    places->push_back(at / key);
    FindPlaces(part, at / key, places);
  }
}

// What may stand in the place of a node, and is not what its reader expects.
std::vector<Json> OthersOf(const Json& node) {
  std::vector<Json> others{node.is_object() ? Json(7) : Json::object()};
  if (node.is_number_integer()) {
    const auto number = node.get<int64_t>();
    others.insert(others.end(), {number + 1, -1, int64_t{1} << 62, UINT64_MAX});
  } else if (node.is_string()) {
    others.insert(others.end(), {"?", "", node.get<std::string>() + std::string(50, 'x')});
  } else if (node.is_array() && !node.empty()) {
    Json longer = node;
    longer.push_back(node.front());
    others.push_back(std::move(longer));
  } else if (node.is_boolean()) {
    others.emplace_back(!node.get<bool>());
  } else if (node.is_null()) {
    others.emplace_back(0);
  }
  return others;
}

void AddTensors(Corpus& corpus) {
  const auto tensor = [](const std::string& dtype, const std::string& rest, size_t bytes) {
    return ValueOf(R"("codec":"tensor","value_type_meta_":")" + dtype + R"(","buffer":0,)" + rest,
                   {std::string(bytes, '\1')});
  };
  for (const auto& [dtype, size] : std::vector<std::pair<std::string, size_t>>{
           {"|b1", 1},  {"|i1", 1},     {"<u2", 2},       {">i4", 4},        {"<f2", 2},
           {"<f4", 4},  {"<f8", 8},     {"<c8", 8},       {"<c16", 16},      {"|S3", 3},
           {"<U2", 8},  {"<M8[ns]", 8}, {"<m8[25us]", 8}, {"<M8", 8},        {"<f16", 16},
           {"<i3", 3},  {"<b2", 2},     {"<c4", 4},       {"|V4", 4},        {"<M4[ns]", 4},
           {"<f8x", 8}, {"<fx", 8},     {"<z8", 8},       {"<U999999999", 8}}) {
    AddValue(corpus, tensor(dtype, R"("order_":"C","shape_":[2])", 2 * size));
  }
  AddWithDamage(corpus, tensor("<i2", R"("order_":"F","shape_":[2,3],"partition_index_":[])", 12));
  AddWithDamage(corpus, tensor("|i1",
                               R"("order_":"K","shape_":[2,3,4],"axes_":[2,0,1],"repeated_":[2],
                                  "flipped_":[1])",
                               6));
  AddValue(corpus, tensor("<f8", R"("order_":"C","shape_":[])", 8));
  AddValue(corpus, tensor("<f8", R"("order_":"C","shape_":[0,3])", 0));
  AddValue(corpus, tensor("<f8", R"("order_":"C","shape_":[4611686018427387904,4])", 8));
  // More elements than can be counted, of which one is stored.
  AddValue(corpus, tensor("|i1",
                          R"("order_":"K","shape_":[4611686018427387904,4],"axes_":[0,1],
                             "repeated_":[0,1],"flipped_":[])",
                          1));
  const auto typed = [](const std::string& dtype) {
    return ValueOf(R"("codec":"tensor.typed","value_type_meta_":"?","buffer":0,"order_":"C",
        "shape_":[2],"dtype_":{"codec":"dtype",)" +
                       dtype + "}",
                   {std::string(32, '\0')});
  };
  AddWithDamage(corpus, typed(R"("kind_":"plain","str_":"<f16","mantissa_":63)"));
  AddValue(corpus, typed(R"("kind_":"plain","str_":"|V16")"));
  AddValue(corpus, typed(R"("kind_":"struct","fields_":[])"));
  AddValue(corpus, ValueOf(R"("codec":"tensor.object","size_":0,"items_":[])"));
}

// What all values have in common.
void AddTrees(Corpus& corpus) {
  for (const char* text : {"", "{", "[]", "7", "{}", R"({"typename":"composed"})", R"({"codec":7})",
                           R"({"codec":"list","version":1,"items_":[]})"}) {
    corpus.Add("types_fuzz", std::string_view(text));
  }
  const std::string schema = R"({"codec":"arrow.schema","version":1,"schema_":{"fields_":[]}})";
  const auto tree = [](std::string text) {
    return ValueOf(R"("codec":"tree","of_":"arrow.schema","buffer":0)", {std::move(text)});
  };
  AddWithDamage(corpus, tree(schema));
  for (const char* text : {"", "{", "[]", R"({"codec":"tree","version":1,"buffer":0})",
                           R"({"codec":"arrow.schema","version":2})", R"({"version":1})"}) {
    AddValue(corpus, tree(text));
  }
}

}  // namespace

StoredValue ValueOf(const std::string& keys, std::vector<std::string> buffers) {
  return {Json::parse(R"({"version":1,)" + keys + "}"), std::move(buffers)};
}

void AddValue(Corpus& corpus, const StoredValue& value) {
  for (const bool aligned : {true, false}) corpus.Add("types_fuzz", InputOf(value, aligned));
}

void AddWithDamage(Corpus& corpus, const StoredValue& value) {
  AddValue(corpus, value);
  const auto add = [&](StoredValue damaged) { corpus.Add("types_fuzz", InputOf(damaged, true)); };
  std::vector<Json::json_pointer> places;
  FindPlaces(value.metadata, Json::json_pointer(), &places);
  for (const Json::json_pointer& place : places) {
    StoredValue without = value;
    Json& parent = without.metadata[place.parent_pointer()];
    if (parent.is_object())
      parent.erase(place.back());
    else
      parent.erase(std::stoul(place.back()));
    add(std::move(without));
    for (const Json& other : OthersOf(value.metadata[place])) {
      StoredValue changed = value;
      changed.metadata[place] = other;
      add(std::move(changed));
    }
  }
  for (size_t i = 0; i < value.buffers.size(); ++i) {
    const std::string& bytes = value.buffers[i];
    for (const std::string& other :
         {bytes.substr(0, bytes.size() / 2),
          bytes.substr(0, bytes.size() - (bytes.empty() ? 0 : 1)), std::string(bytes.size(), '\0'),
          std::string(bytes.size(), '\xff'), std::string(bytes.rbegin(), bytes.rend())}) {
      StoredValue changed = value;
      changed.buffers[i] = other;
      add(std::move(changed));
    }
  }
}

void AddValues(Corpus& corpus) {
  AddTrees(corpus);
  AddTensors(corpus);
  AddArrow(corpus);
  AddPandas(corpus);
}

}  // namespace vineyard::fuzz
