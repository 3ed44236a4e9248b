// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <cstdint>
#include <string>
#include <vector>

#include "corpus_values.h"

namespace vineyard::fuzz {

namespace {

using namespace std::string_literals;

std::string Ints(const std::vector<int64_t>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(int64_t)};
}

std::string Tensor(const std::string& dtype, const std::string& shape, int buffer,
                   const std::string& order = "C") {
  return R"({"codec":"tensor","value_type_meta_":")" + dtype + R"(","shape_":)" + shape +
         R"(,"order_":")" + order + R"(","buffer":)" + std::to_string(buffer) + "}";
}

// Texts, integers and nothing, one by one.
const std::string kItems =
    R"({"codec":"tensor.object","size_":3,"shape_":[3],"order_":"C","items_":["a",7,null]})";

// Labels of rows or columns.
std::string IndexOf(const std::string& values) {
  return R"({"codec":"pandas.index","name_":"i","values_":)" + values + "}";
}

// ---- series: what an array may be

void AddArrays(Corpus& corpus) {
  const auto series = [](const std::string& values, std::vector<std::string> buffers) {
    return ValueOf(R"("codec":"pandas.series","values_":)" + values, std::move(buffers));
  };
  const std::string numbers = Ints({1, INT64_MIN, -1});
  for (const char* dtype :
       {"|b1",    "|i1",     "<u1",     "<i2",     "<u2",     "<i4",    "<u4",
        "<i8",    "<u8",     "<f2",     "<f4",     "<f8",     ">i8",    "<c8",
        "<M8[s]", "<M8[ms]", "<M8[us]", "<M8[ns]", "<m8[ns]", "<M8[D]", "<U2"}) {
    const auto size = static_cast<size_t>(dtype[2] - '0');
    AddValue(corpus, series(Tensor(dtype, "[3]", 0), {numbers.substr(0, 3 * size)}));
  }
  AddValue(corpus, series(Tensor("|b1", "[3]", 0), {"\0\1\0"s}));
  AddValue(corpus, series(Tensor("|i1", "[]", 0), {"a"}));
  AddValue(corpus, series(Tensor("|i1", "[1,1,1]", 0), {"a"}));
  AddValue(corpus, series(Tensor("|i1", "[0]", 0), {""}));
  AddValue(corpus, series(Tensor("|i1", "[2,2]", 0), {"abcd"}));
  AddValue(corpus, series(Tensor("|i1", "[0,2]", 0), {""}));
  for (const char* length : {"5", "99999999999"}) {  // stored once
    AddValue(corpus, series(R"({"codec":"tensor","value_type_meta_":"<i8","buffer":0,"order_":"K",
        "axes_":[0],"repeated_":[0],"flipped_":[],"shape_":[)"s +
                                length + "]}",
                            {Ints({7})}));
  }
  AddWithDamage(
      corpus,
      series(R"({"codec":"pandas.numpy","values_":)" + Tensor("<i8", "[3]", 0) + "}", {numbers}));
  AddWithDamage(corpus, series(R"({"codec":"pandas.timedelta","values_":)" +
                                   Tensor("<m8[ns]", "[3]", 0) + R"(,"zone_":null})",
                               {numbers}));
  AddWithDamage(corpus, series(R"({"codec":"pandas.masked","values_":)" + Tensor("|i1", "[3]", 0) +
                                   R"(,"mask_":)" + Tensor("|b1", "[3]", 1) + "}",
                               {"abc", "\0\1\0"s}));
  AddValue(corpus, series(R"({"codec":"pandas.masked","values_":)" + Tensor("|i1", "[3]", 0) +
                              R"(,"mask_":)" + Tensor("|i1", "[3]", 1) + "}",
                          {"abc", "\0\1\0"s}));
  AddWithDamage(corpus, series(R"({"codec":"pandas.arrow","values_":{"codec":"arrow.chunked",
      "type_":"s","chunks_":[{"length_":2,"buffers_":[null,0]}]}})",
                               {"abcd"}));
  AddValue(corpus, series(R"({"codec":"pandas.string","values_":{"codec":"list"}})", {}));
  AddValue(corpus, series(R"({"codec":"pandas.period"})", {}));
  AddValue(corpus, series(kItems, {}));
  AddWithDamage(corpus, series(R"({"codec":"ref","id":3})", {}));
}

void AddZones(Corpus& corpus) {
  for (const char* zone :
       {R"({"codec":"zone","kind_":"utc"})", R"({"codec":"zone","kind_":"dateutil.utc"})",
        R"({"codec":"zone","kind_":"zoneinfo","key_":"Europe/Berlin"})",
        R"({"codec":"zone","kind_":"pytz.offset","minutes_":90})",
        R"({"codec":"zone","kind_":"offset","microseconds_":-5400000000})",
        R"({"codec":"zone","kind_":"dateutil.offset","microseconds_":60000000})",
        R"({"codec":"zone","kind_":"offset","microseconds_":1})",
        R"({"codec":"zone","kind_":"offset","microseconds_":1000000})",
        R"({"codec":"zone","kind_":"pickled"})", R"({"codec":"pickle"})"}) {
    AddWithDamage(
        corpus,
        ValueOf(R"("codec":"pandas.series","values_":{"codec":"pandas.datetime","zone_":)"s + zone +
                    R"(,"values_":)" + Tensor("<M8[ns]", "[2]", 0) + "}",
                {Ints({INT64_MIN, 1})}));
  }
  AddValue(
      corpus,
      ValueOf(
          R"("codec":"pandas.series","values_":{"codec":"pandas.datetime","zone_":{"codec":"zone",
      "kind_":"utc"},"values_":)" +
              Tensor("<i8", "[2]", 0) + "}",
          {Ints({0, 1})}));
}

void AddCategories(Corpus& corpus) {
  const std::string packed =
      R"({"codec":"pandas.string","values_":{"codec":"tensor.object","size_":2,
      "items_":["a","b"]}})";
  const std::string chunks =
      R"({"codec":"pandas.arrow","values_":{"codec":"arrow.chunked","type_":"n",
      "chunks_":[]}})";
  const auto categories = [&corpus](const std::string& index, const std::string& codes) {
    AddWithDamage(corpus,
                  ValueOf(R"("codec":"pandas.series","values_":{"codec":"pandas.categorical",
        "ordered_":true,"codes_":)" +
                              codes + R"(,"categories_":)" + index + "}",
                          {"\0\1\xff"s}));
  };
  const std::string codes = Tensor("|i1", "[3]", 0);
  categories(IndexOf(packed), codes);
  categories(IndexOf(chunks), codes);
  categories(IndexOf(packed), Tensor("|u1", "[3]", 0));
  categories(IndexOf(R"({"codec":"pandas.categorical"})"), codes);
  categories(R"({"codec":"pandas.rangeindex","start_":0,"stop_":2,"step_":1})", codes);
}

// Sequences of texts and numbers that are stored together.
void AddPacked(Corpus& corpus) {
  const auto add = [&corpus](int size, const std::string& packed,
                             std::vector<std::string> buffers) {
    AddWithDamage(corpus,
                  ValueOf(R"("codec":"pandas.series","values_":{"codec":"pandas.string","values_":{
        "codec":"tensor.object","size_":)" +
                              std::to_string(size) + R"(,"packed_":)" + packed + "}}",
                          std::move(buffers)));
  };
  add(2, R"({"texts_":0,"lengths_":1})", {"ab\xc3\xa9", Ints({1, 2})});
  add(3, R"({"texts_":0,"lengths_":1,"tags_":2})", {"abc", Ints({1, 2}), "\4\0\4"s});
  add(2, R"({"texts_":0,"lengths_":1,"tags_":2})", {"abc", Ints({1, 2}), "\4\1"s});
  add(3, R"({"texts_":0,"lengths_":1,"tags_":2})", {"abc", Ints({1, 2}), "\4\4\4"s});
  add(2, R"({"ints_":0})", {Ints({7, -7})});
  add(1, R"({})", {});
}

// ---- frames

StoredValue FrameOf(const std::string& shape, const std::string& columns, const std::string& index,
                    const std::string& blocks, std::vector<std::string> buffers) {
  return ValueOf(R"("codec":"pandas.frame","shape_":)" + shape + R"(,"columns_":)" + columns +
                     R"(,"index_":)" + index + R"(,"blocks_":[)" + blocks + "]",
                 std::move(buffers));
}

const std::string kCounted =
    R"({"codec":"pandas.rangeindex","start_":0,"stop_":2,"step_":1,"name_":null})";

void AddFrames(Corpus& corpus) {
  const std::string numbers = Tensor("|i1", "[2,3]", 0, "F");
  const auto positions = [&](const std::string& columns, const std::string& buffer = "") {
    return FrameOf("[3,2]", kCounted, kCounted,
                   R"({"columns_":)" + columns + R"(,"values_":)" + numbers + "}",
                   {"abcdef", buffer});
  };
  AddWithDamage(corpus, positions("[1,0]"));
  AddWithDamage(corpus, positions(R"({"start_":0,"step_":1,"count_":2})"));
  AddWithDamage(corpus, positions(R"({"codec":"list","items_":[0,1]})"));
  AddWithDamage(corpus, positions(R"({"packed_":{"ints_":1}})", Ints({0, 1})));
  AddValue(corpus, positions(R"({"packed_":{"ints_":1}})", Ints({0, 2})));
  AddValue(corpus, FrameOf("[3,2000000]", kCounted, kCounted, "", {}));
  // Blocks of one column each, which other nodes refer to.
  AddWithDamage(
      corpus, FrameOf("[3,2]", kCounted, IndexOf(R"({"codec":"ref","id":0})"),
                      R"({"columns_":[0],"values_":{"id":0,"codec":"pandas.numpy","values_":)" +
                          Tensor("|i1", "[3]", 0) +
                          R"(}},{"columns_":{"start_":1,"step_":1,"count_":1},"values_":{
      "codec":"pandas.masked","values_":)" +
                          Tensor("|i1", "[3]", 0) + R"(,"mask_":)" + Tensor("|b1", "[3]", 1) + "}}",
                      {"abc", "\0\1\0"s}));
  AddValue(corpus,
           FrameOf("[2,1]", kCounted, R"({"codec":"pandas.multiindex"})",
                   R"({"columns_":[0],"values_":)" + Tensor("|i1", "[2]", 0) + "}", {"ab"}));
  AddValue(
      corpus,
      FrameOf("[2,1]", kCounted,
              R"({"codec":"pandas.index","name_":7,"values_":)" + Tensor("|i1", "[2]", 0) + "}",
              R"({"columns_":[0],"values_":)" + Tensor("|i1", "[2]", 0) + "}", {"ab"}));
}

// Names of columns of each kind.
void AddLabels(Corpus& corpus) {
  const auto frame = [](const std::string& labels, int columns, std::vector<std::string> buffers) {
    const std::string count = std::to_string(columns);
    buffers.insert(buffers.begin(), std::string(static_cast<size_t>(columns), 'x'));
    return FrameOf("[1," + count + "]", labels, kCounted,
                   R"({"columns_":{"start_":0,"step_":1,"count_":)" + count + R"(},"values_":)" +
                       Tensor("|i1", "[" + count + ",1]", 0) + "}",
                   std::move(buffers));
  };
  const std::string two = R"({"codec":"tensor.object","size_":2,"items_":["a",7]})";
  AddWithDamage(corpus, frame(IndexOf(two), 2, {}));
  AddValue(corpus, frame(IndexOf(kItems), 3, {}));  // one is missing
  AddWithDamage(corpus,
                frame(IndexOf(R"({"codec":"pandas.string","values_":)" + two + "}"), 2, {}));
  AddValue(corpus, frame(IndexOf(R"({"codec":"pandas.string","values_":)" + kItems + "}"), 3, {}));
  for (const char* dtype :
       {"|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<M8[ns]"}) {
    const auto size = static_cast<size_t>(dtype[2] - '0');
    AddValue(corpus, frame(IndexOf(Tensor(dtype, "[2]", 1)), 2, {std::string(2 * size, '\1')}));
  }
  AddValue(corpus, frame(R"({"codec":"pandas.multiindex"})", 2, {}));
}

}  // namespace

void AddPandas(Corpus& corpus) {
  AddArrays(corpus);
  AddZones(corpus);
  AddCategories(corpus);
  AddPacked(corpus);
  AddFrames(corpus);
  AddLabels(corpus);
}

}  // namespace vineyard::fuzz
