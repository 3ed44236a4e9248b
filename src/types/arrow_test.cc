// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Arrays, tables and schemas without a store: exported, imported, stored again, and refused. That they say the same to
// pyarrow is shown in tests/interop/.
#include <gtest/gtest.h>

#include "base/testing.h"
#include "types/test_storing.h"
#include "types/test_walk.h"
#include "types/utf8.h"
#include "vineyard/table.h"

namespace vineyard::types {
namespace {

using std::string_literals::operator""s;

Array Stored(const std::string& type, const std::string& rest,
             const std::vector<std::string>& buffers, size_t shift = 0) {
  return Array::FromObject(
             ObjectOf(R"({"codec":"arrow.array","version":1,"type_":)" + type + "," + rest + "}",
                      buffers, shift))
      .value();
}

TEST(Array, HoldsNumbersAndTextsWithoutAnArrowLibrary) {
  const Array numbers = Array::Of<int32_t>({1, -2, 3});
  EXPECT_EQ(numbers.format(), "i");
  ASSERT_OK_AND_ASSIGN(const std::span<const int32_t> values, numbers.Values<int32_t>());
  EXPECT_EQ(values[1], -2);
  EXPECT_CODE(kTypeMismatch, numbers.Values<int64_t>());
  EXPECT_CODE(kTypeMismatch, numbers.Text(0));
  const std::vector<std::optional<std::string>> items{"one", std::nullopt, "", "\xc3\xa9"};
  ASSERT_OK_AND_ASSIGN(const Array texts, Array::Of(items));
  EXPECT_EQ(texts.null_count(), 1);
  EXPECT_TRUE(texts.IsNull(1));
  EXPECT_EQ(texts.Text(1).value(), std::nullopt);
  EXPECT_EQ(texts.Text(0).value(), "one");
  EXPECT_EQ(texts.Text(2).value(), "");
  EXPECT_EQ(texts.Text(3).value(), "\xc3\xa9");
  EXPECT_CODE(kInvalid, Array::Of(std::vector<std::string>{"\xff"}));
}

TEST(Array, IntervalsThatFewLibrariesHaveAreKept) {
  const Array months = Stored(R"("tiM")", R"("length_":2,"buffers_":[null,0])", {Ints({1, 2})});
  const Array days = Stored(R"("tiD")", R"("length_":1,"buffers_":[null,0])", {Ints({1, 2})});
  for (const Array& array : {months, days}) {
    ArrowArray c_array{};
    ArrowSchema c_schema{};
    ASSERT_OK(array.Export(&c_array, &c_schema));
    ASSERT_OK_AND_ASSIGN(const Array again, Array::Import(&c_array, &c_schema));
    EXPECT_EQ(again.format(), array.format());
    EXPECT_EQ(again.length(), array.length());
  }
}

TEST(Array, ViewsAreRead) {
  const std::string view = Ints({13, 0, 0, 1});
  std::string views = Ints({2, 0, 0, 0}) + view;
  views.replace(4, 2, "ab");
  views.replace(20, 4, "xxxx");
  const Array array =
      Stored(R"("vu")", R"("length_":2,"buffers_":[null,0,1])", {views, "yxxxxxxxxxxxxx"});
  EXPECT_EQ(array.Text(0).value(), "ab");
  EXPECT_EQ(array.Text(1).value(), std::string(13, 'x'));
}

TEST(Array, BuffersThatAreNotAlignedAreCopied) {
  const Array array =
      Stored(R"("l")", R"("length_":2,"buffers_":[null,0])", {Bytes<int64_t>({7, 8})}, 4);
  ASSERT_OK_AND_ASSIGN(const auto values, array.Values<int64_t>());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(values.data()) % 8, 0U);
  EXPECT_EQ(values[1], 8);
}

// Readers take one without a count for damage.
TEST(Array, ABitmapThatSaysNothingIsNotStoredAgain) {
  for (const Check check : {Check::kContents, Check::kSizes}) {
    const Object object =
        ObjectOf(R"({"codec":"arrow.array","version":1,"type_":"c","length_":2,"null_count_":0,
                     "buffers_":[0,1]})",
                 {"\3", "ab"});
    ASSERT_OK_AND_ASSIGN(const Array array, Array::FromObject(object, check));
    ASSERT_OK_AND_ASSIGN(const StoredValue stored, StoredAs(array));
    EXPECT_EQ(stored.buffers, std::vector{"ab"s});
    const Object again = stored.object();
    ASSERT_OK_AND_ASSIGN(const Array same, Array::FromObject(again));
    EXPECT_EQ(same.null_count(), 0);
    EXPECT_EQ(same.Values<int8_t>().value()[1], 'b');
  }
}

TEST(Table, OfMoreColumnsThanMetadataMayNameIsFoundInABuffer) {
  std::vector<Table::NamedColumn> columns;
  for (int i = 0; i < 1000; ++i) {
    columns.push_back({"column " + std::to_string(i), ChunkedArray(Array::Of(std::vector{i}))});
  }
  ASSERT_OK_AND_ASSIGN(const Table table, Table::Make(std::move(columns)));
  ASSERT_OK_AND_ASSIGN(const StoredValue stored, StoredAs(table));
  EXPECT_LT(stored.metadata.size(), 200U);
  EXPECT_EQ(stored.buffers.size(), 1001U);
  const Object object = stored.object();
  ASSERT_OK_AND_ASSIGN(const Table same, Table::FromObject(object));
  ASSERT_OK_AND_ASSIGN(const ChunkedArray column, same.column("column 700"));
  EXPECT_EQ(column.chunks()[0].Values<int32_t>().value()[0], 700);
}

TEST(Array, WhatAConsumerMovesOutOutlivesTheRest) {
  ArrowArray array{};
  ArrowSchema schema{};
  ArrowArray child{};
  {
    const std::string list = R"({"format_":"+l","children_":[{"name_":"","type_":"c"}]})";
    const Array made = Stored(
        list, R"("length_":1,"buffers_":[null,0],"children_":[{"length_":3,"buffers_":[null,1]}])",
        {Ints({0, 3}), "abc"});
    ASSERT_OK(made.Export(&array, &schema));
  }
  child = *array.children[0];
  array.children[0]->release = nullptr;  // as the specification has a child moved out
  array.release(&array);
  EXPECT_EQ(array.release, nullptr);
  EXPECT_EQ(static_cast<const char*>(child.buffers[1])[2], 'c');
  child.release(&child);
  schema.release(&schema);
}

TEST(Array, ContentsAreNotLookedAtWhereTheWriterIsTrusted) {
  const Object object = ObjectOf(
      R"({"codec":"arrow.array","version":1,"type_":"u","length_":1,"buffers_":[null,0,1]})",
      {Ints({0, 1}), "\xff"});
  EXPECT_CODE(kCorrupted, Array::FromObject(object));
  EXPECT_OK(Array::FromObject(object, Check::kSizes));
}

// ---- structures that make no sense, from a producer in this process

class Producer {
 public:
  Producer() {
    schema = {.format = "g", .name = "", .flags = 2, .release = Release};
    array = {.length = 1, .n_buffers = 2, .buffers = buffers, .release = Release};
    array.private_data = this;
    schema.private_data = this;
  }
  [[nodiscard]] int released() const { return released_; }

  double number = 1;
  const void* buffers[4] = {nullptr, &number, nullptr, nullptr};
  ArrowSchema schema{};
  ArrowArray array{};

 private:
  template <typename T>
  static void Release(T* structure) {
    ++static_cast<Producer*>(structure->private_data)->released_;
    structure->release = nullptr;
  }
  int released_ = 0;
};

TEST(Import, ReleasesBothWhateverComes) {
  const auto code_after = [](const auto& change) {
    Producer p;
    change(p);
    const StatusCode code = Array::Import(&p.array, &p.schema).status().code();
    EXPECT_EQ(p.array.release, nullptr);
    EXPECT_EQ(p.schema.release, nullptr);
    EXPECT_EQ(p.released(), 2);
    return code;
  };
  EXPECT_EQ(code_after([](Producer&) {}), StatusCode::kOk);
  EXPECT_EQ(code_after([](Producer& p) { p.schema.format = nullptr; }), StatusCode::kInvalid);
  EXPECT_EQ(code_after([](Producer& p) { p.schema.format = "?"; }), StatusCode::kNotSupported);
  EXPECT_EQ(code_after([](Producer& p) { p.schema.n_children = 1; }), StatusCode::kInvalid);
  EXPECT_EQ(code_after([](Producer& p) { p.array.length = -1; }), StatusCode::kInvalid);
  EXPECT_EQ(code_after([](Producer& p) { p.array.offset = -1; }), StatusCode::kInvalid);
  EXPECT_EQ(code_after([](Producer& p) { p.array.offset = INT64_MAX; }), StatusCode::kInvalid);
  EXPECT_EQ(code_after([](Producer& p) { p.array.null_count = -2; }), StatusCode::kInvalid);
  EXPECT_EQ(code_after([](Producer& p) { p.array.n_buffers = 3; }), StatusCode::kInvalid);
  EXPECT_EQ(code_after([](Producer& p) { p.array.n_children = 1; }), StatusCode::kInvalid);
  EXPECT_EQ(code_after([](Producer& p) { p.array.buffers = nullptr; }), StatusCode::kInvalid);
  EXPECT_EQ(code_after([](Producer& p) { p.buffers[1] = nullptr; }), StatusCode::kInvalid);
  EXPECT_EQ(code_after([](Producer& p) { p.array.dictionary = &p.array; }), StatusCode::kInvalid);
}

TEST(Import, OffsetsThatGoBackAreRefused) {
  const int32_t offsets[] = {5, 3};
  Producer p;
  p.schema.format = "u";
  p.array.n_buffers = 3;
  p.buffers[1] = offsets;
  p.buffers[2] = "abcdef";
  EXPECT_CODE(kInvalid, Array::Import(&p.array, &p.schema));
}

TEST(Import, WhatWasReleasedIsRefused) {
  ArrowArray array{};
  ArrowSchema schema{};
  ArrowArrayStream stream{};
  EXPECT_CODE(kInvalid, Array::Import(&array, &schema));
  EXPECT_CODE(kInvalid, Table::Import(&stream));
  EXPECT_CODE(kInvalid, Schema::Import(&schema));
}

TEST(Import, AStreamThatFailsSaysWhy) {
  ArrowArrayStream stream{};
  stream.get_schema = [](ArrowArrayStream*, ArrowSchema*) { return 5; };
  stream.get_last_error = [](ArrowArrayStream*) { return "the disk is gone"; };
  stream.release = [](ArrowArrayStream* s) { s->release = nullptr; };
  const Status status = Table::Import(&stream).status();
  EXPECT_TRUE(status.Is(StatusCode::kIOError));
  EXPECT_NE(status.message().find("the disk is gone"), std::string::npos);
  EXPECT_EQ(stream.release, nullptr);
}

// ---- tables

TEST(Table, IsCutWhereAColumnsChunksEnd) {
  const ChunkedArray one(
      Array::Of<int32_t>({0}).type(),
      {Array::Of<int32_t>({1, 2}), Array::Of<int32_t>({}), Array::Of<int32_t>({3, 4, 5})});
  const ChunkedArray two(Array::Of<double>({0}).type(),
                         {Array::Of<double>({1, 2, 3}), Array::Of<double>({4, 5})});
  ASSERT_OK_AND_ASSIGN(const Table table, Table::Make({{"one", one}, {"two", two}}));
  ArrowArrayStream stream{};
  ASSERT_OK(table.Export(&stream));
  ASSERT_OK_AND_ASSIGN(const Table again, Table::Import(&stream));
  EXPECT_EQ(again.rows(), 5);
  ASSERT_EQ(again.column(0).chunks().size(), 3U);
  EXPECT_EQ(again.column(0).chunks()[1].length(), 1);
  ASSERT_OK_AND_ASSIGN(const ChunkedArray doubles, again.column("two"));
  EXPECT_EQ(doubles.chunks()[2].Values<double>().value()[1], 5);
  EXPECT_CODE(kNotFound, again.column("three"));
  EXPECT_EQ(again.schema().Find("two"), 1U);
  EXPECT_EQ(again.schema().format(1), "g");
}

TEST(Table, ColumnsOfDifferentLengthsAreRefused) {
  const Status status =
      Table::Make({{"a", Array::Of<int8_t>({1})}, {"b", Array::Of<int8_t>({1, 2})}}).status();
  EXPECT_TRUE(status.Is(StatusCode::kInvalid));
  EXPECT_CODE(kInvalid, Table::Make({{"\xff", Array::Of<int8_t>({1})}}));
}

TEST(Table, OfNoStructsIsRefused) {
  ArrowArrayStream stream{};
  ASSERT_OK(ChunkedArray(Array::Of<int8_t>({1})).Export(&stream));
  EXPECT_CODE(kTypeMismatch, Table::Import(&stream));
}

TEST(Utf8, IsWhatTheStandardSays) {
  for (const std::string& good :
       {""s, "a"s, "\xc2\x80"s, "\xe0\xa0\x80"s, "\xed\x9f\xbf"s, "\xf0\x90\x80\x80"s,
        "\xf4\x8f\xbf\xbf"s, std::string(40, 'a') + "\xc3\xa9"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const std::string& bad : {"\x80"s, "\xc1\xbf"s, "\xe0\x9f\xbf"s, "\xed\xa0\x80"s,
                                 "\xf0\x8f\xbf\xbf"s, "\xf4\x90\x80\x80"s, "\xf8\x88\x80\x80\x80"s,
                                 "\xc3"s, "a\xe2\x82"s, std::string(40, 'a') + "\xc3"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
}

}  // namespace
}  // namespace vineyard::types
