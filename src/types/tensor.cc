// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "vineyard/tensor.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "types/tensor_reader.h"
#include "types/typed.h"

namespace vineyard {

using types::NewJson;

// ---- Float16

Float16 Float16::From(float value) {
  const auto bits32 = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits32 >> 16) & 0x8000U);
  const uint32_t magnitude = bits32 & 0x7FFFFFFFU;
  const auto made = [sign](uint32_t bits) { return Float16{static_cast<uint16_t>(sign | bits)}; };
  if (magnitude > 0x7F800000U) return made(0x7E00U | ((magnitude >> 13) & 0x3FFU));  // NaN
  if (magnitude >= 0x477FF000U) return made(0x7C00U);  // rounds to more than 65504: infinite
  if (magnitude < 0x33000000U) return made(0);         // less than half of the smallest
  // The fraction with its leading one, to be shifted so that 10 bits (fewer of a subnormal) are left.
  const uint32_t exponent = magnitude >> 23;
  const bool subnormal = exponent < 113;
  const uint32_t fraction = (magnitude & 0x7FFFFFU) | 0x800000U;
  const uint32_t shift = subnormal ? 126 - exponent : 13;
  uint32_t result = fraction >> shift;
  const uint32_t rest = fraction & ((1U << shift) - 1);
  const uint32_t half = 1U << (shift - 1);
  if (rest > half || (rest == half && (result & 1U) != 0)) ++result;
  // The leading one adds one to the exponent, as does a carry out of the rounding.
  return made(subnormal ? result : result + ((exponent - 113) << 10));
}

float Float16::ToFloat() const {
  const uint32_t sign = (bits & 0x8000U) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1FU;
  const uint32_t fraction = bits & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | (fraction << 13));
  if (exponent == 0) {
    const float value = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

// ---- AnyTensor

Result<AnyTensor> AnyTensor::Get(Client& client, ObjectId id, const ReadOptions& options) {
  return types::GetTyped<AnyTensor>(client, id, options);
}
Result<AnyTensor> AnyTensor::Get(Client& client, std::string_view name,
                                 const ReadOptions& options) {
  return types::GetTyped<AnyTensor>(client, name, options);
}

Result<AnyTensor> AnyTensor::FromObject(const Object& object, Check check) {
  VY_ASSIGN_OR_RETURN(const types::Tree tree, types::Tree::Of(object));
  const std::string codec = tree.codec();
  if (codec.starts_with("tensor.") && !TensorReader::Knows(codec)) {
    return Status::NotSupported(fmt::format(
        "{} has elements that are no numbers: only Python reads it", tree.Description()));
  }
  if (!TensorReader::Knows(codec)) return types::NoSuchType(tree, "Tensor");
  return TensorReader::Read(tree, tree.root(), check);
}

namespace internal {

std::string ElementType::dtype() const {
  return fmt::format("{}{}{}", size == 1 ? '|' : '<', kind, size);
}

}  // namespace internal

Status AnyTensor::RequireType(const internal::ElementType& type) const {
  const std::string wanted = type.dtype();
  if (dtype_ != wanted) {
    const bool is_swapped = dtype_[0] == '>' && dtype_.substr(1) == wanted.substr(1);
    return Status::TypeMismatch(fmt::format(
        "a tensor of dtype '{}' asked for as one of '{}'{}", types::Short(dtype_), wanted,
        is_swapped ? ": it is big-endian; its writer must store the native byte order" : ""));
  }
  if (mantissa_ != type.mantissa) {
    return Status::TypeMismatch(fmt::format(
        "long doubles with {} bits of fraction; here they have {}", mantissa_, type.mantissa));
  }
  return {};
}

AnyTensor AnyTensor::Aligned() const {
  AnyTensor copy = *this;
  const auto bytes =
      std::make_shared<std::vector<std::byte>>(blob_.bytes().begin(), blob_.bytes().end());
  copy.data_ = bytes->data() + (data_ - blob_.data());
  copy.blob_ = Blob(blob_.id(), blob_.offset(), *bytes, bytes, nullptr);
  return copy;
}

// ---- put

namespace internal {

namespace {

std::string NameOf(const ElementType& type) {
  const auto bits = type.size * 8;
  switch (type.kind) {
    case 'b': return "bool";
    case 'i': return fmt::format("int{}", bits);
    case 'u': return fmt::format("uint{}", bits);
    case 'f': return fmt::format("float{}", bits);
    default: return fmt::format("complex{}", bits);
  }
}

std::string TypeNameOf(const ElementType& type) {
  std::string name = NameOf(type);
  if (name == "float32") name = "float";
  if (name == "float64") name = "double";
  if (name == "int32") name = "int";
  return fmt::format("vineyard::Tensor<{}>", name);
}

Result<ObjectId> PutElements(Client& client, const ElementType& type,
                             std::span<const int64_t> shape, const NewJson& order,
                             const types::Buffer& elements, const PutOptions& options) {
  types::TreeWriter writer;
  NewJson node = {{"codec", type.mantissa != 0 ? "tensor.typed" : "tensor"},
                  {"value_type_", NameOf(type)},
                  {"value_type_meta_", type.dtype()}};
  if (type.mantissa != 0) {
    node["dtype_"] = {{"codec", "dtype"},
                      {"kind_", "plain"},
                      {"str_", type.dtype()},
                      {"mantissa_", type.mantissa}};
  }
  node.update(order);
  node["partition_index_"] = NewJson::array();
  node["buffer"] = writer.AddAlways(elements);
  node["shape_"] = shape;
  return writer.Put(client, TypeNameOf(type), node, options);
}

// How the elements lie, and how to walk them in the order in which they are stored.
struct MemoryOrder {
  NewJson keys;
  const std::byte* first;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
};

bool LiesInOrder(const TensorBytes& tensor, bool row_major) {
  int64_t step = tensor.type.size;
  const size_t ndim = tensor.shape.size();
  for (size_t i = 0; i < ndim; ++i) {
    const size_t axis = row_major ? ndim - 1 - i : i;
    if (tensor.shape[axis] > 1 && tensor.strides[axis] != step) return false;
    step *= tensor.shape[axis];
  }
  return true;
}

MemoryOrder FindOrder(const TensorBytes& tensor) {
  MemoryOrder found{.keys = {{"order_", "C"}}, .first = tensor.data, .shape = {}, .strides = {}};
  const size_t ndim = tensor.shape.size();
  std::vector<size_t> axes(ndim);
  std::iota(axes.begin(), axes.end(), size_t{0});
  if (LiesInOrder(tensor, true)) {
    // as it is
  } else if (LiesInOrder(tensor, false)) {
    found.keys = {{"order_", "F"}};
    std::ranges::reverse(axes);
  } else {
    std::vector<size_t> repeated;
    std::vector<size_t> flipped;
    for (size_t i = 0; i < ndim; ++i) {
      if (tensor.shape[i] < 2 || tensor.strides[i] > 0) continue;
      if (tensor.strides[i] == 0) {
        repeated.push_back(i);
      } else {
        flipped.push_back(i);
        found.first += (tensor.shape[i] - 1) * tensor.strides[i];
      }
    }
    std::ranges::sort(axes, [&](size_t a, size_t b) {
      const int64_t steps[] = {std::abs(tensor.strides[a]), std::abs(tensor.strides[b])};
      return steps[0] != steps[1] ? steps[0] > steps[1] : a < b;
    });
    found.keys = {{"order_", "K"}, {"axes_", axes}, {"repeated_", repeated}, {"flipped_", flipped}};
  }
  for (const size_t axis : axes) {
    found.shape.push_back(tensor.strides[axis] == 0 ? 1 : tensor.shape[axis]);
    found.strides.push_back(std::abs(tensor.strides[axis]));
  }
  return found;
}

// The elements of the axes from `axis` on, one after the other.
void Gather(const MemoryOrder& order, size_t axis, const std::byte* from, size_t size,
            std::vector<std::byte>* out) {
  if (axis == order.shape.size()) {
    out->insert(out->end(), from, from + size);
    return;
  }
  for (int64_t i = 0; i < order.shape[axis]; ++i) {
    Gather(order, axis + 1, from + i * order.strides[axis], size, out);
  }
}

constexpr size_t kMaxDims = 64;  // as many as numpy has

}  // namespace

Result<int64_t> CountElements(std::span<const int64_t> shape, uint32_t size) {
  if (shape.size() > kMaxDims) {
    return Status::Invalid(fmt::format("a tensor of {} axes; {} are held", shape.size(), kMaxDims));
  }
  int64_t bytes = size;
  bool is_empty = false;
  for (const int64_t dim : shape) {
    if (dim < 0) return Status::Invalid(fmt::format("a shape with {} in it", dim));
    is_empty = is_empty || dim == 0;
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(dim, 1), &bytes)) {
      return Status::Invalid("a shape of more bytes than there are");
    }
  }
  return is_empty ? 0 : bytes / size;
}

Result<ObjectId> PutTensor(Client& client, const TensorBytes& given, const PutOptions& options) {
  TensorBytes tensor = given;
  VY_ASSIGN_OR_RETURN(const int64_t count, CountElements(tensor.shape, tensor.type.size));
  const int64_t size = tensor.type.size;
  if (tensor.strides.empty() || count == 0) {
    const std::span bytes(tensor.data, static_cast<size_t>(count * size));
    return PutElements(client, tensor.type, tensor.shape, {{"order_", "C"}}, {bytes, nullptr},
                       options);
  }
  for (size_t i = 0; i < tensor.strides.size(); ++i) {
    if (tensor.shape[i] == 1) tensor.strides[i] = 0;  // it leads nowhere
  }
  const MemoryOrder order = FindOrder(tensor);
  int64_t stored = size;
  bool gaps = false;
  for (size_t i = order.shape.size(); i-- > 0;) {
    gaps = gaps || (order.shape[i] > 1 && order.strides[i] != stored);
    stored *= order.shape[i];
  }
  if (!gaps) {
    const std::span bytes(order.first, static_cast<size_t>(stored));
    return PutElements(client, tensor.type, tensor.shape, order.keys, {bytes, nullptr}, options);
  }
  std::vector<std::byte> gathered;
  gathered.reserve(static_cast<size_t>(stored));
  Gather(order, 0, order.first, static_cast<size_t>(size), &gathered);
  return PutElements(client, tensor.type, tensor.shape, order.keys,
                     types::Buffer::Of(std::move(gathered)), options);
}

Result<ObjectId> PutTensor(Client& client, const ElementType& type, std::span<const int64_t> shape,
                           MutableBlob&& elements, const PutOptions& options) {
  VY_ASSIGN_OR_RETURN(const Blob blob,
                      client.Seal(std::move(elements), {.timeout = options.timeout}));
  types::Buffer buffer(blob);
  buffer.referred = true;
  Result<ObjectId> id = PutElements(client, type, shape, {{"order_", "C"}}, buffer, options);
  // The first failure is the one to tell; what can't be deleted now goes with the instance.
  if (!id.ok()) client.Delete({blob.id()}, {.timeout = options.timeout}).status().IgnoreError();
  return id;
}

}  // namespace internal

}  // namespace vineyard
