// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Array and ChunkedArray: columns of values of one Arrow type; what Python puts and gets as the classes
// of pyarrow of these names.
//
// They come from, and go to, any library that speaks the Arrow C data interface; of none is anything
// needed here. Both are immutable and cheap to copy, and may be used from any thread. What they are made
// of stays alive as long as they, or what they exported, do: mapped pages of the store, or the memory of
// whoever they were imported from.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vineyard/arrow_abi.h"
#include "vineyard/client.h"
#include "vineyard/object.h"
#include "vineyard/status.h"
#include "vineyard/typed.h"

namespace vineyard {

namespace types {
struct Type;
struct ArrayData;
}  // namespace types

/// Numbers that C++ and Arrow have in common. (Arrow's booleans are bits, and its float16 is Float16 of
/// vineyard/tensor.h.)
template <typename T>
concept ArrowNumber =
    std::same_as<T, int8_t> || std::same_as<T, uint8_t> || std::same_as<T, int16_t> ||
    std::same_as<T, uint16_t> || std::same_as<T, int32_t> || std::same_as<T, uint32_t> ||
    std::same_as<T, int64_t> || std::same_as<T, uint64_t> || std::same_as<T, float> ||
    std::same_as<T, double>;

namespace internal {
template <ArrowNumber T>
constexpr std::string_view ArrowFormatOf() {
  if constexpr (std::same_as<T, float>) return "f";
  if constexpr (std::same_as<T, double>) return "g";
  if constexpr (sizeof(T) == 1) return std::signed_integral<T> ? "c" : "C";
  if constexpr (sizeof(T) == 2) return std::signed_integral<T> ? "s" : "S";
  if constexpr (sizeof(T) == 4) return std::signed_integral<T> ? "i" : "I";
  return std::signed_integral<T> ? "l" : "L";
}
}  // namespace internal

class Array {
 public:
  /// Takes over what `*array` and `*schema` hold: both are released also on failure. Buffers are
  /// referred to, not copied; of a slice, only its own part is. kInvalid when they make no sense.
  static Result<Array> Import(ArrowArray* array, ArrowSchema* schema);
  /// An array of the store. kTypeMismatch when the object is none (the message says what it is),
  /// kCorrupted when it contradicts itself, kNotSupported when a newer release stored it.
  static Result<Array> Get(Client& client, ObjectId id, const ReadOptions& options = {});
  static Result<Array> Get(Client& client, std::string_view name, const ReadOptions& options = {});
  static Result<Array> FromObject(const Object& object, Check check = Check::kContents);
  /// Numbers, none of them null.
  template <ArrowNumber T>
  static Array Of(std::vector<T> values) {
    const auto kept = std::make_shared<const std::vector<T>>(std::move(values));
    return OfNumbers(internal::ArrowFormatOf<T>(), std::as_bytes(std::span(*kept)),
                     static_cast<int64_t>(kept->size()), kept);
  }
  /// Texts, nullopt for a null. kInvalid when one is no UTF-8.
  static Result<Array> Of(std::span<const std::optional<std::string>> texts);
  static Result<Array> Of(std::span<const std::string> texts);

  /// Stores it. Bytes that lie in the store already, and most of their blob, are referred to.
  [[nodiscard]] Result<ObjectId> Put(Client& client, const PutOptions& options = {}) const;
  /// Fills both in; their release callbacks give back what they hold. Nothing is copied. kNotSupported
  /// when a name in the type has a NUL, at which C strings end.
  [[nodiscard]] Status Export(ArrowArray* array, ArrowSchema* schema) const;

  [[nodiscard]] int64_t length() const;
  [[nodiscard]] int64_t null_count() const;
  /// The type in the words of the C data interface: "g", "u", "+l"; of a dictionary, that of its indices.
  [[nodiscard]] const std::string& format() const;

  /// Numbers where they lie; what stands in the place of a null is any number. kTypeMismatch when the
  /// type is not the one of T.
  template <ArrowNumber T>
  [[nodiscard]] Result<std::span<const T>> Values() const {
    VY_ASSIGN_OR_RETURN(const std::byte* data, Numbers(internal::ArrowFormatOf<T>()));
    return std::span(reinterpret_cast<const T*>(data), static_cast<size_t>(length()));
  }
  /// REQUIRES: 0 <= index < length().
  [[nodiscard]] bool IsNull(int64_t index) const;
  /// A text or bytes where they lie; nullopt for a null. kTypeMismatch when the type is none of string,
  /// binary, their large kinds and their views. REQUIRES: 0 <= index < length().
  [[nodiscard]] Result<std::optional<std::string_view>> Text(int64_t index) const;

  /// Used by the library.
  Array(std::shared_ptr<const types::Type> type, std::shared_ptr<const types::ArrayData> data)
      : type_(std::move(type)), data_(std::move(data)) {}
  [[nodiscard]] const std::shared_ptr<const types::Type>& type() const { return type_; }
  [[nodiscard]] const std::shared_ptr<const types::ArrayData>& data() const { return data_; }

 private:
  static Array OfNumbers(std::string_view format, std::span<const std::byte> bytes, int64_t length,
                         std::shared_ptr<const void> keep_alive);
  [[nodiscard]] Result<const std::byte*> Numbers(std::string_view format) const;

  std::shared_ptr<const types::Type> type_;  // shared by the chunks of a column
  std::shared_ptr<const types::ArrayData> data_;
};

/// Arrays of one type, one after another.
class ChunkedArray {
 public:
  /// All that a stream gives, which is read to its end and released, also on failure.
  static Result<ChunkedArray> Import(ArrowArrayStream* stream);
  /// As of Array.
  static Result<ChunkedArray> Get(Client& client, ObjectId id, const ReadOptions& options = {});
  static Result<ChunkedArray> Get(Client& client, std::string_view name,
                                  const ReadOptions& options = {});
  static Result<ChunkedArray> FromObject(const Object& object, Check check = Check::kContents);

  [[nodiscard]] Result<ObjectId> Put(Client& client, const PutOptions& options = {}) const;
  /// A stream of the chunks.
  [[nodiscard]] Status Export(ArrowArrayStream* stream) const;

  /// Of all chunks.
  [[nodiscard]] int64_t length() const;
  [[nodiscard]] const std::string& format() const;
  [[nodiscard]] const std::vector<Array>& chunks() const { return chunks_; }

  /// One chunk.
  ChunkedArray(Array array);  // NOLINT: implicit, as an array is a chunked array of one chunk
  /// Used by the library.
  ChunkedArray(std::shared_ptr<const types::Type> type, std::vector<Array> chunks)
      : type_(std::move(type)), chunks_(std::move(chunks)) {}
  [[nodiscard]] const std::shared_ptr<const types::Type>& type() const { return type_; }

 private:
  std::shared_ptr<const types::Type> type_;
  std::vector<Array> chunks_;
};

}  // namespace vineyard
