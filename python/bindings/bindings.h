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
#include <vector>

#include <nanobind/nanobind.h>

#include "vineyard/vineyard.h"

namespace vineyard::python {

namespace nb = nanobind;

void BindObjectId(nb::module_& m);
void BindBlob(nb::module_& m);
void BindBlobBuilder(nb::module_& m);
void BindInfos(nb::module_& m);
void BindClient(nb::module_& m);
void BindStreams(nb::module_& m);
void BindAllocation(nb::module_& m);
void BindTexts(nb::module_& m);
void BindAllocator(nb::module_& m);

/// A Python object that owns the memory, with the buffer protocol.
nb::object ToMemory(Allocation allocation);
/// None, False, True.
Copying ToCopying(std::optional<bool> copy);
/// What a put does with each buffer, and how large the allocation is that it lies in; `client` null: by
/// the client that allocated it.
nb::list ToPlacements(nb::sequence buffers, Client* client, Copying copying);

/// The Python exception that stands for the status.
nb::object ToException(const Status& status);
/// Throws it.
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

/// Whether Python has a signal to handle, of whose handler the exception then waits in this thread.
bool Interrupted();

/// Calls a Python function of (done, total), if it is not None. What it raises waits in this thread, until
/// `Raise` throws it. The caller keeps the function.
Progress ToProgress(nb::handle function);

/// Runs `call()` without the GIL.
template <typename Call>
auto Unlocked(Call&& call) {
  nb::gil_scoped_release released;
  return call();
}

nb::dict FromClient(const ClientInfo& client);

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

/// What a put stores: an iterable of buffers and blobs, dicts of members and labels, or None.
struct PutParts {
  std::string type_name;
  std::string metadata;
  nb::handle buffers;
  nb::handle members;
  nb::handle labels;
};
/// `views` keep the buffers until the put has returned.
ObjectBuilder MakeBuilder(PutParts&& parts, std::vector<BufferView>& views);

/// Their classes are known to streams.cc only.
nb::object OpenStreamWriter(Client& client, ObjectId id, std::optional<double> timeout);
nb::object OpenStreamReader(Client& client, ObjectId id, std::optional<double> timeout);

/// A blob while it is written. Views that were handed out keep the memory after the seal.
class BlobBuilder {
 public:
  explicit BlobBuilder(MutableBlob blob)
      : id(blob.id()), bytes_(blob.bytes()), memory_(blob.keep_alive()), blob_(std::move(blob)) {}
  BlobBuilder(BlobBuilder&&) = default;
  ~BlobBuilder() {
    nb::gil_scoped_release released;
    if (blob_.valid()) blob_.Abort();
    memory_.reset();
  }

  ObjectId id;  ///< Null until the seal, where small blobs get theirs.

  [[nodiscard]] bool open() const { return open_; }
  /// Raises once sealed or aborted.
  [[nodiscard]] std::span<std::byte> bytes() const;
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  /// Hands the blob over to be sealed or aborted, once; raises the second time.
  MutableBlob Take();

  void AddView() { ++views_; }
  void DropView() {
    --views_;
    LetGo();
  }
  /// Unmaps the memory when it can't be reached any more.
  void LetGo() {
    if (open_ || views_ > 0) return;
    nb::gil_scoped_release released;
    memory_.reset();
  }

 private:
  std::span<std::byte> bytes_;
  std::shared_ptr<void> memory_;
  MutableBlob blob_;
  size_t views_ = 0;
  bool open_ = true;
};

}  // namespace vineyard::python
