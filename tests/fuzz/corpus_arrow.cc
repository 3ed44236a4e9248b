// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "corpus_values.h"

namespace vineyard::fuzz {

namespace {

using namespace std::string_literals;

// The bytes of numbers of one type.
template <typename Number, typename... Numbers>
std::string Bytes(Numbers... numbers) {
  std::string bytes;
  for (const Number number : {static_cast<Number>(numbers)...}) {
    bytes.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  return bytes;
}

const std::string kBytes = R"({"name_":"","type_":"c"})";           // a field of three bytes …
const std::string kThree = R"({"length_":3,"buffers_":[null,0]})";  // … in buffer 0
const std::string kTwo = Bytes<int32_t>(0, 1, 3);                   // offsets of two items

StoredValue ArrayOf(const std::string& type, const std::string& rest,
                    std::vector<std::string> buffers) {
  return ValueOf(R"("codec":"arrow.array","type_":)" + type + "," + rest, std::move(buffers));
}

// `fields`: a list of them. Buffer 0 has three bytes for children.
StoredValue NestedOf(const std::string& format, const std::string& fields, const std::string& rest,
                     std::vector<std::string> buffers) {
  buffers.insert(buffers.begin(), "abc");
  return ArrayOf(R"({"format_":")" + format + R"(","children_":[)" + fields + "]}", rest,
                 std::move(buffers));
}

// Two items of each width, one of them null; and formats that have no meaning.
void AddFixed(Corpus& corpus) {
  for (const auto& [format, width] :
       std::vector<std::pair<std::string, size_t>>{{"c", 1},
                                                   {"C", 1},
                                                   {"s", 2},
                                                   {"S", 2},
                                                   {"i", 4},
                                                   {"I", 4},
                                                   {"l", 8},
                                                   {"L", 8},
                                                   {"e", 2},
                                                   {"f", 4},
                                                   {"g", 8},
                                                   {"tdD", 4},
                                                   {"tdm", 8},
                                                   {"tts", 4},
                                                   {"ttm", 4},
                                                   {"ttu", 8},
                                                   {"ttn", 8},
                                                   {"tDs", 8},
                                                   {"tDm", 8},
                                                   {"tDu", 8},
                                                   {"tDn", 8},
                                                   {"tiM", 4},
                                                   {"tiD", 8},
                                                   {"tin", 16},
                                                   {"tss:", 8},
                                                   {"tsm:UTC", 8},
                                                   {"tsu:+01:30", 8},
                                                   {"tsn:Asia/Tokyo", 8},
                                                   {"w:5", 5},
                                                   {"w:0", 0},
                                                   {"d:38,2", 16},
                                                   {"d:10,-2,128", 16},
                                                   {"d:9,0,32", 4},
                                                   {"d:18,0,64", 8},
                                                   {"d:76,9,256", 32},
                                                   {"d:39,2", 16},
                                                   {"d:1", 16},
                                                   {"d:a,b", 16},
                                                   {"d:3,1,33", 16},
                                                   {"w:-1", 1},
                                                   {"w:x", 1},
                                                   {"w:9999999999", 1},
                                                   {"tsx:", 8},
                                                   {"q", 1},
                                                   {"", 1},
                                                   {"+us:0,0", 1},
                                                   {"+ud:128", 1},
                                                   {"+us:a", 1},
                                                   {"d:3,2,1,0", 1}}) {
    AddValue(corpus,
             ArrayOf("\"" + format + "\"", R"("length_":2,"null_count_":1,"buffers_":[0,1])",
                     {"\1", std::string(2 * width, 'x')}));
  }
  AddWithDamage(corpus, ArrayOf(R"("g")", R"("length_":2,"null_count_":1,"buffers_":[0,1])",
                                {"\1", std::string(16, 'x')}));
  // A bitmap in which nothing is null, and one of more than a byte.
  AddValue(corpus,
           ArrayOf(R"("c")", R"("length_":2,"null_count_":0,"buffers_":[0,1])", {"\3", "ab"}));
  AddValue(corpus, ArrayOf(R"("c")", R"("length_":11,"null_count_":4,"buffers_":[0,1])",
                           {"\x7e\7", "0123456789a"}));
  AddValue(corpus, ArrayOf(R"("n")", R"("length_":3)", {}));
  AddWithDamage(corpus, ArrayOf(R"("b")", R"("length_":9,"buffers_":[null,0])", {"ab"}));
  AddWithDamage(corpus, ArrayOf(R"({"extension_":"arrow.uuid","storage_":"w:16",
                                    "serialized_":{"hex_":"ff0a"}})",
                                R"("length_":1,"buffers_":[null,0])", {std::string(16, 'u')}));
  for (const char* serialized : {R"("plain")", R"({"hex_":"f"})", R"({"hex_":"fg"})"}) {
    AddValue(corpus,
             ArrayOf(R"({"extension_":"e","storage_":"n","serialized_":)"s + serialized + "}",
                     R"("length_":1)", {}));
  }
  AddValue(corpus, ArrayOf(R"({"extension_":"e","storage_":{"extension_":"f","storage_":"n"}})",
                           R"("length_":1)", {}));
}

// Characters of each length, and what comes near them: shorter forms, surrogates, what lies beyond the last.
void AddCharacters(Corpus& corpus) {
  for (const char* text : {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xe2\x82", "\xe2\x82x",
                           "\xf0\x9f\x98x", "\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80",
                           "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80"}) {
    const std::string bytes = std::string(40, 'x') + text;
    AddValue(corpus, ArrayOf(R"("u")", R"("length_":1,"buffers_":[null,0,1])",
                             {Bytes<int32_t>(0, bytes.size()), bytes}));
  }
}

void AddStrings(Corpus& corpus, const std::string& format, const std::string& offsets) {
  for (const std::string bytes : {"abc", "\xc3\xa9!", "a\xff\xfe"}) {
    AddWithDamage(corpus, ArrayOf("\"" + format + "\"", R"("length_":2,"buffers_":[null,0,1])",
                                  {offsets, bytes}));
  }
  AddValue(corpus, ArrayOf("\"" + format + "\"", R"("length_":0,"buffers_":[null,null,null])", {}));
  AddValue(corpus,
           ArrayOf("\"" + format + "\"", R"("length_":2,"null_count_":1,"buffers_":[0,1,2])",
                   {"\2", offsets, "\xff\xc3\xa9"}));
}

void AddViews(Corpus& corpus, const std::string& format) {
  const std::string bytes = "a text of more than twelve bytes";
  const std::string views = Bytes<int32_t>(3) + "abc" + std::string(9, '\0') + Bytes<int32_t>(20) +
                            bytes.substr(2, 4) + Bytes<int32_t>(0, 2);
  AddWithDamage(corpus, ArrayOf("\"" + format + "\"", R"("length_":2,"buffers_":[null,0,1])",
                                {views, bytes}));
  const auto one = [&](const std::string& view) {
    AddValue(corpus,
             ArrayOf("\"" + format + "\"", R"("length_":1,"null_count_":0,"buffers_":[1,2,0])",
                     {bytes, "\1", view}));
  };
  one(Bytes<int32_t>(-1, 0, 0, 0));
  one(Bytes<int32_t>(1, 'a', 1, 0));
  one(Bytes<int32_t>(1, 'a', 0, 0));
  one(Bytes<int32_t>(2, 0xffff, 0, 0));
  for (const auto& [which, offset] : {std::pair(-1, 0), {1, 0}, {0, -1}, {0, 100}, {0, 20}}) {
    one(Bytes<int32_t>(20) + "a te" + Bytes<int32_t>(which, offset));
  }
}

void AddNested(Corpus& corpus) {
  const std::string children = R"("children_":[)" + kThree + "]";
  const auto list = [&](const std::string& format, const std::string& offsets) {
    return NestedOf(format, kBytes, R"("length_":2,"buffers_":[null,1],)" + children, {offsets});
  };
  AddWithDamage(corpus, list("+l", kTwo));
  AddWithDamage(corpus, list("+L", Bytes<int64_t>(0, 1, 3)));
  for (const std::string& offsets : {Bytes<int32_t>(0, 4, 3), Bytes<int32_t>(-1, 1, 3),
                                     Bytes<int32_t>(0, 1, 4), Bytes<int32_t>(0)}) {
    AddValue(corpus, list("+l", offsets));
  }
  const auto views = [&](const std::string& format, std::string starts, std::string sizes) {
    return NestedOf(format, kBytes, R"("length_":2,"buffers_":[null,1,2],)" + children,
                    {std::move(starts), std::move(sizes)});
  };
  AddWithDamage(corpus, views("+vl", Bytes<int32_t>(1, 0), Bytes<int32_t>(2, 3)));
  AddWithDamage(corpus, views("+vL", Bytes<int64_t>(1, 0), Bytes<int64_t>(2, 3)));
  AddWithDamage(corpus,
                NestedOf("+w:2", kBytes, R"("length_":1,"buffers_":[null],)" + children, {}));
  AddWithDamage(corpus, NestedOf("+s", kBytes + R"(,{"name_":"b","type_":"n","nullable_":false})",
                                 R"("length_":3,"null_count_":1,"buffers_":[1],"children_":[)" +
                                     kThree + R"(,{"length_":3}])",
                                 {"\5"}));
  AddWithDamage(corpus, NestedOf("+ud:5", kBytes, R"("length_":1,"buffers_":[1,2],)" + children,
                                 {"\5", Bytes<int32_t>(2)}));
  AddWithDamage(corpus,
                NestedOf("+us:5", kBytes, R"("length_":3,"buffers_":[1],)" + children, {"\5\5\5"}));
  const std::string map =
      R"({"name_":"entries","nullable_":false,"type_":{"format_":"+s","children_":[
      {"name_":"key","type_":"c","nullable_":false},{"name_":"value","type_":"c"}]}})";
  AddWithDamage(corpus, ArrayOf(R"({"format_":"+m","sorted_":true,"children_":[)" + map + "]}",
                                R"("length_":2,"buffers_":[null,1],"children_":[{"length_":3,
                                   "buffers_":[null],"children_":[)" +
                                    kThree + "," + kThree + "]}]",
                                {"abc", kTwo}));
  std::string deep = "\"c\"";
  for (int i = 0; i < 130; ++i) {
    deep = R"({"format_":"+s","children_":[{"name_":"","type_":)" + deep + "}]}";
  }
  AddValue(corpus, ArrayOf(deep, R"("length_":0,"buffers_":[null],"children_":[])", {}));
}

void AddRuns(Corpus& corpus) {
  const auto runs = [](const std::string& format, const std::string& ends) {
    return NestedOf(
        "+r", R"({"name_":"run_ends","type_":")" + format + R"(","nullable_":false},)" + kBytes,
        R"("length_":4,"buffers_":[],"children_":[{"length_":2,"buffers_":[null,1]},)" + kThree +
            "]",
        {ends});
  };
  AddWithDamage(corpus, runs("s", Bytes<int16_t>(2, 4)));
  AddValue(corpus, runs("i", Bytes<int32_t>(2, 4)));
  AddValue(corpus, runs("l", Bytes<int64_t>(2, 4)));
  AddValue(corpus, runs("s", Bytes<int16_t>(5, 4)));
  AddValue(corpus, runs("s", Bytes<int16_t>(2, 3)));
  AddValue(corpus, runs("g", Bytes<int64_t>(2, 4)));
  for (
      const char* rest :
      {R"("length_":0,"buffers_":[],"children_":[{"length_":0,"buffers_":[null,null]},)",
       R"("length_":1,"buffers_":[],"children_":[{"length_":0,"buffers_":[null,null]},)",
       R"("length_":1,"buffers_":[],"children_":[{"length_":1,"null_count_":1,"buffers_":[1,1]},)"}) {
    AddValue(corpus, NestedOf("+r", R"({"name_":"run_ends","type_":"s"},)" + kBytes,
                              rest + kThree + "]", {std::string(2, '\0')}));
  }
}

void AddDictionaries(Corpus& corpus) {
  for (const auto& [format, codes] : {std::pair("c"s, Bytes<int8_t>(0, 1)),
                                      {"C", Bytes<int8_t>(0, 1)},
                                      {"s", Bytes<int16_t>(0, 1)},
                                      {"S", Bytes<int16_t>(0, 1)},
                                      {"i", Bytes<int32_t>(0, 1)},
                                      {"I", Bytes<int32_t>(0, 1)},
                                      {"l", Bytes<int64_t>(0, 1)},
                                      {"L", Bytes<int64_t>(0, 1)},
                                      {"c", Bytes<int8_t>(0, -1)},
                                      {"f", Bytes<int32_t>(0, 1)}}) {
    AddWithDamage(
        corpus,
        ArrayOf(
            R"({"format_":")" + format + R"(","dictionary_":"u","ordered_":true})",
            R"("length_":2,"buffers_":[null,2],"dictionary_":{"length_":2,"buffers_":[null,0,1]})",
            {kTwo, "abc", codes}));
  }
}

void AddTables(Corpus& corpus) {
  const std::string schema =
      R"("schema_":{"metadata_":[["k",{"hex_":"ff"}]],"fields_":[{"name_":"a",
      "type_":"c","metadata_":[["k","v"]]}]})";
  for (const char* codec : {"arrow.table", "polars.frame", "polars.series"}) {
    AddWithDamage(corpus, ValueOf(R"("codec":")"s + codec + R"(","num_rows_":6,"num_columns_":1,
        "columns_":[[)" + kThree + "," +
                                      kThree + "]]," + schema,
                                  {"abc"}));
  }
  AddWithDamage(corpus, ValueOf(R"("codec":"arrow.batch","num_rows_":3,"columns_":[)" + kThree +
                                    "]," + schema,
                                {"abc"}));
  AddWithDamage(corpus, ValueOf(R"("codec":"arrow.schema",)" + schema));
  AddWithDamage(corpus, ValueOf(R"("codec":"arrow.chunked","type_":"c","chunks_":[)" + kThree +
                                    "," + kThree + "]",
                                {"abc"}));
  AddValue(
      corpus,
      ValueOf(R"("codec":"arrow.table","num_rows_":0,"columns_":[],"schema_":{"fields_":[]})"));
  // More items than can be counted.
  const std::string most = R"({"length_":4611686018427387904})";
  AddValue(corpus,
           ValueOf(R"("codec":"arrow.chunked","type_":"n","chunks_":[)" + most + "," + most + "]"));
  // A value that another library gave as an Arrow one.
  AddWithDamage(corpus,
                ValueOf(R"("codec":"capsule","type_":"some.Frame","value_":{"codec":"arrow.array",
      "type_":"c","length_":3,"buffers_":[null,0]})",
                        {"abc"}));
  AddWithDamage(corpus,
                ValueOf(R"("codec":"capsule","id":1,"value_":{"codec":"ref","id":2},"other_":[
      {"id":2,"codec":"arrow.array","v":1,"type_":"c","length_":3,"buffers_":[null,0]}])",
                        {"abc"}));
  // Too long for metadata: written again, its text is a buffer.
  std::string fields;
  for (int i = 0; i < 500; ++i) {
    fields +=
        (i == 0 ? "" : ",") + R"({"name_":"column )"s + std::to_string(i) + R"(","type_":"n"})";
  }
  AddValue(corpus, ValueOf(R"("codec":"arrow.schema","schema_":{"fields_":[)" + fields + "]}"));
}

}  // namespace

void AddArrow(Corpus& corpus) {
  AddFixed(corpus);
  AddCharacters(corpus);
  for (const char* format : {"u", "z"}) AddStrings(corpus, format, Bytes<int32_t>(0, 1, 3));
  for (const char* format : {"U", "Z"}) AddStrings(corpus, format, Bytes<int64_t>(0, 1, 3));
  for (const char* format : {"vu", "vz"}) AddViews(corpus, format);
  AddNested(corpus);
  AddRuns(corpus);
  AddDictionaries(corpus);
  AddTables(corpus);
}

}  // namespace vineyard::fuzz
