// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "types/tensor_reader.h"

#include <algorithm>
#include <charconv>

namespace vineyard {

using types::Damaged;
using types::Find;
using types::Json;
using types::Short;
using types::ShortJson;

namespace {

constexpr int64_t kMaxDim = types::kMaxLength;

// Bytes of an element of a plain dtype such as "<f8"; 0 when the text is none.
uint32_t ItemSizeOf(std::string_view text) {
  if (text.size() < 3 || !std::string_view("<>|").contains(text[0])) return 0;
  const char kind = text[1];
  const std::string_view rest = text.substr(2);
  uint32_t size = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
  if (error != std::errc() || size == 0 || size > (1U << 29)) return 0;
  const std::string_view unit(end, static_cast<size_t>(rest.data() + rest.size() - end));
  const auto is_one_of = [size](std::initializer_list<uint32_t> sizes) {
    return std::ranges::find(sizes, size) != sizes.end();
  };
  if (kind == 'm' || kind == 'M') {
    const bool fits = unit.empty() || (unit.size() > 2 && unit[0] == '[' && unit.back() == ']');
    return size == 8 && fits ? size : 0;
  }
  if (!unit.empty()) return 0;
  switch (kind) {
    case 'b': return size == 1 ? size : 0;
    case 'i':
    case 'u': return is_one_of({1, 2, 4, 8}) ? size : 0;
    case 'f': return is_one_of({2, 4, 8, 12, 16}) ? size : 0;
    case 'c': return is_one_of({8, 16, 24, 32}) ? size : 0;
    case 'S':
    case 'V': return size;
    case 'U': return size * 4;
    default: return 0;
  }
}

// Of a long double, whose text does not say which format it has.
bool IsWide(std::string_view text, uint32_t size) {
  return (text[1] == 'f' && size > 8) || (text[1] == 'c' && size > 16);
}

}  // namespace

Status TensorReader::ReadType(const Json& node, AnyTensor* tensor) {
  const Json* plain = &node;
  const char* key = "value_type_meta_";
  const bool is_typed = types::Tree::CodecOf(node) == "tensor.typed";
  if (is_typed) {
    plain = Find(node, "dtype_");
    if (plain == nullptr) return Damaged("an array without a dtype");
    const Json* kind = Find(*plain, "kind_");
    if (kind == nullptr || *kind != "plain") {
      return Status::NotSupported(
          fmt::format("an array of dtype {}, whose elements are no numbers: only Python reads it",
                      ShortJson(node.value("value_type_meta_", Json()))));
    }
    key = "str_";
    if (Find(*plain, "mantissa_") != nullptr) {
      VY_ASSIGN_OR_RETURN(const int64_t bits, types::NeedInt(*plain, "mantissa_", 1, 1024));
      tensor->mantissa_ = static_cast<int>(bits);
    }
  }
  VY_ASSIGN_OR_RETURN(tensor->dtype_, types::NeedText(*plain, key));
  const std::string& text = tensor->dtype_;
  tensor->item_size_ = ItemSizeOf(text);
  if (tensor->item_size_ == 0 || (text[1] == 'V' && !is_typed)) {
    return Damaged("'{}' is no dtype of numbers", Short(text));
  }
  if (IsWide(text, tensor->item_size_) != (tensor->mantissa_ != 0)) {
    return Damaged("'{}' does not say which format of a long double it means", Short(text));
  }
  return {};
}

// Shape and strides; and the distance of the element at 0, 0, … from the first in memory, in data_.
Status TensorReader::ReadLayout(const Json& node, AnyTensor* tensor) {
  VY_ASSIGN_OR_RETURN(tensor->shape_, types::NeedInts(node, "shape_", 0, kMaxDim));
  const std::vector<int64_t>& shape = tensor->shape_;
  const auto ndim = static_cast<int64_t>(shape.size());
  VY_ASSIGN_OR_RETURN(const std::string order, types::NeedText(node, "order_"));
  // Axes from the slowest to the fastest.
  std::vector<int64_t> axes(shape.size());
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
  std::vector<int64_t> repeated;
  std::vector<int64_t> flipped;
  if (order == "F") {
    std::ranges::reverse(axes);
  } else if (order == "K") {
    const std::vector<int64_t> all = axes;
    VY_ASSIGN_OR_RETURN(axes, types::NeedInts(node, "axes_", 0, ndim));
    VY_ASSIGN_OR_RETURN(repeated, types::NeedInts(node, "repeated_", 0, ndim - 1));
    VY_ASSIGN_OR_RETURN(flipped, types::NeedInts(node, "flipped_", 0, ndim - 1));
    if (!std::ranges::is_permutation(axes, all)) return Damaged("no order of {} axes", ndim);
  } else if (order != "C") {
    return Damaged("memory order '{}'", Short(order));
  }
  tensor->strides_.assign(shape.size(), 0);
  tensor->size_ = 1;
  int64_t step = tensor->item_size_;  // of an array without items: as if it had one along each axis
  int64_t start = 0;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    const auto i = static_cast<size_t>(*axis);
    if (std::ranges::find(repeated, *axis) != repeated.end()) continue;
    const bool backwards = std::ranges::find(flipped, *axis) != flipped.end();
    tensor->strides_[i] = backwards ? -step : step;
    const int64_t items = std::max<int64_t>(shape[i], 1);
    int64_t next = 0;
    if (__builtin_mul_overflow(step, items, &next)) {
      return Damaged("a shape of more bytes than there are");
    }
    if (backwards) start += (items - 1) * step;
    step = next;
  }
  const bool is_empty = std::ranges::find(shape, 0) != shape.end();
  const int64_t stored = is_empty ? 0 : step;
  for (const int64_t dim : shape) {
    if (is_empty) tensor->size_ = 0;
    if (__builtin_mul_overflow(tensor->size_, dim, &tensor->size_)) {
      return Damaged("a shape of more elements than can be counted");
    }
  }
  if (std::cmp_not_equal(tensor->blob_.size(), stored)) {
    return Damaged("{} bytes for a shape of {} elements of '{}', which takes {}",
                   tensor->blob_.size(), tensor->size_, Short(tensor->dtype_), stored);
  }
  tensor->data_ = tensor->blob_.data();
  if (!is_empty && start != 0) tensor->data_ += start;
  return {};
}

Result<AnyTensor> TensorReader::Read(const types::Tree& tree, const Json& node, Check check) {
  AnyTensor tensor;
  VY_RETURN_IF_ERROR(ReadType(node, &tensor));
  VY_ASSIGN_OR_RETURN(const Blob* blob, tree.BlobAt(Find(node, "buffer")));
  tensor.blob_ = *blob;
  VY_RETURN_IF_ERROR(ReadLayout(node, &tensor));
  // To C++, a bool that is neither 0 nor 1 is no value at all.
  if (tensor.dtype_[1] == 'b' && check == Check::kContents) {
    const auto is_bool = [](std::byte b) { return b <= std::byte{1}; };
    if (!std::ranges::all_of(blob->bytes(), is_bool)) return Damaged("a bool that is no bool");
  }
  return tensor;
}

}  // namespace vineyard
