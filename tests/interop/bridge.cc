// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The typed values of the C++ client behind C functions, for Python tests (test_arrow.py and others):
// they load this library by ctypes, and compare what crosses it with what Python itself puts and gets.
//
// Every function gives null, or the text of the failure, which stays until the next call.
#include <cstring>
#include <string>
#include <vector>

#include "vineyard/vineyard.h"

#define BRIDGE extern "C" __attribute__((visibility("default"))) const char*

namespace {

using namespace vineyard;

std::string last_error;

const char* Said(const Status& status) {
  if (status.ok()) return nullptr;
  last_error = status.ToString();
  return last_error.c_str();
}

template <typename T>
const char* Put(Client* client, const Result<T>& value, uint64_t* id) {
  if (!value.ok()) return Said(value.status());
  const Result<ObjectId> put = value->Put(*client);
  if (put.ok()) *id = put->value();
  return Said(put.status());
}

ReadOptions Reading(bool trusted) { return {.check = trusted ? Check::kSizes : Check::kContents}; }

// Calls `use` with a value of the type of elements that a dtype names.
template <typename Use>
const char* WithElement(std::string_view dtype, const Use& use) {
  if (dtype == "|b1") return use(bool{});
  if (dtype == "|i1") return use(int8_t{});
  if (dtype == "|u1") return use(uint8_t{});
  if (dtype == "<i2") return use(int16_t{});
  if (dtype == "<u2") return use(uint16_t{});
  if (dtype == "<i4") return use(int32_t{});
  if (dtype == "<u4") return use(uint32_t{});
  if (dtype == "<i8") return use(int64_t{});
  if (dtype == "<u8") return use(uint64_t{});
  if (dtype == "<f2") return use(Float16{});
  if (dtype == "<f4") return use(0.0F);
  if (dtype == "<f8") return use(0.0);
  if (dtype == "<c8") return use(std::complex<float>{});
  if (dtype == "<c16") return use(std::complex<double>{});
  if (dtype == internal::ElementTypeOf<long double>().dtype()) return use(0.0L);
  if (dtype == internal::ElementTypeOf<std::complex<long double>>().dtype()) {
    return use(std::complex<long double>{});
  }
  return Said(Status::TypeMismatch("the bridge has no elements of that dtype"));
}

}  // namespace

BRIDGE bridge_connect(const char* socket, Client** client) {
  Result<Client> connected = Client::Connect(socket);
  if (connected.ok()) *client = new Client(std::move(*connected));
  return Said(connected.status());
}

BRIDGE bridge_disconnect(Client* client) {
  delete client;
  return nullptr;
}

// ---- Arrow

BRIDGE bridge_put_array(Client* client, ArrowArray* array, ArrowSchema* schema, uint64_t* id) {
  return Put(client, Array::Import(array, schema), id);
}

BRIDGE bridge_get_array(Client* client, uint64_t id, bool trusted, ArrowArray* array,
                        ArrowSchema* schema) {
  const Result<Array> got = Array::Get(*client, ObjectId(id), Reading(trusted));
  return Said(got.ok() ? got->Export(array, schema) : got.status());
}

BRIDGE bridge_put_chunked(Client* client, ArrowArrayStream* stream, uint64_t* id) {
  return Put(client, ChunkedArray::Import(stream), id);
}

BRIDGE bridge_get_chunked(Client* client, uint64_t id, bool trusted, ArrowArrayStream* stream) {
  const Result<ChunkedArray> got = ChunkedArray::Get(*client, ObjectId(id), Reading(trusted));
  return Said(got.ok() ? got->Export(stream) : got.status());
}

BRIDGE bridge_put_table(Client* client, ArrowArrayStream* stream, uint64_t* id) {
  return Put(client, Table::Import(stream), id);
}

BRIDGE bridge_put_batch(Client* client, ArrowArray* array, ArrowSchema* schema, uint64_t* id) {
  return Put(client, Table::Import(array, schema), id);
}

BRIDGE bridge_get_table(Client* client, uint64_t id, bool trusted, ArrowArrayStream* stream) {
  const Result<Table> got = Table::Get(*client, ObjectId(id), Reading(trusted));
  return Said(got.ok() ? got->Export(stream) : got.status());
}

BRIDGE bridge_put_schema(Client* client, ArrowSchema* schema, uint64_t* id) {
  return Put(client, Schema::Import(schema), id);
}

BRIDGE bridge_get_schema(Client* client, uint64_t id, ArrowSchema* schema) {
  const Result<Schema> got = Schema::Get(*client, ObjectId(id));
  return Said(got.ok() ? got->Export(schema) : got.status());
}

// Got and put again as they are: what lies in the store is referred to.
BRIDGE bridge_put_again(Client* client, const char* kind, uint64_t id, uint64_t* again) {
  const std::string_view what(kind);
  if (what == "array") return Put(client, Array::Get(*client, ObjectId(id)), again);
  if (what == "chunked") return Put(client, ChunkedArray::Get(*client, ObjectId(id)), again);
  if (what == "schema") return Put(client, Schema::Get(*client, ObjectId(id)), again);
  return Put(client, Table::Get(*client, ObjectId(id)), again);
}

// ---- tensors; strides in elements, null for row-major order

BRIDGE bridge_put_tensor(Client* client, const char* dtype, const void* data, const int64_t* shape,
                         const int64_t* strides, size_t ndim, uint64_t* id) {
  return WithElement(dtype, [&]<typename T>(T) {
    const std::vector<int64_t> dims(shape, shape + ndim);
    const T* elements = static_cast<const T*>(data);
    Result<ObjectId> put = Status::Invalid("nothing was put");
    if (strides != nullptr) {
      put = Tensor<T>::Put(*client, dims, elements, std::vector<int64_t>(strides, strides + ndim));
    } else {
      const auto count = internal::CountElements(dims, sizeof(T)).value();
      put = Tensor<T>::Put(*client, dims, std::span(elements, static_cast<size_t>(count)));
    }
    if (put.ok()) *id = put->value();
    return Said(put.status());
  });
}

// In place, without a copy.
BRIDGE bridge_create_tensor(Client* client, const char* dtype, const void* data,
                            const int64_t* shape, size_t ndim, uint64_t* id) {
  return WithElement(dtype, [&]<typename T>(T) {
    Result<MutableTensor<T>> made = Tensor<T>::Create(*client, {shape, shape + ndim});
    if (!made.ok()) return Said(made.status());
    const std::span<T> values = made->values();
    if (!values.empty()) std::memcpy(values.data(), data, values.size_bytes());
    const Result<ObjectId> put = std::move(*made).Put(*client);
    if (put.ok()) *id = put->value();
    return Said(put.status());
  });
}

// Copies the elements, one after another in row-major order, to `out`; fills in the shape and the
// strides, of which there may be `ndim`.
BRIDGE bridge_get_tensor(Client* client, const char* dtype, uint64_t id, int64_t* shape,
                         int64_t* strides, size_t* ndim, void* out, size_t out_size) {
  return WithElement(dtype, [&]<typename T>(T) {
    const Result<Tensor<T>> got = Tensor<T>::Get(*client, ObjectId(id));
    if (!got.ok()) return Said(got.status());
    if (got->ndim() > *ndim || static_cast<size_t>(got->size()) * sizeof(T) != out_size) {
      return Said(Status::Invalid("the tensor is of another size"));
    }
    *ndim = got->ndim();
    std::vector<int64_t> at(got->ndim());
    for (size_t i = 0; i < at.size(); ++i) {
      shape[i] = got->shape()[i];
      strides[i] = got->strides()[i];
    }
    T* to = static_cast<T*>(out);
    for (int64_t n = 0; n < got->size(); ++n) {
      int64_t offset = 0;
      for (size_t i = 0; i < at.size(); ++i) offset += at[i] * strides[i];
      std::memcpy(to++, got->data() + offset, sizeof(T));
      for (size_t i = at.size(); i-- > 0;) {
        if (++at[i] < shape[i]) break;
        at[i] = 0;
      }
    }
    return Said(Status::OK());
  });
}

BRIDGE bridge_tensor_dtype(Client* client, uint64_t id, char* dtype, size_t size) {
  const Result<AnyTensor> got = AnyTensor::Get(*client, ObjectId(id));
  if (got.ok()) std::strncpy(dtype, got->dtype().c_str(), size);
  return Said(got.status());
}
