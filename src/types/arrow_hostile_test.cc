// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Stored Arrow values that lie: each is a typed error.
#include <gtest/gtest.h>

#include "base/testing.h"
#include "types/test_objects.h"
#include "vineyard/table.h"

namespace vineyard::types {
namespace {

using std::string_literals::operator""s;

struct Lie {
  const char* name;
  std::string type;
  std::string rest;
  std::vector<std::string> buffers;
  StatusCode code = StatusCode::kCorrupted;

  friend void PrintTo(const Lie& lie, std::ostream* out) { *out << lie.name; }
};

const std::string kChild = R"({"name_":"","type_":"c"})";
const std::string kList = R"({"format_":"+l","children_":[)" + kChild + "]}";
const std::string kView = R"({"format_":"+vl","children_":[)" + kChild + "]}";
const std::string kFixedList = R"({"format_":"+w:2","children_":[)" + kChild + "]}";
const std::string kStruct = R"({"format_":"+s","children_":[)" + kChild + "]}";
const std::string kSparse = R"({"format_":"+us:5","children_":[)" + kChild + "]}";
const std::string kDense = R"({"format_":"+ud:5","children_":[)" + kChild + "]}";
const std::string kRuns =
    R"({"format_":"+r","children_":[{"name_":"","type_":"s","nullable_":false},)" + kChild + "]}";
const std::string kWords = R"({"format_":"c","dictionary_":"u"})";
const std::string kWordsOf3 = R"("dictionary_":{"length_":3,"buffers_":[null,1,2]})";
const std::string kOf3 = R"("children_":[{"length_":3,"buffers_":[null,1]}])";

std::string BinaryViewOf(int32_t size, int32_t buffer, int32_t offset) {
  return Ints({size, 0, buffer, offset});
}
std::string Shorts(const std::vector<int16_t>& numbers) { return Bytes(numbers); }

std::vector<Lie> Lies() {
  const std::string three(3, 'x');
  const std::string number(8, '\0');
  return {
      // sizes and lengths
      {"NumbersBeyondTheBuffer", R"("g")", R"("length_":2,"buffers_":[null,0])", {number}},
      {"LengthThatOverflows",
       R"("g")",
       R"("length_":2305843009213693952,"buffers_":[null,0])",
       {number}},
      {"LengthBeyondAll",
       R"("g")",
       R"("length_":9223372036854775807,"buffers_":[null,0])",
       {number}},
      {"LengthOf64Bits",
       R"("g")",
       R"("length_":18446744073709551615,"buffers_":[null,0])",
       {number}},
      {"LengthAsText", R"("g")", R"("length_":"1","buffers_":[null,0])", {number}},
      {"LengthAsFraction", R"("g")", R"("length_":1.5,"buffers_":[null,0])", {number}},
      {"NegativeLength", R"("g")", R"("length_":-1,"buffers_":[null,0])", {number}},
      {"WideItem", R"("w:2147483647")", R"("length_":1099511627776,"buffers_":[null,0])", {number}},
      {"ShortBits", R"("b")", R"("length_":9,"buffers_":[null,0])", {"x"}},
      // buffers
      {"NoBuffers", R"("g")", R"("length_":1)", {number}},
      {"TooFewBuffers", R"("g")", R"("length_":1,"buffers_":[null])", {number}},
      {"TooManyBuffers", R"("g")", R"("length_":1,"buffers_":[null,0,0])", {number}},
      {"BufferThatIsNotThere", R"("g")", R"("length_":1,"buffers_":[null,1])", {number}},
      {"BufferBelowZero", R"("g")", R"("length_":1,"buffers_":[null,-1])", {number}},
      {"BufferAsText", R"("g")", R"("length_":1,"buffers_":[null,"0"])", {number}},
      {"NoItems", R"("g")", R"("length_":1,"buffers_":[null,null])", {number}},
      // validity
      {"ShortBitmap",
       R"("c")",
       R"("length_":9,"null_count_":1,"buffers_":[0,1])",
       {"x", std::string(9, 'x')}},
      {"NullsWithoutBitmap", R"("c")", R"("length_":1,"null_count_":1,"buffers_":[null,0])", {"x"}},
      {"BitmapWithoutCount", R"("c")", R"("length_":1,"buffers_":[0,0])", {"x"}},
      {"MoreNullsThanItems", R"("c")", R"("length_":1,"null_count_":2,"buffers_":[0,0])", {"x"}},
      // offsets
      {"OffsetsBeyondTheBytes",
       R"("u")",
       R"("length_":1,"buffers_":[null,0,1])",
       {Ints({0, 4}), three}},
      {"OffsetsBelowZero",
       R"("u")",
       R"("length_":1,"buffers_":[null,0,1])",
       {Ints({-1, 1}), three}},
      {"OffsetsThatGoBack",
       R"("z")",
       R"("length_":3,"buffers_":[null,0,1])",
       {Ints({0, 3, 1, 3}), three}},
      {"OffsetsThatGoAstray",
       R"("z")",
       R"("length_":3,"buffers_":[null,0,1])",
       {Ints({0, 99, -99, 3}), three}},
      {"TooFewOffsets", R"("u")", R"("length_":2,"buffers_":[null,0,1])", {Ints({0, 1}), three}},
      {"NoOffsets", R"("u")", R"("length_":1,"buffers_":[null,null,0])", {three}},
      {"LargeOffsetsBeyondTheBytes",
       R"("U")",
       R"("length_":1,"buffers_":[null,0,1])",
       {Bytes<int64_t>({0, 1LL << 40}), three}},
      {"TextThatIsNoUtf8",
       R"("u")",
       R"("length_":1,"buffers_":[null,0,1])",
       {Ints({0, 3}),
        "a\xff"
        "b"}},
      {"TextCutWithinACharacter",
       R"("u")",
       R"("length_":2,"buffers_":[null,0,1])",
       {Ints({0, 1, 2}), "\xc3\xa9"}},
      {"SurrogateInText",
       R"("U")",
       R"("length_":1,"buffers_":[null,0,1])",
       {Bytes<int64_t>({0, 3}), "\xed\xa0\x80"}},
      // views
      {"ViewOfNoBuffer", R"("vz")", R"("length_":1,"buffers_":[null,0])", {BinaryViewOf(20, 0, 0)}},
      {"ViewOfBufferBelowZero",
       R"("vz")",
       R"("length_":1,"buffers_":[null,0,1])",
       {BinaryViewOf(20, -1, 0), std::string(20, '\0')}},
      {"ViewBeyondItsBuffer",
       R"("vz")",
       R"("length_":1,"buffers_":[null,0,1])",
       {BinaryViewOf(20, 0, 1), std::string(20, '\0')}},
      {"ViewBeforeItsBuffer",
       R"("vz")",
       R"("length_":1,"buffers_":[null,0,1])",
       {BinaryViewOf(20, 0, -1), std::string(20, '\0')}},
      {"ViewOfNegativeLength",
       R"("vz")",
       R"("length_":1,"buffers_":[null,0])",
       {BinaryViewOf(-1, 0, 0)}},
      {"ViewWithAnotherPrefix",
       R"("vz")",
       R"("length_":1,"buffers_":[null,0,1])",
       {BinaryViewOf(20, 0, 0), std::string(20, 'x')}},
      {"ViewWithBytesBehindItsEnd",
       R"("vz")",
       R"("length_":1,"buffers_":[null,0])",
       {BinaryViewOf(1, 0, 7)}},
      {"ViewThatIsNoUtf8", R"("vu")", R"("length_":1,"buffers_":[null,0])", {Ints({1, 255, 0, 0})}},
      {"TooFewViews", R"("vu")", R"("length_":1,"buffers_":[null,0])", {number}},
      // children
      {"ListBeyondItsChild",
       kList,
       R"("length_":1,"buffers_":[null,0],)" + kOf3,
       {Ints({0, 4}), three}},
      {"ListThatGoesAstray",
       kList,
       R"("length_":3,"buffers_":[null,0],)" + kOf3,
       {Ints({0, 9, -9, 3}), three}},
      {"ListWithoutChild", kList, R"("length_":1,"buffers_":[null,0])", {Ints({0, 1})}},
      {"ListWithTwoChildren", kList, R"("length_":0,"buffers_":[null,null],"children_":[1,2])", {}},
      {"ChildThatIsNoObject", kList, R"("length_":0,"buffers_":[null,null],"children_":[7])", {}},
      {"ListViewBeyondItsChild",
       kView,
       R"("length_":1,"buffers_":[null,0,2],)" + kOf3,
       {Ints({1}), three, Ints({3})}},
      {"ListViewOfNegativeSize",
       kView,
       R"("length_":1,"buffers_":[null,0,2],)" + kOf3,
       {Ints({1}), three, Ints({-1})}},
      {"ShortChildOfFixedList",
       kFixedList,
       R"("length_":2,"buffers_":[null],)" + kOf3,
       {"", three}},
      {"FixedListThatOverflows",
       kFixedList,
       R"("length_":4611686018427387904,"buffers_":[null],)" + kOf3,
       {"", three}},
      {"ShortChildOfStruct", kStruct, R"("length_":4,"buffers_":[null],)" + kOf3, {"", three}},
      {"UnknownUnionCode", kSparse, R"("length_":1,"buffers_":[0],)" + kOf3, {"\6", three}},
      {"NegativeUnionCode", kSparse, R"("length_":1,"buffers_":[0],)" + kOf3, {"\x85", three}},
      {"UnionBeyondItsChild",
       kDense,
       R"("length_":1,"buffers_":[0,2],)" + kOf3,
       {"\5", three, Ints({3})}},
      {"UnionBeforeItsChild",
       kDense,
       R"("length_":1,"buffers_":[0,2],)" + kOf3,
       {"\5", three, Ints({-1})}},
      {"RunsThatEndTooSoon",
       kRuns,
       R"("length_":9,"buffers_":[],"children_":[{"length_":1,"buffers_":[null,0]},{"length_":3,"buffers_":[null,1]}])",
       {Shorts({4}), three}},
      {"RunsThatFall",
       kRuns,
       R"("length_":4,"buffers_":[],"children_":[{"length_":3,"buffers_":[null,0]},{"length_":3,"buffers_":[null,1]}])",
       {Shorts({3, 2, 4}), three}},
      {"RunsWithoutValues",
       kRuns,
       R"("length_":1,"buffers_":[],"children_":[{"length_":1,"buffers_":[null,0]},{"length_":0,"buffers_":[null,null]}])",
       {Shorts({1})}},
      {"NoRuns",
       kRuns,
       R"("length_":1,"buffers_":[],"children_":[{"length_":0,"buffers_":[null,null]},{"length_":0,"buffers_":[null,null]}])",
       {}},
      {"RunEndsThatAreNull",
       kRuns,
       R"("length_":1,"buffers_":[],"children_":[{"length_":1,"null_count_":1,"buffers_":[2,0]},{"length_":3,"buffers_":[null,1]}])",
       {Shorts({1}), three, "\0"s}},
      // dictionaries
      {"CodeBeyondTheDictionary",
       kWords,
       R"("length_":1,"buffers_":[null,0],)" + kWordsOf3,
       {"\3", Ints({0, 1, 2, 3}), three}},
      {"CodeBelowZero",
       kWords,
       R"("length_":1,"buffers_":[null,0],)" + kWordsOf3,
       {"\xff", Ints({0, 1, 2, 3}), three}},
      {"CodeOf64Bits",
       R"({"format_":"L","dictionary_":"n"})",
       R"("length_":1,"buffers_":[null,0],"dictionary_":{"length_":4})",
       {Bytes<uint64_t>({1ULL << 63})}},
      {"NoDictionary", kWords, R"("length_":1,"buffers_":[null,0])", {"\0"s}},
      {"BadDictionary",
       kWords,
       R"("length_":0,"buffers_":[null,null],"dictionary_":{"length_":1,"buffers_":[null,0,null]})",
       {Ints({0, 1})}},
      // types
      {"TypeThatIsNone", "7", R"("length_":0,"buffers_":[])", {}},
      {"TypeWithoutFormat", "{}", R"("length_":0,"buffers_":[])", {}},
      {"WidthThatOverflows", R"("w:9999999999")", R"("length_":0,"buffers_":[null,null])", {}},
      {"PrecisionOutOfRange", R"("d:99,2")", R"("length_":0,"buffers_":[null,null])", {}},
      {"SmallDecimalOfLargePrecision",
       R"("d:10,2,32")",
       R"("length_":0,"buffers_":[null,null])",
       {}},
      {"UnionCodeTwice",
       R"({"format_":"+us:5,5","children_":[)" + kChild + "," + kChild + "]}",
       R"("length_":0,"buffers_":[null])",
       {}},
      {"UnionCodeOutOfRange",
       R"({"format_":"+us:128","children_":[)" + kChild + "]}",
       R"("length_":0,"buffers_":[null])",
       {}},
      {"TooFewUnionCodes",
       R"({"format_":"+us:","children_":[)" + kChild + "]}",
       R"("length_":0,"buffers_":[null])",
       {}},
      {"ListOfTwoThings",
       R"({"format_":"+l","children_":[)" + kChild + "," + kChild + "]}",
       R"("length_":0,"buffers_":[null,null])",
       {}},
      {"RunEndsThatAreNumbers",
       R"({"format_":"+r","children_":[)" + kChild + "," + kChild + "]}",
       R"("length_":0,"buffers_":[])",
       {}},
      {"CodesThatAreNoIntegers",
       R"({"format_":"g","dictionary_":"u"})",
       R"("length_":0,"buffers_":[null,null])",
       {}},
      {"MapOfNoPairs",
       R"({"format_":"+m","children_":[)" + kChild + "]}",
       R"("length_":0,"buffers_":[null,null])",
       {}},
      {"FieldWithoutName",
       R"({"format_":"+s","children_":[{"type_":"c"}]})",
       R"("length_":0,"buffers_":[null])",
       {}},
      {"MetadataThatAreNoPairs",
       R"({"format_":"+s","children_":[{"name_":"","type_":"c","metadata_":[["a"]]}]})",
       R"("length_":0,"buffers_":[null])",
       {}},
      {"MetadataOfHalfAByte",
       R"({"format_":"+s","children_":[{"name_":"","type_":"c","metadata_":[["a",{"hex_":"f"}]]}]})",
       R"("length_":0,"buffers_":[null])",
       {}},
      {"ExtensionWithoutStorage", R"({"extension_":"x"})", R"("length_":0,"buffers_":[])", {}},
      {"TypeOfTheFuture", R"("q")", R"("length_":0,"buffers_":[])", {}, StatusCode::kNotSupported},
      {"NestedTypeOfTheFuture",
       R"({"format_":"+q","children_":[]})",
       R"("length_":0,"buffers_":[])",
       {},
       StatusCode::kNotSupported},
  };
}

class HostileArray : public ::testing::TestWithParam<Lie> {};

TEST_P(HostileArray, IsATypedError) {
  const Lie& lie = GetParam();
  const std::string array = R"("type_":)" + lie.type + "," + lie.rest;
  const Object object =
      ObjectOf(R"({"codec":"arrow.array","version":1,)" + array + "}", lie.buffers);
  EXPECT_EQ(Array::FromObject(object).status().code(), lie.code)
      << Array::FromObject(object).status().ToString();
  // The same as a chunk, and as a column.
  const Object chunked = ObjectOf(R"({"codec":"arrow.chunked","version":1,"type_":)" + lie.type +
                                      R"(,"chunks_":[{)" + lie.rest + "}]}",
                                  lie.buffers);
  EXPECT_EQ(ChunkedArray::FromObject(chunked).status().code(), lie.code);
  const Object table = ObjectOf(
      R"({"codec":"arrow.table","version":1,"num_rows_":0,"schema_":{"fields_":[{"name_":"a","type_":)" +
          lie.type + R"(}]},"columns_":[[{)" + lie.rest + "}]]}",
      lie.buffers);
  EXPECT_EQ(Table::FromObject(table).status().code(), lie.code);
}

INSTANTIATE_TEST_SUITE_P(Lies, HostileArray, ::testing::ValuesIn(Lies()),
                         [](const auto& one) { return std::string(one.param.name); });

struct BadRoot {
  const char* name;
  std::string metadata;
  StatusCode code;

  friend void PrintTo(const BadRoot& root, std::ostream* out) { *out << root.name; }
};

class HostileRoot : public ::testing::TestWithParam<BadRoot> {};

TEST_P(HostileRoot, IsATypedError) {
  const Object object = ObjectOf(GetParam().metadata, {"{}"});
  EXPECT_EQ(Table::FromObject(object).status().code(), GetParam().code)
      << Table::FromObject(object).status().ToString();
}

std::string Rooted(const std::string& rest) {
  return R"({"codec":"arrow.table","version":1)" + rest + "}";
}

INSTANTIATE_TEST_SUITE_P(
    Roots, HostileRoot,
    ::testing::Values(
        BadRoot{"NoJson", "{", StatusCode::kCorrupted},
        BadRoot{"NoObject", "[]", StatusCode::kCorrupted},
        BadRoot{"NoCodec", "{}", StatusCode::kTypeMismatch},
        BadRoot{"CodecThatIsNoText", R"({"codec":7,"version":1})", StatusCode::kCorrupted},
        BadRoot{"NoVersion", R"({"codec":"arrow.table"})", StatusCode::kCorrupted},
        BadRoot{"VersionZero", R"({"codec":"arrow.table","version":0})", StatusCode::kCorrupted},
        BadRoot{"VersionOfTheFuture", R"({"codec":"arrow.table","version":2})",
                StatusCode::kNotSupported},
        BadRoot{"CodecVersionOfTheFuture", R"({"codec":"arrow.table","version":1,"v":2})",
                StatusCode::kNotSupported},
        BadRoot{"AnotherCodec", R"({"codec":"list","version":1})", StatusCode::kTypeMismatch},
        BadRoot{"TreeInNoBuffer", R"({"codec":"tree","version":1,"buffer":1})",
                StatusCode::kCorrupted},
        BadRoot{"TreeWithoutCodec", R"({"codec":"tree","version":1,"buffer":0})",
                StatusCode::kCorrupted},
        BadRoot{"NoSchema", Rooted(""), StatusCode::kCorrupted},
        BadRoot{"FieldsThatAreNone", Rooted(R"(,"schema_":{"fields_":[7]})"),
                StatusCode::kCorrupted},
        BadRoot{
            "TooFewColumns",
            Rooted(
                R"(,"num_rows_":0,"columns_":[],"schema_":{"fields_":[{"name_":"a","type_":"c"}]})"),
            StatusCode::kCorrupted},
        BadRoot{
            "ColumnsThatAreNone",
            Rooted(
                R"(,"num_rows_":0,"columns_":[7],"schema_":{"fields_":[{"name_":"a","type_":"c"}]})"),
            StatusCode::kCorrupted},
        BadRoot{
            "AColumnOfOtherLength",
            Rooted(
                R"(,"num_rows_":9,"columns_":[[]],"schema_":{"fields_":[{"name_":"a","type_":"c"}]})"),
            StatusCode::kCorrupted},
        BadRoot{"NegativeRows", Rooted(R"(,"num_rows_":-1,"columns_":[],"schema_":{"fields_":[]})"),
                StatusCode::kCorrupted}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(HostileArrow, DeepNestingIsATypedError) {
  for (const int depth : {200, 50'000}) {
    std::string type = R"("c")";
    std::string end;
    std::string start;
    for (int i = 0; i < depth; ++i) {
      start += R"({"format_":"+l","children_":[{"name_":"","type_":)";
      end += "}]}";
    }
    const Object object = ObjectOf(R"({"codec":"arrow.array","version":1,"length_":0,"type_":)" +
                                   start + type + end + "}");
    EXPECT_CODE(kCorrupted, Array::FromObject(object));
  }
}

TEST(HostileArrow, ReferencesThatLeadNowhereOrInACircleAreTypedErrors) {
  const auto frame = [](const std::string& columns) {
    return ObjectOf(
        R"({"codec":"pandas.frame","version":1,"id":0,"shape_":[0,0],"blocks_":[],"index_":0,"columns_":)" +
        columns + "}");
  };
  EXPECT_CODE(kCorrupted, Table::FromObject(frame(R"({"codec":"ref","id":7})")));
  EXPECT_CODE(kCorrupted, Table::FromObject(frame(R"({"codec":"ref"})")));
  EXPECT_CODE(kNotSupported, Table::FromObject(frame(R"({"codec":"ref","id":0})")));
  EXPECT_CODE(kNotSupported,
              Table::FromObject(frame(R"({"codec":"ref","id":0,"x":{"codec":"ref"}})")));
  // A categorical whose categories are itself.
  EXPECT_CODE(
      kNotSupported,
      ChunkedArray::FromObject(ObjectOf(
          R"({"codec":"pandas.series","version":1,"values_":{"id":1,"codec":"pandas.categorical",
                  "codes_":{"codec":"tensor","value_type_meta_":"|i1","shape_":[1],"order_":"C","buffer":0},
                  "categories_":{"codec":"ref","id":1}}})",
          {"\0"s})));
}

TEST(HostileArrow, CategoriesInACircleAreATypedError) {
  const Object object = ObjectOf(
      R"({"codec":"pandas.series","version":1,"values_":{"id":1,"codec":"pandas.categorical",
      "codes_":{"codec":"tensor","value_type_meta_":"|i1","shape_":[1],"order_":"C","buffer":0},
      "categories_":{"codec":"pandas.index","values_":{"codec":"ref","id":1}}}})",
      {"\0"s});
  EXPECT_CODE(kNotSupported, ChunkedArray::FromObject(object));
}

TEST(HostileArrow, ManyRowsOfNothingCostNothing) {
  const Object nulls = ObjectOf(
      R"({"codec":"arrow.array","version":1,"type_":"n","length_":2305843009213693952,"buffers_":[]})");
  ASSERT_OK_AND_ASSIGN(const Array array, Array::FromObject(nulls));
  EXPECT_EQ(array.length(), int64_t{1} << 61);
  EXPECT_TRUE(array.IsNull(array.length() - 1));
  const Object empty = ObjectOf(
      R"({"codec":"arrow.table","version":1,"num_rows_":2305843009213693952,"columns_":[],"schema_":{"fields_":[]}})");
  ASSERT_OK_AND_ASSIGN(const Table table, Table::FromObject(empty));
  EXPECT_EQ(table.rows(), int64_t{1} << 61);
}

TEST(HostileArrow, AValueRepeatedWithoutEndIsATypedError) {
  const Object object = ObjectOf(
      R"({"codec":"pandas.series","version":1,"values_":{"codec":"tensor","value_type_meta_":"<f8",
      "shape_":[1099511627776],"order_":"K","axes_":[0],"repeated_":[0],"flipped_":[],"buffer":0}})",
      {std::string(8, '\0')});
  EXPECT_CODE(kLimitExceeded, ChunkedArray::FromObject(object));
}

}  // namespace
}  // namespace vineyard::types
