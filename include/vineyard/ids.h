// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// ObjectId: the 64-bit name of an object or a blob in one volume of one instance.
//
// Bit 63 marks a blob; bits 48–62 are the instance (0 outside a cluster); the rest is a counter that
// never goes back. An id is a reference, not a permission. Its text form is "o" and 16 hex digits.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace vineyard {

class ObjectId {
 public:
  static constexpr uint64_t kBlobBit = uint64_t{1} << 63;

  constexpr ObjectId() = default;  ///< Refers to nothing.
  constexpr explicit ObjectId(uint64_t value) : value_(value) {}

  /// Reads "o0000000000000001" (exactly 16 hex digits, either case); nullopt for anything else.
  static std::optional<ObjectId> Parse(std::string_view text);

  [[nodiscard]] constexpr uint64_t value() const { return value_; }
  [[nodiscard]] constexpr bool is_blob() const { return (value_ & kBlobBit) != 0; }
  [[nodiscard]] constexpr bool is_null() const { return value_ == 0; }
  [[nodiscard]] std::string ToString() const;

  /// The blob that holds the buffers which were stored together with this object.
  [[nodiscard]] constexpr ObjectId own_blob() const { return ObjectId(value_ | kBlobBit); }
  /// The object whose put made this blob (if one did).
  [[nodiscard]] constexpr ObjectId owner_of_blob() const { return ObjectId(value_ & ~kBlobBit); }

  constexpr auto operator<=>(const ObjectId&) const = default;

 private:
  uint64_t value_ = 0;
};

}  // namespace vineyard

template <>
struct std::hash<vineyard::ObjectId> {
  size_t operator()(vineyard::ObjectId id) const noexcept {
    return std::hash<uint64_t>{}(id.value() * 0x9e3779b97f4a7c15ULL);
  }
};
