// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <string>
#include <vector>

#include "corpus.h"

namespace vineyard::fuzz {

namespace {

// Stored values: metadata, and buffers by their bytes.
void AddArrow(Corpus& corpus) {
  using namespace std::string_literals;
  const auto add = [&corpus](std::string metadata, const std::vector<std::string>& buffers) {
    std::string input = "{\"version\":1," + std::move(metadata) + "}" + '\0';
    for (const std::string& buffer : buffers) {
      input += static_cast<char>(buffer.size() % 256);
      input += static_cast<char>(buffer.size() / 256);
      input += buffer;
    }
    corpus.Add("types_fuzz", input);
  };
  const auto array = [&add](const std::string& type, const std::string& rest,
                            const std::vector<std::string>& buffers) {
    add(R"("codec":"arrow.array","type_":)" + type + "," + rest, buffers);
  };
  const std::string two = "\0\0\0\0\1\0\0\0\3\0\0\0"s;  // offsets of two items
  const std::string child = R"({"name_":"","type_":"c"})";
  const std::string bytes = R"({"length_":3,"buffers_":[null,1]})";
  array(R"("g")", R"("length_":2,"null_count_":1,"buffers_":[0,1])", {"\1", std::string(16, 'x')});
  array(R"("b")", R"("length_":9,"buffers_":[null,0])", {"ab"});
  array(R"("u")", R"("length_":2,"buffers_":[null,0,1])", {two, "abc"});
  array(R"("U")", R"("length_":1,"buffers_":[null,0,1])",
        {std::string(8, '\0') + "\2\0\0\0\0\0\0\0"s, "\xc3\xa9"});
  array(R"("vu")", R"("length_":1,"buffers_":[null,0,1])",
        {"\xd\0\0\0xxxx\0\0\0\0\1\0\0\0"s, "axxxxxxxxxxxxxx"});
  array(R"({"format_":"+l","children_":[)" + child + "]}",
        R"("length_":2,"buffers_":[null,0],"children_":[)" + bytes + "]", {two, "abc"});
  array(R"({"format_":"+vl","children_":[)" + child + "]}",
        R"("length_":1,"buffers_":[null,0,2],"children_":[)" + bytes + "]",
        {"\1\0\0\0"s, "abc", "\2\0\0\0"s});
  array(R"({"format_":"+w:2","children_":[)" + child + "]}",
        R"("length_":1,"buffers_":[null],"children_":[)" + bytes + "]", {"", "abc"});
  array(R"({"format_":"+ud:5","children_":[)" + child + "]}",
        R"("length_":1,"buffers_":[0,2],"children_":[)" + bytes + "]", {"\5", "abc", "\2\0\0\0"s});
  array(R"({"format_":"+us:5","children_":[)" + child + "]}",
        R"("length_":3,"buffers_":[0],"children_":[)" + bytes + "]", {"\5\5\5", "abc"});
  array(
      R"({"format_":"+r","children_":[{"name_":"run_ends","type_":"s","nullable_":false},)" +
          child + "]}",
      R"("length_":4,"buffers_":[],"children_":[{"length_":2,"buffers_":[null,0]},)" + bytes + "]",
      {"\2\0\4\0"s, "abc"});
  array(R"({"format_":"c","dictionary_":"u","ordered_":true})",
        R"("length_":2,"buffers_":[null,2],"dictionary_":{"length_":2,"buffers_":[null,0,1]})",
        {two, "abc", "\0\1"s});
  array(R"({"extension_":"arrow.uuid","storage_":"w:16","serialized_":{"hex_":"ff"}})",
        R"("length_":1,"buffers_":[null,0])", {std::string(16, 'u')});
  const std::string schema =
      R"("schema_":{"fields_":[{"name_":"a","type_":"c","metadata_":[["k","v"]]}]})";
  add(R"("codec":"arrow.table","num_rows_":3,"columns_":[[)" + bytes + "]]," + schema, {"", "abc"});
  add(R"("codec":"arrow.batch","num_rows_":3,"columns_":[)" + bytes + "]," + schema, {"", "abc"});
  add(R"("codec":"arrow.schema",)" + schema, {});
  add(R"("codec":"arrow.chunked","type_":"c","chunks_":[)" + bytes + "," + bytes + "]",
      {"", "abc"});
  const std::string tensor = R"("codec":"tensor","value_type_meta_":"|i1","buffer":0,)";
  add(tensor + R"("order_":"C","shape_":[2,3])", {"abcdef"});
  add(tensor + R"("order_":"K","shape_":[2,3,4],"axes_":[2,0,1],"repeated_":[2],"flipped_":[1])",
      {"abcdef"});
  add(R"("codec":"pandas.frame","shape_":[3,2],
      "columns_":{"codec":"pandas.rangeindex","start_":0,"stop_":2,"step_":1,"name_":null},
      "index_":{"codec":"pandas.index","values_":{"codec":"ref","id":0}},
      "blocks_":[{"columns_":[0],"values_":{"id":0,)" +
          tensor + R"("order_":"C","shape_":[3]}},
      {"columns_":{"start_":1,"step_":1,"count_":1},"values_":{"codec":"pandas.masked","values_":{)" +
          tensor + R"("order_":"C","shape_":[3]},"mask_":{"codec":"tensor","value_type_meta_":"|b1",
      "buffer":1,"order_":"C","shape_":[3]}}}])",
      {"abc", "\0\1\0"s});
}

// Series of pandas.
void AddSeries(Corpus& corpus) {
  const auto add = [&corpus](const std::string& values) {
    std::string input = R"({"codec":"pandas.series","version":1,"values_":)" + values + "}" + '\0';
    input += std::string("\x10\0", 2) + "\1" + std::string(15, '\0');
    corpus.Add("types_fuzz", input + std::string("\3\0abc", 5));
  };
  const std::string labels =
      R"({"codec":"pandas.index","name_":null,"values_":{"codec":"tensor.object",
      "size_":2,"shape_":[2],"order_":"C","items_":["a",null]}})";
  add(R"({"codec":"pandas.categorical","ordered_":true,"codes_":{"codec":"tensor",
      "value_type_meta_":"|i1","shape_":[16],"order_":"C","buffer":0},"categories_":{"codec":
      "pandas.index","values_":{"codec":"pandas.string","values_":{"codec":"tensor.object",
      "size_":2,"items_":["a","b"]}}}})");
  add(R"({"codec":"pandas.datetime","zone_":{"codec":"zone","kind_":"pytz.offset","minutes_":90},
      "values_":{"codec":"tensor","value_type_meta_":"<M8[ns]","shape_":[2],"order_":"C","buffer":0}})");
  add(R"({"codec":"pandas.string","values_":{"codec":"tensor.object","size_":1,"packed_":{
      "texts_":1,"lengths_":0}}})");
  add(R"({"codec":"pandas.arrow","values_":{"codec":"arrow.chunked","type_":"s","chunks_":[
      {"length_":8,"buffers_":[null,0]}]}})");
  corpus.Add("types_fuzz",
             R"({"codec":"pandas.frame","version":1,"shape_":[0,0],"blocks_":[],"columns_":)" +
                 labels + R"(,"index_":)" + labels + "}");
}

}  // namespace

void AddValues(Corpus& corpus) {
  AddArrow(corpus);
  AddSeries(corpus);
}

}  // namespace vineyard::fuzz
