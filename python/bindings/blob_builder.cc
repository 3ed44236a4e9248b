// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <cstring>
#include <string>

#include <nanobind/stl/string.h>

#include "bindings.h"

namespace vineyard::python {
namespace {

constexpr const char* kClosed = "the blob is sealed or aborted: it can't be written any more";

/// Writable until the seal. The export keeps the Python object alive, and that one the memory.
int GetBuffer(PyObject* object, Py_buffer* view, int flags) {
  static std::byte nothing{};
  auto* self = nb::inst_ptr<BlobBuilder>(object);
  if (!self->open()) {
    view->obj = nullptr;
    PyErr_SetString(PyExc_BufferError, kClosed);
    return -1;
  }
  const auto bytes = self->bytes();
  auto* data = bytes.empty() ? &nothing : bytes.data();
  const int failed = PyBuffer_FillInfo(view, object, data, static_cast<Py_ssize_t>(bytes.size()),
                                       /*readonly=*/0, flags);
  if (failed == 0) self->AddView();
  return failed;
}

void ReleaseBuffer(PyObject* object, Py_buffer*) { nb::inst_ptr<BlobBuilder>(object)->DropView(); }

PyType_Slot slots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void*>(GetBuffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(ReleaseBuffer)},
    {0, nullptr},
};

/// From this size on a copy gives up the GIL.
constexpr size_t kLongCopy = 64 * 1024;

/// Where a copy of `size` bytes to `offset` goes.
std::span<std::byte> Place(const BlobBuilder& builder, uint64_t offset, uint64_t size) {
  const std::span<std::byte> to = builder.bytes();
  if (offset > to.size() || size > to.size() - offset) {
    throw nb::index_error("the copy reaches beyond the blob");
  }
  return to.subspan(offset, size);
}

/// From an address that nothing vouches for: Python reads it, by way of the kernel.
void CopyAddress(nb::handle_t<BlobBuilder> self, uint64_t offset, uint64_t address, uint64_t size,
                 uint64_t) {
  (void)Place(nb::cast<const BlobBuilder&>(self), offset, size);
  nb::module_::import_("vineyard.data.utils").attr("read_memory")(self, offset, address, size);
}

/// `concurrency` is that of older programs, and means nothing here.
void Copy(BlobBuilder& self, uint64_t offset, nb::handle source, uint64_t) {
  const BufferView view(source);  // first: the source's own code may abort this builder
  const auto bytes = view.bytes();
  const std::span<std::byte> to = Place(self, offset, bytes.size());
  if (bytes.empty()) return;
  const auto copy = [&] { std::memcpy(to.data(), bytes.data(), bytes.size()); };
  if (bytes.size() < kLongCopy) {
    copy();
  } else {
    self.AddView();  // another thread may abort meanwhile
    Unlocked(copy);
    self.DropView();
  }
}

std::byte& At(const BlobBuilder& builder, Py_ssize_t index) {
  const auto bytes = builder.bytes();
  const auto size = static_cast<Py_ssize_t>(bytes.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) throw nb::index_error("blob index out of range");
  return bytes[static_cast<size_t>(index)];
}

}  // namespace

std::span<std::byte> BlobBuilder::bytes() const {
  if (!open_) {
    nb::object type = nb::module_::import_("vineyard.errors").attr("ObjectSealedException");
    PyErr_SetString(type.ptr(), kClosed);
    throw nb::python_error();
  }
  return bytes_;
}

MutableBlob BlobBuilder::Take() {
  (void)bytes();
  open_ = false;
  return std::move(blob_);
}

void BindBlobBuilder(nb::module_& m) {
  nb::class_<BlobBuilder>(m, "BlobBuilder", nb::type_slots(slots), nb::is_weak_referenceable())
      .def("__len__", &BlobBuilder::size)
      .def("__repr__",
           [](const BlobBuilder& self) {
             return "<vineyard.BlobBuilder" + (!self.id.is_null() ? " " + self.id.ToString() : "") +
                    ", " + std::to_string(self.size()) + " bytes, " +
                    (self.open() ? "being written>" : "sealed or aborted>");
           })
      .def(
          "__getitem__",
          [](const BlobBuilder& self, Py_ssize_t index) {
            return static_cast<int>(At(self, index));
          },
          nb::arg("index"))
      .def(
          "__setitem__",
          [](BlobBuilder& self, Py_ssize_t index, uint8_t value) {
            At(self, index) = std::byte{value};
          },
          nb::arg("index"), nb::arg("value"))
      .def("copy", &CopyAddress, nb::arg("offset"), nb::arg("address").noconvert(), nb::arg("size"),
           nb::arg("concurrency") = 1)
      .def("copy", &Copy, nb::arg("offset"), nb::arg("buffer"), nb::arg("concurrency") = 1)
      .def(
          "seal",
          [](BlobBuilder& self, nb::handle client) {
            // A vineyard.Client remembers where the blob lies; its core only seals.
            return client.attr(nb::hasattr(client, "_seal") ? "_seal" : "seal")(nb::find(self));
          },
          nb::arg("client"))
      .def(
          "abort",
          [](BlobBuilder& self, nb::handle) {
            MutableBlob blob = self.Take();
            Unlocked([&] { blob.Abort(); });
            self.LetGo();
          },
          nb::arg("client") = nb::none())
      .def_ro("id", &BlobBuilder::id)
      .def_prop_ro("size", &BlobBuilder::size)
      .def_prop_ro("nbytes", &BlobBuilder::size)
      .def_prop_ro("sealed", [](const BlobBuilder& self) { return !self.open(); })
      .def_prop_ro("address", [](const BlobBuilder& self) {
        return reinterpret_cast<uintptr_t>(self.bytes().data());
      });
}

}  // namespace vineyard::python
