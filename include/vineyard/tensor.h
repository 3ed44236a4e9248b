// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Tensor<T>: an array of numbers in the store; what Python puts and gets as a numpy.ndarray.
//
// A tensor's elements lie where the writer put them: getting one copies nothing, and the tensor keeps
// them mapped for as long as it or a copy of it lives. What is got is immutable, and may be used from
// any thread. AnyTensor is a tensor of whatever elements.
#pragma once

#include <bit>
#include <complex>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "vineyard/blob.h"
#include "vineyard/client.h"
#include "vineyard/object.h"
#include "vineyard/status.h"
#include "vineyard/typed.h"

namespace vineyard {

static_assert(std::endian::native == std::endian::little, "the dtypes below say little-endian");

/// A number of 16 bits (IEEE 754 binary16, numpy's float16), to be stored and converted.
struct Float16 {
  uint16_t bits = 0;
  /// Rounded to the nearest, ties to even.
  static Float16 From(float value);
  [[nodiscard]] float ToFloat() const;
  /// Of the bits.
  bool operator==(const Float16&) const = default;
};

template <typename T>
concept ComplexElement =
    std::same_as<T, std::complex<float>> || std::same_as<T, std::complex<double>> ||
    std::same_as<T, std::complex<long double>>;

/// bool, integers of 8 to 64 bits, Float16, float, double, long double, and their complex numbers.
template <typename T>
concept TensorElement =
    std::same_as<T, bool> || std::same_as<T, Float16> || std::floating_point<T> ||
    ComplexElement<T> ||
    (std::integral<T> && sizeof(T) <= 8 && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
     !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>);

namespace internal {

/// What is to be known of a type of elements to store them.
struct ElementType {
  char kind;                                // numpy's: b, i, u, f, c
  uint32_t size;                            // bytes
  int mantissa = 0;                         // of long doubles: bits of the fraction
  [[nodiscard]] std::string dtype() const;  // "<f8"
};

template <TensorElement T>
constexpr ElementType ElementTypeOf() {
  if constexpr (std::same_as<T, bool>) {
    return {'b', 1};
  } else if constexpr (std::same_as<T, Float16>) {
    return {'f', 2};
  } else if constexpr (ComplexElement<T>) {
    using Part = typename T::value_type;
    constexpr bool wide = sizeof(Part) > sizeof(double);
    return {'c', sizeof(T), wide ? std::numeric_limits<Part>::digits - 1 : 0};
  } else if constexpr (std::floating_point<T>) {
    constexpr bool wide = sizeof(T) > sizeof(double);
    return {'f', sizeof(T), wide ? std::numeric_limits<T>::digits - 1 : 0};
  } else {
    return {std::is_signed_v<T> ? 'i' : 'u', sizeof(T)};
  }
}

/// `strides` in bytes; empty: row-major.
struct TensorBytes {
  ElementType type;
  const std::byte* data;
  std::span<const int64_t> shape;
  std::vector<int64_t> strides;
};
Result<ObjectId> PutTensor(Client& client, const TensorBytes& tensor, const PutOptions& options);
Result<ObjectId> PutTensor(Client& client, const ElementType& type, std::span<const int64_t> shape,
                           MutableBlob&& elements, const PutOptions& options);
/// How many elements of `size` bytes; kInvalid when the shape makes no sense.
Result<int64_t> CountElements(std::span<const int64_t> shape, uint32_t size);

}  // namespace internal

template <TensorElement T>
class Tensor;

/// A tensor whose elements are of a type that is known only when it is got.
class AnyTensor {
 public:
  /// kTypeMismatch when the object is none, kCorrupted when it contradicts itself, kNotSupported when
  /// a newer release stored it, or its elements are no plain items (objects, structures).
  static Result<AnyTensor> Get(Client& client, ObjectId id, const ReadOptions& options = {});
  static Result<AnyTensor> Get(Client& client, std::string_view name,
                               const ReadOptions& options = {});
  static Result<AnyTensor> FromObject(const Object& object, Check check = Check::kContents);

  /// The elements' type as numpy writes it: "<f8", "|b1", ">i4", "<M8[ns]", "<U5".
  [[nodiscard]] const std::string& dtype() const { return dtype_; }
  /// Of an element, in bytes.
  [[nodiscard]] uint32_t item_size() const { return item_size_; }
  [[nodiscard]] std::span<const int64_t> shape() const { return shape_; }
  /// From one element to the next along each axis, in bytes; 0 along an axis that repeats one, negative
  /// along one that runs backwards.
  [[nodiscard]] std::span<const int64_t> strides() const { return strides_; }
  /// How many elements.
  [[nodiscard]] int64_t size() const { return size_; }
  /// The element at 0, 0, …; not aligned for its type where the writer's was not.
  [[nodiscard]] const std::byte* data() const { return data_; }
  /// Where the elements lie: one after another, in the order of memory.
  [[nodiscard]] const Blob& blob() const { return blob_; }

  /// The same elements, copied only where they are not aligned for T. kTypeMismatch when they are of
  /// another type than T, or big-endian.
  template <TensorElement T>
  [[nodiscard]] Result<Tensor<T>> As() const;

 private:
  friend class TensorReader;
  [[nodiscard]] Status RequireType(const internal::ElementType& type) const;
  /// A copy whose elements are aligned for anything.
  [[nodiscard]] AnyTensor Aligned() const;

  std::string dtype_;
  uint32_t item_size_ = 0;
  int mantissa_ = 0;
  std::vector<int64_t> shape_;
  std::vector<int64_t> strides_;
  int64_t size_ = 0;
  const std::byte* data_ = nullptr;
  Blob blob_;
};

template <TensorElement T>
class MutableTensor;

template <TensorElement T>
class Tensor {
 public:
  /// As AnyTensor::Get, and kTypeMismatch when the elements are no T.
  static Result<Tensor> Get(Client& client, ObjectId id, const ReadOptions& options = {}) {
    return Typed(AnyTensor::Get(client, id, options));
  }
  static Result<Tensor> Get(Client& client, std::string_view name,
                            const ReadOptions& options = {}) {
    return Typed(AnyTensor::Get(client, name, options));
  }

  /// Stores `data`, in row-major order, as a tensor of that shape; `{}` is one number. kInvalid when
  /// the shape takes more or fewer elements.
  static Result<ObjectId> Put(Client& client, const std::vector<int64_t>& shape,
                              std::span<const T> data, const PutOptions& options = {}) {
    VY_ASSIGN_OR_RETURN(const int64_t size, internal::CountElements(shape, sizeof(T)));
    if (static_cast<uint64_t>(size) != data.size()) {
      return Status::Invalid("the shape takes " + std::to_string(size) +
                             " elements, and there are " + std::to_string(data.size()));
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(data.data());
    return internal::PutTensor(client, {kType, bytes, shape, {}}, options);
  }
  /// Stores elements that lie anyhow: `data` is that at 0, 0, …, and `strides`, one for each axis, lead
  /// from it to the others, counted in elements. Every order of axes without gaps, also backwards, is
  /// stored as it lies, and along an axis of stride 0 the elements are stored once.
  static Result<ObjectId> Put(Client& client, const std::vector<int64_t>& shape, const T* data,
                              const std::vector<int64_t>& strides, const PutOptions& options = {}) {
    internal::TensorBytes tensor{kType, reinterpret_cast<const std::byte*>(data), shape, {}};
    for (const int64_t stride : strides) {
      constexpr int64_t limit = std::numeric_limits<int64_t>::max() / int64_t{sizeof(T)};
      if (stride > limit || stride < -limit) return Status::Invalid("a stride is out of range");
      tensor.strides.push_back(stride * int64_t{sizeof(T)});
    }
    if (shape.size() != strides.size()) return Status::Invalid("one stride for each axis, please");
    return internal::PutTensor(client, tensor, options);
  }
  /// Memory of the store for a row-major tensor, all zero, to be filled in place and then put without
  /// a copy. As Client::CreateBlob.
  static Result<MutableTensor<T>> Create(Client& client, std::vector<int64_t> shape,
                                         const CallOptions& options = {});

  [[nodiscard]] std::span<const int64_t> shape() const { return any_.shape(); }
  /// From one element to the next along each axis, counted in elements.
  [[nodiscard]] std::span<const int64_t> strides() const { return strides_; }
  [[nodiscard]] size_t ndim() const { return shape().size(); }
  [[nodiscard]] int64_t size() const { return any_.size(); }
  /// The element at 0, 0, …
  [[nodiscard]] const T* data() const { return reinterpret_cast<const T*>(any_.data()); }
  /// Whether the elements lie one after another in row-major order.
  [[nodiscard]] bool is_contiguous() const {
    int64_t step = 1;
    for (size_t i = ndim(); i-- > 0;) {
      if (shape()[i] > 1 && strides_[i] != step) return size() == 0;
      step *= shape()[i];
    }
    return true;
  }
  /// All elements. REQUIRES: is_contiguous().
  [[nodiscard]] std::span<const T> values() const {
    VY_CHECK(is_contiguous());
    return {data(), static_cast<size_t>(size())};
  }
  /// One element. REQUIRES: an index for each axis, each inside of the shape.
  template <std::integral... I>
  [[nodiscard]] const T& operator()(I... index) const {
    VY_DCHECK(sizeof...(I) == ndim());
    int64_t at = 0;
    size_t axis = 0;
    ((at += static_cast<int64_t>(index) * strides_[axis++]), ...);
    return data()[at];
  }
  /// Where the elements lie.
  [[nodiscard]] const Blob& blob() const { return any_.blob(); }

 private:
  friend class AnyTensor;
  static constexpr internal::ElementType kType = internal::ElementTypeOf<T>();
  static Result<Tensor> Typed(Result<AnyTensor> any) {
    if (!any.ok()) return std::move(any).status();
    return any->template As<T>();
  }
  explicit Tensor(AnyTensor any) : any_(std::move(any)) {
    for (const int64_t stride : any_.strides()) strides_.push_back(stride / int64_t{sizeof(T)});
  }

  AnyTensor any_;
  std::vector<int64_t> strides_;
};

/// A row-major tensor whose elements lie in the store already and are still written.
template <TensorElement T>
class MutableTensor {
 public:
  [[nodiscard]] std::span<const int64_t> shape() const { return shape_; }
  [[nodiscard]] std::span<T> values() const {
    return {reinterpret_cast<T*>(blob_.data()), blob_.size() / sizeof(T)};
  }
  /// Makes it immutable, and stores it; the elements are not copied. On failure they are given back.
  Result<ObjectId> Put(Client& client, const PutOptions& options = {}) && {
    return internal::PutTensor(client, internal::ElementTypeOf<T>(), shape_, std::move(blob_),
                               options);
  }

 private:
  friend class Tensor<T>;
  MutableTensor(std::vector<int64_t> shape, MutableBlob blob)
      : shape_(std::move(shape)), blob_(std::move(blob)) {}
  std::vector<int64_t> shape_;
  MutableBlob blob_;
};

template <TensorElement T>
Result<MutableTensor<T>> Tensor<T>::Create(Client& client, std::vector<int64_t> shape,
                                           const CallOptions& options) {
  VY_ASSIGN_OR_RETURN(const int64_t size, internal::CountElements(shape, sizeof(T)));
  VY_ASSIGN_OR_RETURN(MutableBlob blob,
                      client.CreateBlob(static_cast<uint64_t>(size) * sizeof(T), options));
  return MutableTensor<T>(std::move(shape), std::move(blob));
}

template <TensorElement T>
Result<Tensor<T>> AnyTensor::As() const {
  VY_RETURN_IF_ERROR(RequireType(internal::ElementTypeOf<T>()));
  const bool aligned = reinterpret_cast<uintptr_t>(data_) % alignof(T) == 0;
  return Tensor<T>(aligned ? *this : Aligned());
}

}  // namespace vineyard
