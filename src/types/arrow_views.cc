// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "types/arrow_views.h"

#include <algorithm>

namespace vineyard::types {

namespace {

struct Range {
  int64_t low = INT64_MAX;
  int64_t high = 0;
  [[nodiscard]] int64_t size() const { return high > low ? high - low : 0; }
};

struct Used {
  std::vector<Range> ranges;  // of each buffer, from the first byte used to the last
  int64_t bytes = 0;          // of all views
  int64_t span = 0;           // of all ranges
  bool odd = false;           // whether the view of a null leads to bytes
};

bool IsLong(const BinaryView& view, const Buffer& validity, int64_t index) {
  return !view.is_inline() && (validity.empty() || BitAt(validity.bytes, index));
}

Result<Used> FindUsed(const Buffer& views, const std::vector<Buffer>& bytes, const Buffer& validity,
                      int64_t length) {
  Used used;
  used.ranges.resize(bytes.size());
  for (int64_t i = 0; i < length; ++i) {
    const auto view = views.At<BinaryView>(i);
    if (!IsLong(view, validity, i)) {
      used.odd = used.odd || !view.is_inline();
      continue;
    }
    const auto buffer = static_cast<size_t>(view.buffer);
    if (view.buffer < 0 || buffer >= bytes.size() || view.offset < 0 ||
        int64_t{view.offset} + view.size > static_cast<int64_t>(bytes[buffer].size())) {
      return Status::Invalid("an Arrow view leads outside of its buffers");
    }
    Range& range = used.ranges[buffer];
    range.low = std::min<int64_t>(range.low, view.offset);
    range.high = std::max<int64_t>(range.high, int64_t{view.offset} + view.size);
    used.bytes += view.size;
  }
  for (const Range& range : used.ranges) used.span += range.size();
  return used;
}

// The bytes of all long views, one after the other.
OwnViews Gathered(const Buffer& views, const std::vector<Buffer>& bytes, const Buffer& validity,
                  int64_t length) {
  std::vector<BinaryView> moved(static_cast<size_t>(length));
  std::vector<std::byte> own;
  for (int64_t i = 0; i < length; ++i) {
    auto view = views.At<BinaryView>(i);
    if (IsLong(view, validity, i)) {
      const auto part = bytes[static_cast<size_t>(view.buffer)].bytes.subspan(
          static_cast<size_t>(view.offset), static_cast<size_t>(view.size));
      view.buffer = 0;
      view.offset = static_cast<int32_t>(own.size());
      own.insert(own.end(), part.begin(), part.end());
    } else if (!view.is_inline()) {
      view = {};
    }
    moved[static_cast<size_t>(i)] = view;
  }
  OwnViews made{Buffer::Of(std::move(moved)), {}};
  if (!own.empty()) made.bytes.push_back(Buffer::Of(std::move(own)));
  return made;
}

// Each buffer cut down to its range; those that are not used left out.
OwnViews Cut(const Buffer& views, std::vector<Buffer> bytes, const Used& used,
             const Buffer& validity, int64_t length) {
  OwnViews made;
  std::vector<int32_t> new_index(bytes.size());
  for (size_t b = 0; b < bytes.size(); ++b) {
    const Range& range = used.ranges[b];
    if (range.size() == 0) continue;
    new_index[b] = static_cast<int32_t>(made.bytes.size());
    made.bytes.emplace_back(
        bytes[b].bytes.subspan(static_cast<size_t>(range.low), static_cast<size_t>(range.size())),
        bytes[b].keep_alive);
  }
  std::vector<BinaryView> moved(static_cast<size_t>(length));
  for (int64_t i = 0; i < length; ++i) {
    auto view = views.At<BinaryView>(i);
    if (IsLong(view, validity, i)) {
      const auto b = static_cast<size_t>(view.buffer);
      view.offset = static_cast<int32_t>(view.offset - used.ranges[b].low);
      view.buffer = new_index[b];
    } else if (!view.is_inline()) {
      view = {};
    }
    moved[static_cast<size_t>(i)] = view;
  }
  made.views = Buffer::Of(std::move(moved));
  return made;
}

}  // namespace

Result<OwnViews> OnlyOwnBytes(Buffer views, std::vector<Buffer> bytes, const Buffer& validity,
                              int64_t length) {
  if (length == 0) return OwnViews{};
  VY_ASSIGN_OR_RETURN(const Used used, FindUsed(views, bytes, validity, length));
  int64_t all = 0;
  for (const Buffer& buffer : bytes) all += static_cast<int64_t>(buffer.size());
  const bool has_empty = std::ranges::any_of(bytes, &Buffer::empty);
  if (used.bytes >= all && !used.odd && !has_empty)
    return OwnViews{std::move(views), std::move(bytes)};
  if (used.bytes < used.span / 2 && used.bytes <= INT32_MAX) {
    return Gathered(views, bytes, validity, length);
  }
  return Cut(views, std::move(bytes), used, validity, length);
}

}  // namespace vineyard::types
