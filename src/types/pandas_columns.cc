// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The arrays that columns of pandas consist of, as Arrow arrays.
#include <algorithm>
#include <cstring>

#include "types/arrow_check.h"
#include "types/pandas_values.h"
#include "types/tensor_reader.h"

namespace vineyard::types {

namespace {

// A value that was stored once and stands for many is written out up to so many bytes.
constexpr int64_t kMaxRepeated = int64_t{64} << 20;
constexpr int64_t kNaT = INT64_MIN;

// One column of a tensor.
struct Strip {
  AnyTensor tensor;
  const std::byte* first = nullptr;
  int64_t stride = 0;
  int64_t length = 0;

  [[nodiscard]] const std::byte* at(int64_t i) const { return first + i * stride; }
};

Result<Strip> StripOf(const Tree& tree, const Json* node, int64_t row, Check check) {
  if (!TensorReader::Knows(Tree::CodecOf(*node))) return Damaged("an array is none of numpy");
  Strip strip;
  VY_ASSIGN_OR_RETURN(strip.tensor, TensorReader::Read(tree, *node, check));
  const AnyTensor& tensor = strip.tensor;
  const auto shape = tensor.shape();
  if (shape.empty() || shape.size() > 2) return Damaged("a column of {} dimensions", shape.size());
  if (row < 0 || (shape.size() == 2 ? row >= shape[0] : row != 0)) {
    return Damaged("a block without column {}", row);
  }
  strip.length = shape.back();
  strip.stride = tensor.strides().back();
  strip.first = tensor.data();
  if (shape.size() == 2 && tensor.size() > 0) strip.first += row * tensor.strides()[0];
  if (strip.stride == 0 && strip.length > kMaxRepeated / tensor.item_size()) {
    return Status::LimitExceeded(fmt::format("one value repeated {} times", strip.length));
  }
  return strip;
}

// The items one after another: where they lie, or copied.
Buffer Gathered(const Strip& strip) {
  const size_t size = strip.tensor.item_size();
  const size_t bytes = static_cast<size_t>(strip.length) * size;
  if (bytes == 0) return {};
  if (strip.stride == static_cast<int64_t>(size)) {
    const Blob& blob = strip.tensor.blob();
    return Buffer(blob.Slice(static_cast<uint64_t>(strip.first - blob.data()), bytes));
  }
  std::vector<std::byte> copy(bytes);
  for (int64_t i = 0; i < strip.length; ++i) {
    std::memcpy(copy.data() + static_cast<size_t>(i) * size, strip.at(i), size);
  }
  return Buffer::Of(std::move(copy));
}

// One bit for each item.
template <typename Set>
std::pair<Buffer, int64_t> BitsWhere(int64_t length, const Set& is_set) {
  std::vector<uint8_t> bits(static_cast<size_t>((length + 7) / 8));
  int64_t count = 0;
  for (int64_t i = 0; i < length; ++i) {
    if (!is_set(i)) continue;
    const auto at = static_cast<size_t>(i);
    bits[at / 8] = static_cast<uint8_t>(bits[at / 8] | (1U << (at % 8)));
    ++count;
  }
  return {bits.empty() ? Buffer() : Buffer::Of(std::move(bits)), count};
}

void SetValidity(std::pair<Buffer, int64_t> bits, ArrayData* data) {
  data->null_count = data->length - bits.second;
  if (data->null_count > 0) data->buffers[0] = std::move(bits.first);
}

// "ts" or "tD" and the letter of the unit; empty for a unit that Arrow does not have.
std::string TimeFormat(std::string_view dtype) {
  const std::string_view unit = dtype.substr(3);
  const char* letter = unit == "[s]"    ? "s"
                       : unit == "[ms]" ? "m"
                       : unit == "[us]" ? "u"
                       : unit == "[ns]" ? "n"
                                        : nullptr;
  if (letter == nullptr) return "";
  return dtype[1] == 'M' ? fmt::format("ts{}:", letter) : fmt::format("tD{}", letter);
}

// The format of an array of that dtype; empty when Arrow has none.
std::string FormatOf(std::string_view dtype) {
  if (dtype[0] == '>') return "";
  static constexpr std::pair<std::string_view, const char*> kFormats[] = {
      {"b1", "b"}, {"i1", "c"}, {"u1", "C"}, {"i2", "s"}, {"u2", "S"}, {"i4", "i"},
      {"u4", "I"}, {"i8", "l"}, {"u8", "L"}, {"f2", "e"}, {"f4", "f"}, {"f8", "g"}};
  for (const auto& [text, format] : kFormats) {
    if (dtype.substr(1) == text) return format;
  }
  return dtype[1] == 'M' || dtype[1] == 'm' ? TimeFormat(dtype) : "";
}

struct Column {
  Type type;
  ArrayData data;
};

Result<Column> NumbersOf(const Strip& strip) {
  const std::string& dtype = strip.tensor.dtype();
  const std::string format = FormatOf(dtype);
  if (format.empty()) {
    return Status::NotSupported(fmt::format("Arrow has no numbers of dtype '{}'", Short(dtype)));
  }
  Column column{PlainType(format), {}};
  column.data.length = strip.length;
  column.data.buffers.resize(2);
  if (format == "b") {
    column.data.buffers[1] =
        BitsWhere(strip.length, [&](int64_t i) { return *strip.at(i) != std::byte{0}; }).first;
    return column;
  }
  column.data.buffers[1] = Gathered(strip);
  if (format[0] == 't') {
    const Buffer& times = column.data.buffers[1];
    const auto is_time = [&](int64_t i) { return times.At<int64_t>(i) != kNaT; };
    SetValidity(BitsWhere(strip.length, is_time), &column.data);
  }
  return column;
}

Result<std::string> OffsetName(int64_t seconds) {
  if (seconds % 60 != 0) return Status::NotSupported("a time zone that is off by seconds");
  const int64_t minutes = std::abs(seconds / 60);
  return fmt::format("{}{:02}:{:02}", seconds < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

Result<std::string> ZoneName(const Json& zone) {
  constexpr int64_t kDay = 24 * 3600;
  const Json* kind = Find(zone, "kind_");
  if (kind == nullptr || !kind->is_string()) {
    return Status::NotSupported("a time zone that only Python knows");
  }
  if (*kind == "utc" || *kind == "dateutil.utc") return "UTC";
  if (Find(zone, "key_") != nullptr) return NeedText(zone, "key_");
  if (*kind == "pytz.offset") {
    VY_ASSIGN_OR_RETURN(const int64_t minutes, NeedInt(zone, "minutes_", -1439, 1439));
    return OffsetName(minutes * 60);
  }
  if (*kind != "offset" && *kind != "dateutil.offset") {
    return Status::NotSupported(fmt::format("a time zone of kind {}", ShortJson(*kind)));
  }
  VY_ASSIGN_OR_RETURN(const int64_t microseconds,
                      NeedInt(zone, "microseconds_", -kDay * 1'000'000, kDay * 1'000'000));
  if (microseconds % 1'000'000 != 0) return Status::NotSupported("a time zone off by a fraction");
  return OffsetName(microseconds / 1'000'000);
}

Result<Column> TimesOf(const Tree& tree, const Json& node, int64_t row, Check check) {
  VY_ASSIGN_OR_RETURN(const Json* values, Part(tree, node, "values_"));
  VY_ASSIGN_OR_RETURN(const Strip strip, StripOf(tree, values, row, check));
  VY_ASSIGN_OR_RETURN(Column column, NumbersOf(strip));
  const Json* zone = Find(node, "zone_");
  if (zone == nullptr || zone->is_null()) return column;
  if (!column.type.format.starts_with("ts")) return Damaged("a time zone of what are no datetimes");
  VY_ASSIGN_OR_RETURN(zone, Part(tree, node, "zone_"));
  VY_ASSIGN_OR_RETURN(const std::string name, ZoneName(*zone));
  column.type = PlainType(column.type.format + name);
  return column;
}

Result<Column> MaskedOf(const Tree& tree, const Json& node, Check check) {
  VY_ASSIGN_OR_RETURN(const Json* values_node, Part(tree, node, "values_"));
  VY_ASSIGN_OR_RETURN(const Json* mask_node, Part(tree, node, "mask_"));
  VY_ASSIGN_OR_RETURN(const Strip values, StripOf(tree, values_node, 0, check));
  VY_ASSIGN_OR_RETURN(const Strip mask, StripOf(tree, mask_node, 0, check));
  if (mask.tensor.dtype() != "|b1" || mask.length != values.length) {
    return Damaged("values and mask do not belong together");
  }
  VY_ASSIGN_OR_RETURN(Column column, NumbersOf(values));
  SetValidity(BitsWhere(mask.length, [&](int64_t i) { return *mask.at(i) == std::byte{0}; }),
              &column.data);
  return column;
}

// Whether the code of an item says that it is missing.
bool IsMissing(const std::byte* code, size_t size) {
  return (std::to_integer<unsigned>(code[size - 1]) & 0x80U) != 0;
}

Result<Column> CategoriesOf(const Tree& tree, const Json& node, Check check) {
  VY_ASSIGN_OR_RETURN(const Json* codes_node, Part(tree, node, "codes_"));
  VY_ASSIGN_OR_RETURN(const Strip codes, StripOf(tree, codes_node, 0, check));
  VY_ASSIGN_OR_RETURN(Column column, NumbersOf(codes));
  if (!std::string_view("csil").contains(column.type.format[0]) || column.type.format.size() != 1) {
    return Damaged("codes of categories of dtype '{}'", Short(codes.tensor.dtype()));
  }
  VY_ASSIGN_OR_RETURN(const Json* index, Part(tree, node, "categories_"));
  if (Tree::CodecOf(*index) != "pandas.index") {
    return Status::NotSupported(
        fmt::format("categories that are a {}", Short(Tree::CodecOf(*index))));
  }
  VY_ASSIGN_OR_RETURN(const Json* items, Part(tree, *index, "values_"));
  if (Tree::CodecOf(*items) ==
      "pandas.categorical") {  // which might lead back here, without an end
    return Status::NotSupported("categories that have categories themselves");
  }
  VY_ASSIGN_OR_RETURN(const ChunkedArray values, PandasColumn(tree, items, 0, check));
  if (values.chunks().size() != 1) {
    return Status::NotSupported(fmt::format("categories in {} chunks", values.chunks().size()));
  }
  const size_t size = codes.tensor.item_size();
  SetValidity(BitsWhere(codes.length, [&](int64_t i) { return !IsMissing(codes.at(i), size); }),
              &column.data);
  column.type.dictionary = values.type();
  column.data.dictionary = values.chunks()[0].data();
  const Json* ordered = Find(node, "ordered_");
  column.type.ordered = ordered != nullptr && *ordered == true;
  return column;
}

Result<ChunkedArray> TextsOf(const Tree& tree, const Json& node) {
  VY_ASSIGN_OR_RETURN(const auto items, PandasItems(tree, node));
  VY_ASSIGN_OR_RETURN(Array texts, Array::Of(items));
  return ChunkedArray(std::move(texts));
}

Result<Column> PlainColumn(const Tree& tree, const Json& node, int64_t row, Check check) {
  const std::string codec = Tree::CodecOf(node);
  if (TensorReader::Knows(codec)) {
    VY_ASSIGN_OR_RETURN(const Strip strip, StripOf(tree, &node, row, check));
    return NumbersOf(strip);
  }
  if (codec == "pandas.datetime" || codec == "pandas.timedelta") {
    return TimesOf(tree, node, row, check);
  }
  if (codec == "pandas.masked" && row == 0) return MaskedOf(tree, node, check);
  if (codec == "pandas.categorical" && row == 0) return CategoriesOf(tree, node, check);
  if (codec == "tensor.object") {
    return Status::NotSupported("its items are Python objects; store it as texts or numbers");
  }
  return Status::NotSupported(
      fmt::format("Arrow does not express what codec '{}' holds", Short(codec)));
}

}  // namespace

Result<const Json*> Part(const Tree& tree, const Json& node, const char* key) {
  const Json* part = Find(node, key);
  if (part == nullptr) return Damaged("'{}' is missing", key);
  return tree.Follow(*part);
}

Result<ChunkedArray> PandasColumn(const Tree& tree, const Json* values, int64_t row, Check check) {
  if (values == nullptr) return Damaged("the values of a column are missing");
  VY_ASSIGN_OR_RETURN(const Json* node, tree.Follow(*values));
  const std::string codec = Tree::CodecOf(*node);
  if (codec == "pandas.string" || codec == "pandas.arrow") {
    VY_ASSIGN_OR_RETURN(node, Part(tree, *node, "values_"));
    if (row != 0) return Damaged("a block without column {}", row);
    if (Tree::CodecOf(*node) == "arrow.chunked") return ChunkedOf(tree, *node, check);
    if (Tree::CodecOf(*node) == "tensor.object") return TextsOf(tree, *node);
    return Damaged("texts of codec '{}'", Short(Tree::CodecOf(*node)));
  }
  if (codec == "pandas.numpy") {
    VY_ASSIGN_OR_RETURN(node, Part(tree, *node, "values_"));
    if (!Tree::CodecOf(*node).starts_with("tensor")) return Damaged("an array is none of numpy");
  }
  VY_ASSIGN_OR_RETURN(Column column, PlainColumn(tree, *node, row, check));
  VY_RETURN_IF_ERROR(CheckArray(column.type, check, &column.data));
  return ChunkedArray(Array(std::make_shared<const Type>(std::move(column.type)),
                            std::make_shared<const ArrayData>(std::move(column.data))));
}

Result<int64_t> PandasColumnCount(const Tree& tree, const Json* values) {
  if (values == nullptr) return Damaged("the values of a block are missing");
  VY_ASSIGN_OR_RETURN(const Json* node, tree.Follow(*values));
  const std::string codec = Tree::CodecOf(*node);
  if (codec == "pandas.datetime" || codec == "pandas.timedelta" || codec == "pandas.numpy" ||
      codec == "pandas.string") {
    VY_ASSIGN_OR_RETURN(node, Part(tree, *node, "values_"));
  }
  if (!Tree::CodecOf(*node).starts_with("tensor")) return 1;
  VY_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, NeedInts(*node, "shape_", 0, kMaxLength));
  return shape.size() == 2 ? shape[0] : 1;
}

}  // namespace vineyard::types
