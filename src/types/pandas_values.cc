// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Frames and series of pandas: their blocks, labels and indexes.
#include "types/pandas_values.h"

#include <numeric>

#include "types/tensor_reader.h"
#include "types/utf8.h"

namespace vineyard::types {

namespace {

constexpr int64_t kMaxColumns = int64_t{1} << 20;

using Texts = std::vector<std::optional<std::string>>;

// ---- sequences

Result<Texts> PackedTexts(const Tree& tree, const Json& packed) {
  VY_ASSIGN_OR_RETURN(const Buffer bytes, tree.BufferAt(Find(packed, "texts_")));
  VY_ASSIGN_OR_RETURN(const auto lengths, PackedInts(tree, packed, "lengths_"));
  if (!IsUtf8(bytes.bytes)) return Status::NotSupported("texts that are no UTF-8");
  // Lengths are counted in characters: bytes that do not go on with one.
  const auto* at = reinterpret_cast<const char*>(bytes.data());
  const char* end = at + bytes.size();
  Texts texts;
  for (const int64_t length : lengths) {
    const char* start = at;
    for (int64_t i = 0; i < length && at < end; ++i) {
      ++at;
      while (at < end && (*at & 0xC0) == 0x80) ++at;
    }
    texts.emplace_back(std::string(start, at));
  }
  if (at != end) return Damaged("packed texts do not match their lengths");
  return texts;
}

Result<Texts> PackedItems(const Tree& tree, const Json& packed) {
  Texts texts;
  if (Find(packed, "texts_") != nullptr) {
    VY_ASSIGN_OR_RETURN(texts, PackedTexts(tree, packed));
  } else if (Find(packed, "ints_") != nullptr) {
    VY_ASSIGN_OR_RETURN(const auto numbers, PackedInts(tree, packed, "ints_"));
    for (const int64_t number : numbers) texts.emplace_back(std::to_string(number));
  }
  if (Find(packed, "tags_") == nullptr) return texts;
  VY_ASSIGN_OR_RETURN(const Buffer tags, tree.BufferAt(Find(packed, "tags_")));
  constexpr auto kNone = std::byte{0};
  constexpr auto kText = std::byte{4};
  Texts items;
  size_t next = 0;
  for (const std::byte tag : tags.bytes) {
    if (tag != kNone && tag != kText) return Status::NotSupported("items of several types");
    if (tag == kText && next == texts.size())
      return Damaged("packed items do not match their tags");
    items.push_back(tag == kNone ? std::nullopt : std::move(texts[next++]));
  }
  return items;
}

}  // namespace

Result<std::vector<int64_t>> PackedInts(const Tree& tree, const Json& packed, const char* key) {
  VY_ASSIGN_OR_RETURN(const Buffer buffer, tree.BufferAt(Find(packed, key)));
  if (buffer.size() % 8 != 0)
    return Damaged("{} bytes are no whole number of items", buffer.size());
  std::vector<int64_t> numbers(buffer.size() / 8);
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = buffer.At<int64_t>(static_cast<int64_t>(i));
  }
  return numbers;
}

Result<Texts> PandasItems(const Tree& tree, const Json& node) {
  VY_ASSIGN_OR_RETURN(const int64_t size, NeedInt(node, "size_", 0, kMaxLength));
  Texts texts;
  if (const Json* packed = Find(node, "packed_")) {
    VY_ASSIGN_OR_RETURN(texts, PackedItems(tree, *packed));
  } else {
    VY_ASSIGN_OR_RETURN(const Json* items, NeedList(node, "items_"));
    for (const Json& item : *items) {
      if (item.is_string()) {
        texts.emplace_back(item.get<std::string>());
      } else if (item.is_number_integer()) {
        texts.emplace_back(item.dump());
      } else if (item.is_null()) {
        texts.emplace_back();
      } else {
        return Status::NotSupported("items that are no texts");
      }
    }
  }
  if (std::cmp_not_equal(texts.size(), size))
    return Damaged("{} items, not {}", texts.size(), size);
  return texts;
}

namespace {

// ---- labels

Result<std::string> NumberAt(const Array& array, int64_t index) {
  const Type& type = *array.type();
  const Buffer& items = array.data()->buffers[1];
  if (type.format.size() == 1 && !type.dictionary) {
    switch (type.format[0]) {
      case 'c': return std::to_string(items.At<int8_t>(index));
      case 'C': return std::to_string(items.At<uint8_t>(index));
      case 's': return std::to_string(items.At<int16_t>(index));
      case 'S': return std::to_string(items.At<uint16_t>(index));
      case 'i': return std::to_string(items.At<int32_t>(index));
      case 'I': return std::to_string(items.At<uint32_t>(index));
      case 'l': return std::to_string(items.At<int64_t>(index));
      case 'L': return std::to_string(items.At<uint64_t>(index));
      default: break;
    }
  }
  return Status::NotSupported(fmt::format("labels of type '{}'", type.Name()));
}

Result<std::vector<std::string>> LabelsOfColumn(const ChunkedArray& column) {
  std::vector<std::string> labels;
  for (const Array& chunk : column.chunks()) {
    for (int64_t i = 0; i < chunk.length(); ++i) {
      if (chunk.IsNull(i)) return Status::NotSupported("a label that is missing");
      if (chunk.type()->text) {
        VY_ASSIGN_OR_RETURN(const auto text, chunk.Text(i));
        labels.emplace_back(*text);
      } else {
        VY_ASSIGN_OR_RETURN(labels.emplace_back(), NumberAt(chunk, i));
      }
    }
  }
  return labels;
}

Result<std::vector<std::string>> LabelsOf(const Tree& tree, const Json& index, int64_t count) {
  const std::string codec = Tree::CodecOf(index);
  std::vector<std::string> labels;
  if (codec == "pandas.rangeindex") {
    constexpr int64_t kFar = int64_t{1} << 32;
    VY_ASSIGN_OR_RETURN(const int64_t start, NeedInt(index, "start_", -kFar, kFar));
    VY_ASSIGN_OR_RETURN(const int64_t step, NeedInt(index, "step_", -kFar, kFar));
    for (int64_t i = 0; i < count; ++i) labels.push_back(std::to_string(start + i * step));
    return labels;
  }
  if (codec != "pandas.index") {
    return Status::NotSupported(
        fmt::format("labels of codec '{}': give each column one text", Short(codec)));
  }
  VY_ASSIGN_OR_RETURN(const Json* values, Part(tree, index, "values_"));
  if (Tree::CodecOf(*values) == "tensor.object") {
    VY_ASSIGN_OR_RETURN(const Texts items, PandasItems(tree, *values));
    for (const auto& item : items) {
      if (!item) return Status::NotSupported("a label that is missing");
      labels.push_back(*item);
    }
  } else {
    VY_ASSIGN_OR_RETURN(const ChunkedArray column, PandasColumn(tree, values, 0, Check::kContents));
    VY_ASSIGN_OR_RETURN(labels, LabelsOfColumn(column));
  }
  if (std::cmp_not_equal(labels.size(), count)) {
    return Damaged("{} labels for {} columns", labels.size(), count);
  }
  return labels;
}

// ---- blocks

Result<std::vector<int64_t>> PositionsOf(const Tree& tree, const Json& block, int64_t columns) {
  const Json* listed = Find(block, "columns_");
  if (listed == nullptr || !listed->is_object()) {
    return NeedInts(block, "columns_", 0, columns - 1);
  }
  std::vector<int64_t> positions;
  if (const Json* packed = Find(*listed, "packed_")) {
    VY_ASSIGN_OR_RETURN(positions, PackedInts(tree, *packed, "ints_"));
  } else if (Find(*listed, "codec") != nullptr) {
    return NeedInts(*listed, "items_", 0, columns - 1);
  } else {
    VY_ASSIGN_OR_RETURN(const int64_t start, NeedInt(*listed, "start_", 0, columns));
    VY_ASSIGN_OR_RETURN(const int64_t step, NeedInt(*listed, "step_", 1, columns));
    VY_ASSIGN_OR_RETURN(const int64_t count, NeedInt(*listed, "count_", 0, columns));
    for (int64_t i = 0; i < count; ++i) positions.push_back(start + i * step);
  }
  for (const int64_t position : positions) {
    if (position < 0 || position >= columns) return Damaged("a block of column {}", position);
  }
  return positions;
}

// The same failure, with the column that it is about.
Status OfColumn(const Status& status, std::string_view name) {
  return status.WithContext(fmt::format("column '{}'", Short(name)));
}

using Columns = std::vector<std::optional<ChunkedArray>>;

Status ReadBlock(const Tree& tree, const Json& block, const std::vector<std::string>& labels,
                 Check check, Columns* columns) {
  VY_ASSIGN_OR_RETURN(const auto positions,
                      PositionsOf(tree, block, static_cast<int64_t>(labels.size())));
  const Json* values = Find(block, "values_");
  VY_ASSIGN_OR_RETURN(const int64_t count, PandasColumnCount(tree, values));
  if (std::cmp_not_equal(positions.size(), count)) {
    return Damaged("a block of {} columns for {}", count, positions.size());
  }
  for (size_t i = 0; i < positions.size(); ++i) {
    const auto at = static_cast<size_t>(positions[i]);
    if ((*columns)[at]) return Damaged("column {} stands in two blocks", at);
    Result<ChunkedArray> column = PandasColumn(tree, values, static_cast<int64_t>(i), check);
    if (!column.ok()) return OfColumn(column.status(), labels[at]);
    (*columns)[at] = std::move(*column);
  }
  return {};
}

// The rows' labels as a column, unless they only count the rows.
Status ReadIndex(const Tree& tree, const Json& frame, Check check, SchemaData* schema,
                 std::vector<ChunkedArray>* columns) {
  VY_ASSIGN_OR_RETURN(const Json* index, Part(tree, frame, "index_"));
  const std::string codec = Tree::CodecOf(*index);
  if (codec == "pandas.rangeindex") return {};
  if (codec != "pandas.index") {
    return Status::NotSupported(fmt::format(
        "the index is of codec '{}': its writer can make columns of it with reset_index()",
        Short(codec)));
  }
  const Json* name = Find(*index, "name_");
  const bool has_name = name != nullptr && name->is_string();
  Field field;
  field.name = has_name ? name->get<std::string>() : "__index_level_0__";  // as pyarrow calls it
  Result<ChunkedArray> column = PandasColumn(tree, Find(*index, "values_"), 0, check);
  if (!column.ok()) return OfColumn(column.status(), field.name);
  field.type = *column->type();
  schema->fields.push_back(std::move(field));
  columns->push_back(std::move(*column));
  return {};
}

}  // namespace

Result<Table> FrameOf(const Tree& tree, const Json& node, Check check) {
  VY_ASSIGN_OR_RETURN(const auto shape, NeedInts(node, "shape_", 0, kMaxLength));
  if (shape.size() != 2) return Damaged("a frame of {} dimensions", shape.size());
  if (shape[1] > kMaxColumns) {
    return Status::LimitExceeded(fmt::format("a frame of {} columns", shape[1]));
  }
  VY_ASSIGN_OR_RETURN(const Json* names, Part(tree, node, "columns_"));
  VY_ASSIGN_OR_RETURN(const std::vector<std::string> labels, LabelsOf(tree, *names, shape[1]));
  VY_ASSIGN_OR_RETURN(const Json* blocks, NeedList(node, "blocks_"));
  Columns found(labels.size());
  for (const Json& block : *blocks) {
    VY_RETURN_IF_ERROR(ReadBlock(tree, block, labels, check, &found));
  }
  SchemaData schema;
  std::vector<ChunkedArray> columns;
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i]) return Damaged("column '{}' stands in no block", Short(labels[i]));
    Field field;
    field.name = labels[i];
    field.type = *found[i]->type();
    schema.fields.push_back(std::move(field));
    columns.push_back(std::move(*found[i]));
  }
  VY_RETURN_IF_ERROR(ReadIndex(tree, node, check, &schema, &columns));
  Result<Table> table = TableFrom(std::move(schema), std::move(columns), shape[0]);
  if (!table.ok()) return Damaged("{}", table.status().message());
  return table;
}

Result<ChunkedArray> SeriesOf(const Tree& tree, const Json& node, Check check) {
  return PandasColumn(tree, Find(node, "values_"), 0, check);
}

}  // namespace vineyard::types
