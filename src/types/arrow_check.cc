// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "types/arrow_check.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "types/arrow_views.h"
#include "types/utf8.h"

namespace vineyard::types {

namespace {

class Checker {
 public:
  Checker(const Type& type, Check check, ArrayData* data)
      : type_(type), contents_(check == Check::kContents), check_(check), data_(*data) {}

  Status Run() {
    if (data_.length < 0 || data_.length > kMaxLength) return Bad("has a length out of range");
    if (HasValidity(type_)) VY_RETURN_IF_ERROR(CheckValidity());
    for (size_t i = 0; i < type_.children.size(); ++i) {
      VY_RETURN_IF_ERROR(CheckArray(type_.children[i].type, check_, &data_.children[i]));
    }
    VY_RETURN_IF_ERROR(CheckLayout());
    return type_.dictionary ? CheckDictionary() : Status::OK();
  }

 private:
  template <typename... Args>
  [[nodiscard]] Status Bad(fmt::format_string<Args...> format, Args&&... args) const {
    return Damaged("an array of type '{}' {}", type_.Name(),
                   fmt::format(format, std::forward<Args>(args)...));
  }
  [[nodiscard]] const ArrayData& Child(size_t i) const { return data_.children[i]; }

  Status CheckValidity() {
    Buffer& bits = data_.buffers[0];
    if (bits.empty()) {
      if (data_.null_count != 0 && data_.length != 0) return Bad("has nulls without a bitmap");
      data_.null_count = 0;
      return {};
    }
    if (data_.null_count < 0 || data_.null_count > data_.length) {
      return Bad("has {} nulls among {} items", data_.null_count, data_.length);
    }
    if (std::cmp_less(bits.size(), (data_.length + 7) / 8)) return Bad("has a short bitmap");
    if (contents_) data_.null_count = CountNulls(bits.bytes);
    if (data_.null_count == 0) bits = Buffer();  // is stored without one
    return {};
  }

  [[nodiscard]] int64_t CountNulls(std::span<const std::byte> bits) const {
    int64_t valid = 0;
    const int64_t whole = data_.length / 8;
    for (int64_t i = 0; i < whole; ++i) {
      valid += std::popcount(std::to_integer<uint8_t>(bits[static_cast<size_t>(i)]));
    }
    for (int64_t i = whole * 8; i < data_.length; ++i) valid += BitAt(bits, i) ? 1 : 0;
    return data_.length - valid;
  }

  // At least `count` items of `width` bytes, aligned for them.
  Status CheckItems(size_t index, int64_t count, int64_t width, std::string_view what) {
    Buffer& buffer = data_.buffers[index];
    int64_t bytes = 0;
    if (__builtin_mul_overflow(count, width, &bytes) || std::cmp_less(buffer.size(), bytes)) {
      return Bad("has {} bytes of {} for {} of {} each", buffer.size(), what, count, width);
    }
    const auto low_bit = static_cast<uint64_t>(width & -width);
    const uint64_t align = std::clamp<uint64_t>(low_bit, 1, 8);
    if (reinterpret_cast<uintptr_t>(buffer.data()) % align != 0) {
      buffer = Buffer::Of(std::vector<std::byte>(buffer.bytes.begin(), buffer.bytes.end()));
    }
    return {};
  }

  Status CheckLayout() {
    switch (type_.layout) {
      case Layout::kNull: data_.null_count = data_.length; return {};
      case Layout::kBits:
        if (std::cmp_less(data_.buffers[1].size(), (data_.length + 7) / 8)) {
          return Bad("has {} bytes for {} items", data_.buffers[1].size(), data_.length);
        }
        return {};
      case Layout::kFixed: return CheckItems(1, data_.length, type_.width, "items");
      case Layout::kBinary: return type_.large ? CheckBinary<int64_t>() : CheckBinary<int32_t>();
      case Layout::kBinaryView: return CheckViews();
      case Layout::kList: {
        const int64_t end = Child(0).length;
        return type_.large ? CheckOffsets<int64_t>(end) : CheckOffsets<int32_t>(end);
      }
      case Layout::kListView:
        return type_.large ? CheckListView<int64_t>() : CheckListView<int32_t>();
      case Layout::kFixedList: return CheckFixedList();
      case Layout::kStruct: return CheckSameLengths();
      case Layout::kSparseUnion:
        VY_RETURN_IF_ERROR(CheckItems(0, data_.length, 1, "codes"));
        VY_RETURN_IF_ERROR(CheckSameLengths());
        return contents_ ? CheckCodes() : Status::OK();
      case Layout::kDenseUnion: return CheckDenseUnion();
      case Layout::kRunEnds: return CheckRunEnds();
    }
    return {};
  }

  // Rising offsets from within [0, end] to within it.
  template <typename T>
  Status CheckOffsets(int64_t end) {
    if (data_.length == 0 && data_.buffers[1].empty()) return {};
    VY_RETURN_IF_ERROR(CheckItems(1, data_.length + 1, sizeof(T), "offsets"));
    const auto* offsets = reinterpret_cast<const T*>(data_.buffers[1].data());
    const T last = offsets[data_.length];
    if (offsets[0] < 0 || last < offsets[0] || last > end) {
      return Bad("has offsets from {} to {}, of {}", offsets[0], last, end);
    }
    if (!contents_) return {};
    bool rises = true;
    for (int64_t i = 0; i < data_.length; ++i) rises &= offsets[i] <= offsets[i + 1];
    return rises ? Status::OK() : Bad("has offsets that go back");
  }

  template <typename T>
  Status CheckBinary() {
    const std::span<const std::byte> bytes = data_.buffers[2].bytes;
    VY_RETURN_IF_ERROR(CheckOffsets<T>(static_cast<int64_t>(bytes.size())));
    if (!contents_ || !type_.text || data_.length == 0) return {};
    const auto* offsets = reinterpret_cast<const T*>(data_.buffers[1].data());
    const auto part = [&](int64_t from, int64_t to) {
      return bytes.subspan(static_cast<size_t>(offsets[from]),
                           static_cast<size_t>(offsets[to] - offsets[from]));
    };
    if (IsAscii(part(0, data_.length))) return {};
    for (int64_t i = 0; i < data_.length; ++i) {
      if (!data_.IsNull(i) && !IsUtf8(part(i, i + 1))) return Bad("has a text that is no UTF-8");
    }
    return {};
  }

  Status CheckViews() {
    VY_RETURN_IF_ERROR(CheckItems(1, data_.length, sizeof(BinaryView), "views"));
    if (!contents_) return {};
    for (int64_t i = 0; i < data_.length; ++i) {
      if (!data_.IsNull(i)) VY_RETURN_IF_ERROR(CheckView(i));
    }
    return {};
  }
  Status CheckView(int64_t index) {
    const Buffer& views = data_.buffers[1];
    const auto view = views.At<BinaryView>(index);
    if (view.size < 0) return Bad("has a view of negative length");
    const auto size = static_cast<size_t>(view.size);
    std::span<const std::byte> item;
    if (view.is_inline()) {
      item = views.bytes.subspan(static_cast<size_t>(index) * sizeof view + 4, 12);
      const auto is_zero = [](std::byte b) { return b == std::byte{0}; };
      if (!std::ranges::all_of(item.subspan(size), is_zero)) {
        return Bad("has a view with bytes behind its end");
      }
      item = item.first(size);
    } else {
      const auto which = static_cast<size_t>(view.buffer) + 2;
      if (view.buffer < 0 || which >= data_.buffers.size() || view.offset < 0) {
        return Bad("has a view of a buffer that is not there");
      }
      const std::span<const std::byte> bytes = data_.buffers[which].bytes;
      const auto offset = static_cast<size_t>(view.offset);
      if (offset > bytes.size() || size > bytes.size() - offset) {
        return Bad("has a view that ends behind its buffer");
      }
      item = bytes.subspan(offset, size);
      if (std::memcmp(&view.prefix, item.data(), sizeof view.prefix) != 0) {
        return Bad("has a view whose first bytes are others than its buffer's");
      }
    }
    return type_.text && !IsUtf8(item) ? Bad("has a text that is no UTF-8") : Status::OK();
  }

  template <typename T>
  Status CheckListView() {
    VY_RETURN_IF_ERROR(CheckItems(1, data_.length, sizeof(T), "offsets"));
    VY_RETURN_IF_ERROR(CheckItems(2, data_.length, sizeof(T), "sizes"));
    if (!contents_) return {};
    const int64_t end = Child(0).length;
    for (int64_t i = 0; i < data_.length; ++i) {
      const int64_t start = data_.buffers[1].At<T>(i);
      const int64_t size = data_.buffers[2].At<T>(i);
      if (start < 0 || size < 0 || start > end || size > end - start) {
        return Bad("has a view of [{}, {} + {}), of {}", start, start, size, end);
      }
    }
    return {};
  }

  Status CheckFixedList() {
    int64_t items = 0;
    if (__builtin_mul_overflow(data_.length, type_.width, &items) || Child(0).length < items) {
      return Bad("has {} items for {} lists of {}", Child(0).length, data_.length, type_.width);
    }
    return {};
  }
  Status CheckSameLengths() {
    for (const ArrayData& child : data_.children) {
      if (child.length < data_.length) {
        return Bad("has {} items, and a child of {}", data_.length, child.length);
      }
    }
    return {};
  }

  Status CheckCodes() {
    bool known[256] = {};
    for (const int8_t code : type_.codes) known[static_cast<uint8_t>(code)] = true;
    for (int64_t i = 0; i < data_.length; ++i) {
      if (!known[data_.buffers[0].At<uint8_t>(i)]) return Bad("has a code that it does not know");
    }
    return {};
  }
  Status CheckDenseUnion() {
    VY_RETURN_IF_ERROR(CheckItems(0, data_.length, 1, "codes"));
    VY_RETURN_IF_ERROR(CheckItems(1, data_.length, 4, "offsets"));
    if (!contents_) return {};
    VY_RETURN_IF_ERROR(CheckCodes());
    int64_t lengths[128] = {};
    for (size_t c = 0; c < type_.codes.size(); ++c) {
      lengths[static_cast<uint8_t>(type_.codes[c])] = Child(c).length;
    }
    for (int64_t i = 0; i < data_.length; ++i) {
      const int32_t at = data_.buffers[1].At<int32_t>(i);
      if (at < 0 || at >= lengths[data_.buffers[0].At<uint8_t>(i)]) {
        return Bad("has an item beyond its child");
      }
    }
    return {};
  }

  Status CheckRunEnds() {
    const ArrayData& ends = Child(0);
    if (ends.null_count != 0) return Bad("has run ends that are null");
    if (ends.length > Child(1).length) {
      return Bad("has {} runs, and {} values", ends.length, Child(1).length);
    }
    if (ends.length == 0) return data_.length == 0 ? Status::OK() : Bad("has no runs");
    const int64_t last = RunEnd(ends.length - 1);
    if (last < data_.length) return Bad("has {} items, and its runs end at {}", data_.length, last);
    if (!contents_) return {};
    int64_t before = 0;
    for (int64_t i = 0; i < ends.length; ++i) {
      const int64_t end = RunEnd(i);
      if (end <= before) return Bad("has run ends that do not rise");
      before = end;
    }
    return {};
  }
  [[nodiscard]] int64_t RunEnd(int64_t index) const {
    const Buffer& ends = Child(0).buffers[1];
    switch (type_.children[0].type.width) {
      case 2: return ends.At<int16_t>(index);
      case 4: return ends.At<int32_t>(index);
      default: return ends.At<int64_t>(index);
    }
  }

  Status CheckDictionary() {
    auto values = std::make_shared<ArrayData>(*data_.dictionary);
    VY_RETURN_IF_ERROR(CheckArray(*type_.dictionary, check_, values.get()));
    const int64_t count = values->length;
    data_.dictionary = std::move(values);
    if (!contents_) return {};
    switch (type_.format[0]) {
      case 'c': return CheckIndices<int8_t>(count);
      case 'C': return CheckIndices<uint8_t>(count);
      case 's': return CheckIndices<int16_t>(count);
      case 'S': return CheckIndices<uint16_t>(count);
      case 'i': return CheckIndices<int32_t>(count);
      case 'I': return CheckIndices<uint32_t>(count);
      case 'l': return CheckIndices<int64_t>(count);
      default: return CheckIndices<uint64_t>(count);
    }
  }
  template <typename T>
  Status CheckIndices(int64_t count) {
    for (int64_t i = 0; i < data_.length; ++i) {
      const T index = data_.buffers[1].At<T>(i);
      if ((std::cmp_less(index, 0) || std::cmp_greater_equal(index, count)) && !data_.IsNull(i)) {
        return Bad("has the index {} into {} values", index, count);
      }
    }
    return {};
  }

  const Type& type_;
  const bool contents_;
  const Check check_;
  ArrayData& data_;
};

}  // namespace

Status CheckArray(const Type& type, Check check, ArrayData* data) {
  return Checker(type, check, data).Run();
}

}  // namespace vineyard::types
