// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What the files of this folder share: each binds one class, and none decides anything.
//
// The GIL is released around every call that may wait, or takes a lock of the client's: a call that
// waits, with such a lock, asks now and then for the GIL to look for signals. Python objects are
// touched only while it is held; what a call needs of them (buffers) is acquired before and released
// after.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <nanobind/nanobind.h>

#include "vineyard/vineyard.h"

namespace vineyard::python {

namespace nb = nanobind;

void BindObjectId(nb::module_& m);
void BindBlob(nb::module_& m);
void BindBlobBuilder(nb::module_& m);
void BindInfos(nb::module_& m);
void BindClient(nb::module_& m);

/// Throws the Python exception that stands for the status.
[[noreturn]] void Raise(const Status& status);

inline void Check(const Status& status) {
  if (!status.ok()) [[unlikely]]
    Raise(status);
}

template <typename T>
T Unwrap(Result<T>&& result) {
  if (!result.ok()) [[unlikely]]
    Raise(std::move(result).status());
  return std::move(result).value();
}

/// Seconds, None for the connection's default. Raises for what is no time.
std::optional<Timeout> ToTimeout(std::optional<double> seconds);

/// Runs `call()` without the GIL.
template <typename Call>
auto Unlocked(Call&& call) {
  nb::gil_scoped_release released;
  return call();
}

/// Text of the store as str; what is no UTF-8 is replaced, never an error.
nb::object ToStr(std::string_view text);

/// The bytes of a buffer-protocol object, for as long as this lives. The GIL must be held at its
/// beginning and its end.
class BufferView {
 public:
  explicit BufferView(nb::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw nb::python_error();
  }
  BufferView(BufferView&& other) noexcept : view_(std::exchange(other.view_, Py_buffer{})) {}
  BufferView& operator=(BufferView&&) = delete;
  BufferView(const BufferView&) = delete;
  BufferView& operator=(const BufferView&) = delete;
  ~BufferView() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }

  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(view_.buf), static_cast<size_t>(view_.len)};
  }

 private:
  Py_buffer view_{};
};

/// A blob while it is written. `memory` outlives the seal: views that were handed out stay valid.
class BlobBuilder {
 public:
  explicit BlobBuilder(MutableBlob blob)
      : id(blob.id()), bytes(blob.bytes()), memory(blob.keep_alive()), blob_(std::move(blob)) {}
  BlobBuilder(BlobBuilder&&) = default;
  ~BlobBuilder() {
    if (!blob_.valid()) return;
    nb::gil_scoped_release released;
    blob_.Abort();
  }

  ObjectId id;  ///< Null until the seal, where small blobs get theirs.
  const std::span<std::byte> bytes;
  const std::shared_ptr<void> memory;

  [[nodiscard]] bool open() const { return open_; }
  /// Hands the blob over to be sealed or aborted, once; raises the second time.
  MutableBlob Take();

 private:
  MutableBlob blob_;
  bool open_ = true;
};

}  // namespace vineyard::python
