// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "types/arrow_import.h"

#include <algorithm>
#include <bit>
#include <limits>

#include <fmt/format.h>

#include "types/arrow_views.h"

namespace vineyard::types {

namespace {

Status Senseless(const Type& type, std::string_view why) {
  return Status::Invalid(fmt::format("an ArrowArray of type '{}' {}", type.Name(), why));
}

int64_t CountValid(std::span<const std::byte> bits, int64_t offset, int64_t length) {
  int64_t count = 0;
  int64_t i = offset;
  const int64_t end = offset + length;
  while (i < end) {
    if (i % 8 == 0 && end - i >= 8) {
      count += std::popcount(std::to_integer<uint8_t>(bits[static_cast<size_t>(i / 8)]));
      i += 8;
    } else {
      count += BitAt(bits, i++) ? 1 : 0;
    }
  }
  return count;
}

// One array of the tree, and which of its items are wanted.
class Importer {
 public:
  Importer(const std::shared_ptr<const ArrowArray>& root, const ArrowArray& array, const Type& type,
           int64_t offset, int64_t length)
      : root_(root), array_(array), type_(type), offset_(array.offset + offset), length_(length) {}

  Result<ArrayData> Import() {
    data_.length = length_;
    if (type_.layout == Layout::kNull) {
      data_.null_count = length_;
      return std::move(data_);
    }
    if (HasValidity(type_)) ImportValidity();
    VY_RETURN_IF_ERROR(ImportRest());
    if (type_.dictionary) {
      const ArrowArray& values = *array_.dictionary;
      VY_ASSIGN_OR_RETURN(ArrayData dictionary,
                          Importer(root_, values, *type_.dictionary, 0, values.length).Import());
      data_.dictionary = std::make_shared<const ArrayData>(std::move(dictionary));
    }
    return std::move(data_);
  }

 private:
  [[nodiscard]] const std::byte* RawBuffer(size_t index) const {
    return static_cast<const std::byte*>(array_.buffers[index]);
  }
  // Bytes [start, start + size) of a buffer.
  [[nodiscard]] Result<Buffer> Slice(size_t index, int64_t start, int64_t size) const {
    if (size == 0) return Buffer();
    if (RawBuffer(index) == nullptr) return Senseless(type_, "lacks a buffer");
    return Buffer({RawBuffer(index) + start, static_cast<size_t>(size)}, root_);
  }
  [[nodiscard]] Result<Buffer> Items(size_t index, int64_t width) const {
    if (width != 0 && length_ > std::numeric_limits<int64_t>::max() / width / 2) {
      return Senseless(type_, "is longer than memory");
    }
    return Slice(index, offset_ * width, length_ * width);
  }
  [[nodiscard]] Result<Buffer> Bits(size_t index) const {
    const int64_t size = (length_ + 7) / 8;
    if (offset_ % 8 == 0 || length_ == 0) return Slice(index, offset_ / 8, size);
    if (RawBuffer(index) == nullptr) return Senseless(type_, "lacks a bitmap");
    const std::span bits(RawBuffer(index), static_cast<size_t>((offset_ + length_ + 7) / 8));
    std::vector<uint8_t> moved(static_cast<size_t>(size));
    const auto shift = static_cast<unsigned>(offset_ % 8);
    for (size_t i = 0; i < moved.size(); ++i) {
      const size_t at = static_cast<size_t>(offset_ / 8) + i;
      const auto low = std::to_integer<unsigned>(bits[at]) >> shift;
      const auto high = at + 1 < bits.size() ? std::to_integer<unsigned>(bits[at + 1]) : 0U;
      moved[i] = static_cast<uint8_t>(low | (high << (8 - shift)));
    }
    return Buffer::Of(std::move(moved));
  }

  void ImportValidity() {
    data_.buffers.emplace_back();
    const std::byte* bits = RawBuffer(0);
    if (bits == nullptr || array_.null_count == 0 || length_ == 0) return;
    const std::span all(bits, static_cast<size_t>((offset_ + length_ + 7) / 8));
    data_.null_count = length_ - CountValid(all, offset_, length_);
    if (data_.null_count > 0) data_.buffers[0] = Bits(0).value();
  }

  Status ImportRest() {
    switch (type_.layout) {
      case Layout::kNull: return {};
      case Layout::kBits: return AddBuffer(Bits(1));
      case Layout::kFixed: return AddBuffer(Items(1, type_.width));
      case Layout::kBinary: return type_.large ? ImportBinary<int64_t>() : ImportBinary<int32_t>();
      case Layout::kBinaryView: return ImportViews();
      case Layout::kList: return type_.large ? ImportList<int64_t>() : ImportList<int32_t>();
      case Layout::kListView:
        return type_.large ? ImportListView<int64_t>() : ImportListView<int32_t>();
      case Layout::kFixedList: return ImportFixedList();
      case Layout::kStruct: return ImportSameLengths();
      case Layout::kSparseUnion:
        VY_RETURN_IF_ERROR(AddBuffer(Items(0, 1)));
        return ImportSameLengths();
      case Layout::kDenseUnion: return ImportDenseUnion();
      case Layout::kRunEnds: return ImportRunEnds();
    }
    return {};
  }

  Status AddBuffer(Result<Buffer> buffer) {
    if (!buffer.ok()) return std::move(buffer).status();
    data_.buffers.push_back(std::move(*buffer));
    return {};
  }
  Status AddChild(size_t index, int64_t offset, int64_t length) {
    const ArrowArray& child = *array_.children[index];
    if (offset < 0 || length < 0 || offset > child.length || length > child.length - offset) {
      return Senseless(type_, "uses items that its child does not have");
    }
    VY_ASSIGN_OR_RETURN(
        ArrayData data,
        Importer(root_, child, type_.children[index].type, offset, length).Import());
    data_.children.push_back(std::move(data));
    return {};
  }
  Status ImportSameLengths() {
    for (size_t i = 0; i < type_.children.size(); ++i) {
      VY_RETURN_IF_ERROR(AddChild(i, offset_, length_));
    }
    return {};
  }
  Status ImportFixedList() {
    if (type_.width != 0 && offset_ + length_ > kMaxLength / type_.width) {
      return Senseless(type_, "is longer than memory");
    }
    return AddChild(0, offset_ * type_.width, length_ * type_.width);
  }

  // The offsets, counted from the first of them; and that one and the last.
  template <typename T>
  Result<std::pair<int64_t, int64_t>> ImportOffsets() {
    if (length_ == 0) {
      data_.buffers.emplace_back();
      return std::pair<int64_t, int64_t>(0, 0);
    }
    const int64_t size = (length_ + 1) * int64_t{sizeof(T)};
    VY_ASSIGN_OR_RETURN(Buffer offsets, Slice(1, offset_ * int64_t{sizeof(T)}, size));
    const T first = offsets.At<T>(0);
    const T last = offsets.At<T>(length_);
    if (first < 0 || last < first) return Senseless(type_, "has offsets that go back");
    if (first != 0) {
      std::vector<T> moved(static_cast<size_t>(length_) + 1);
      for (size_t i = 0; i < moved.size(); ++i) {
        moved[i] = static_cast<T>(offsets.At<T>(static_cast<int64_t>(i)) - first);
      }
      offsets = Buffer::Of(std::move(moved));
    }
    data_.buffers.push_back(std::move(offsets));
    return std::pair<int64_t, int64_t>(first, last);
  }
  template <typename T>
  Status ImportBinary() {
    VY_ASSIGN_OR_RETURN(const auto range, ImportOffsets<T>());
    return AddBuffer(Slice(2, range.first, range.second - range.first));
  }
  template <typename T>
  Status ImportList() {
    VY_ASSIGN_OR_RETURN(const auto range, ImportOffsets<T>());
    return AddChild(0, range.first, range.second - range.first);
  }

  template <typename T>
  Status ImportListView() {
    VY_ASSIGN_OR_RETURN(Buffer starts, Items(1, sizeof(T)));
    VY_ASSIGN_OR_RETURN(Buffer sizes, Items(2, sizeof(T)));
    int64_t low = kMaxLength;
    int64_t high = 0;
    for (int64_t i = 0; i < length_; ++i) {
      const auto start = int64_t{starts.At<T>(i)};
      const auto size = int64_t{sizes.At<T>(i)};
      if (size == 0) continue;
      if (size < 0 || start < 0 || size > array_.children[0]->length - start) {
        return Senseless(type_, "has a view beyond its child");
      }
      low = std::min(low, start);
      high = std::max(high, start + size);
    }
    low = std::min(low, high);
    if (low != 0 || high != array_.children[0]->length) {
      std::vector<T> moved(static_cast<size_t>(length_));
      for (int64_t i = 0; i < length_; ++i) {
        const bool filled = sizes.At<T>(i) > 0;
        moved[static_cast<size_t>(i)] = filled ? static_cast<T>(starts.At<T>(i) - low) : T{0};
      }
      starts = length_ == 0 ? Buffer() : Buffer::Of(std::move(moved));
    }
    data_.buffers.push_back(std::move(starts));
    data_.buffers.push_back(std::move(sizes));
    return AddChild(0, low, high - low);
  }

  Status ImportDenseUnion() {
    VY_ASSIGN_OR_RETURN(Buffer codes, Items(0, 1));
    VY_ASSIGN_OR_RETURN(Buffer offsets, Items(1, 4));
    const size_t count = type_.codes.size();
    std::vector<int64_t> low(count, kMaxLength);
    std::vector<int64_t> high(count, 0);
    std::vector<size_t> child_of(static_cast<size_t>(length_));
    for (int64_t i = 0; i < length_; ++i) {
      const auto found = std::ranges::find(type_.codes, codes.At<int8_t>(i));
      if (found == type_.codes.end()) return Senseless(type_, "has a code that it does not know");
      const auto child = static_cast<size_t>(found - type_.codes.begin());
      child_of[static_cast<size_t>(i)] = child;
      const int32_t at = offsets.At<int32_t>(i);
      low[child] = std::min<int64_t>(low[child], at);
      high[child] = std::max<int64_t>(high[child], int64_t{at} + 1);
    }
    bool moves = false;
    for (size_t c = 0; c < count; ++c) {
      low[c] = std::min(low[c], high[c]);
      moves = moves || low[c] != 0;
    }
    if (moves) {
      std::vector<int32_t> moved(static_cast<size_t>(length_));
      for (size_t i = 0; i < moved.size(); ++i) {
        const int64_t at = offsets.At<int32_t>(static_cast<int64_t>(i));
        moved[i] = static_cast<int32_t>(at - low[child_of[i]]);
      }
      offsets = Buffer::Of(std::move(moved));
    }
    data_.buffers.push_back(std::move(codes));
    data_.buffers.push_back(std::move(offsets));
    for (size_t c = 0; c < count; ++c) VY_RETURN_IF_ERROR(AddChild(c, low[c], high[c] - low[c]));
    return {};
  }

  Status ImportRunEnds() {
    const char width = type_.children[0].type.format[0];
    if (width == 's') return ImportRuns<int16_t>();
    return width == 'i' ? ImportRuns<int32_t>() : ImportRuns<int64_t>();
  }
  template <typename T>
  Status ImportRuns() {
    const ArrowArray& ends = *array_.children[0];
    const auto* all = static_cast<const T*>(ends.buffers[1]);
    if (ends.length > 0 && all == nullptr) return Senseless(type_, "lacks its run ends");
    const std::span runs(all == nullptr ? nullptr : all + ends.offset,
                         static_cast<size_t>(ends.length));
    const auto first = std::ranges::upper_bound(runs, offset_);
    const auto last = length_ == 0 ? first : std::lower_bound(first, runs.end(), offset_ + length_);
    if (length_ > 0 && last == runs.end()) return Senseless(type_, "has runs that end too soon");
    const int64_t start = first - runs.begin();
    const int64_t count = length_ == 0 ? 0 : last - first + 1;
    if (offset_ == 0) {
      VY_RETURN_IF_ERROR(AddChild(0, start, count));
    } else {
      std::vector<T> moved;
      for (auto run = first; run != first + count; ++run) {
        moved.push_back(static_cast<T>(std::min<int64_t>(*run - offset_, length_)));
      }
      ArrayData counted;
      counted.length = count;
      counted.buffers = {Buffer(), count == 0 ? Buffer() : Buffer::Of(std::move(moved))};
      data_.children.push_back(std::move(counted));
    }
    return AddChild(1, start, count);
  }

  Status ImportViews() {
    VY_ASSIGN_OR_RETURN(Buffer views, Items(1, sizeof(BinaryView)));
    const auto count = static_cast<size_t>(array_.n_buffers) - 3;
    std::vector<Buffer> bytes;
    const auto* sizes = static_cast<const int64_t*>(array_.buffers[count + 2]);
    if (count > 0 && sizes == nullptr) return Senseless(type_, "lacks the sizes of its buffers");
    for (size_t i = 0; i < count; ++i) {
      if (sizes[i] < 0) return Senseless(type_, "has a buffer of negative size");
      VY_RETURN_IF_ERROR(AddBuffer(Slice(i + 2, 0, sizes[i])));
      bytes.push_back(std::move(data_.buffers.back()));
      data_.buffers.pop_back();
    }
    VY_ASSIGN_OR_RETURN(
        OwnViews own, OnlyOwnBytes(std::move(views), std::move(bytes), data_.buffers[0], length_));
    data_.buffers.push_back(std::move(own.views));
    std::ranges::move(own.bytes, std::back_inserter(data_.buffers));
    return {};
  }

  const std::shared_ptr<const ArrowArray>& root_;
  const ArrowArray& array_;
  const Type& type_;
  int64_t offset_;
  int64_t length_;
  ArrayData data_;
};

// What must hold for the rest to be looked at.
Status CheckStructure(const ArrowArray& array, const Type& type, int depth) {
  if (depth > kMaxDepth) return Status::LimitExceeded("Arrow arrays are nested too deeply");
  if (array.release == nullptr) return Senseless(type, "was released already");
  if (array.length < 0 || array.offset < 0 || array.length > kMaxLength ||
      array.offset > kMaxLength - array.length || array.null_count < -1) {
    return Senseless(type, "has a length or an offset out of range");
  }
  const auto count = static_cast<int64_t>(BufferCount(type));
  const bool fits =
      type.layout == Layout::kBinaryView ? array.n_buffers >= count + 1 : array.n_buffers == count;
  if (!fits || (array.n_buffers > 0 && array.buffers == nullptr)) {
    return Senseless(type, fmt::format("has {} buffers, not {}", array.n_buffers, count));
  }
  if (array.n_children != static_cast<int64_t>(type.children.size()) ||
      (array.n_children > 0 && array.children == nullptr)) {
    return Senseless(
        type, fmt::format("has {} children, not {}", array.n_children, type.children.size()));
  }
  for (size_t i = 0; i < type.children.size(); ++i) {
    if (array.children[i] == nullptr) return Senseless(type, "has a child that is null");
    VY_RETURN_IF_ERROR(CheckStructure(*array.children[i], type.children[i].type, depth + 1));
  }
  if ((array.dictionary != nullptr) != (type.dictionary != nullptr)) {
    return Senseless(type, "has a dictionary in one of array and schema only");
  }
  return type.dictionary ? CheckStructure(*array.dictionary, *type.dictionary, depth + 1)
                         : Status::OK();
}

}  // namespace

std::shared_ptr<const ArrowArray> TakeOver(ArrowArray* array) {
  const std::shared_ptr<ArrowArray> taken(new ArrowArray(*array), [](ArrowArray* owned) {
    if (owned->release != nullptr) owned->release(owned);
    delete owned;
  });
  array->release = nullptr;
  return taken;
}

Result<ArrayData> ImportArray(const std::shared_ptr<const ArrowArray>& array, const Type& type) {
  VY_RETURN_IF_ERROR(CheckStructure(*array, type, 0));
  return Importer(array, *array, type, 0, array->length).Import();
}

}  // namespace vineyard::types
