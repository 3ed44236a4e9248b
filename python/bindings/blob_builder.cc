// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <cstring>

#include "bindings.h"

namespace vineyard::python {
namespace {

/// Writable until the seal. The export keeps the Python object alive, and that one the memory.
int GetBuffer(PyObject* object, Py_buffer* view, int flags) {
  static std::byte nothing{};
  auto* self = nb::inst_ptr<BlobBuilder>(object);
  if (!self->open()) {
    view->obj = nullptr;
    PyErr_SetString(PyExc_BufferError,
                    "the blob is sealed or aborted: it can't be written any more");
    return -1;
  }
  auto* data = self->bytes.empty() ? &nothing : self->bytes.data();
  return PyBuffer_FillInfo(view, object, data, static_cast<Py_ssize_t>(self->bytes.size()),
                           /*readonly=*/0, flags);
}

PyType_Slot slots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void*>(GetBuffer)},
    {0, nullptr},
};

/// From this size on a copy gives up the GIL.
constexpr size_t kLongCopy = 64 * 1024;

void RequireOpen(const BlobBuilder& builder) {
  if (!builder.open()) {
    nb::object type = nb::module_::import_("vineyard.errors").attr("ObjectSealedException");
    PyErr_SetString(type.ptr(), "the blob is sealed or aborted: it can't be written any more");
    throw nb::python_error();
  }
}

void Copy(BlobBuilder& self, uint64_t offset, nb::handle source) {
  RequireOpen(self);
  const BufferView view(source);
  const auto bytes = view.bytes();
  if (offset > self.bytes.size() || bytes.size() > self.bytes.size() - offset) {
    throw nb::index_error("the copy reaches beyond the blob");
  }
  if (bytes.empty()) return;
  const auto copy = [&] { std::memcpy(self.bytes.data() + offset, bytes.data(), bytes.size()); };
  if (bytes.size() < kLongCopy) {
    copy();
  } else {
    Unlocked(copy);
  }
}

size_t Index(const BlobBuilder& builder, Py_ssize_t index) {
  const auto size = static_cast<Py_ssize_t>(builder.bytes.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) throw nb::index_error("blob index out of range");
  return static_cast<size_t>(index);
}

}  // namespace

MutableBlob BlobBuilder::Take() {
  RequireOpen(*this);
  open_ = false;
  return std::move(blob_);
}

void BindBlobBuilder(nb::module_& m) {
  nb::class_<BlobBuilder>(m, "BlobBuilder", nb::type_slots(slots))
      .def("__len__", [](const BlobBuilder& self) { return self.bytes.size(); })
      .def(
          "__getitem__",
          [](const BlobBuilder& self, Py_ssize_t index) {
            return static_cast<int>(self.bytes[Index(self, index)]);
          },
          nb::arg("index"))
      .def(
          "__setitem__",
          [](BlobBuilder& self, Py_ssize_t index, uint8_t value) {
            RequireOpen(self);
            self.bytes[Index(self, index)] = std::byte{value};
          },
          nb::arg("index"), nb::arg("value"))
      .def("copy", &Copy, nb::arg("offset"), nb::arg("source"))
      .def(
          "seal",
          [](BlobBuilder& self, nb::handle client) {
            nb::object core =
                nb::hasattr(client, "_core") ? client.attr("_core") : nb::borrow(client);
            return core.attr("seal")(nb::find(self));
          },
          nb::arg("client"))
      .def(
          "abort",
          [](BlobBuilder& self, nb::handle) {
            MutableBlob blob = self.Take();
            Unlocked([&] { blob.Abort(); });
          },
          nb::arg("client") = nb::none())
      .def_prop_ro("id", [](const BlobBuilder& self) { return self.id; })
      .def_prop_ro("size", [](const BlobBuilder& self) { return self.bytes.size(); })
      .def_prop_ro("nbytes", [](const BlobBuilder& self) { return self.bytes.size(); })
      .def_prop_ro("sealed", [](const BlobBuilder& self) { return !self.open(); })
      .def_prop_ro("address", [](const BlobBuilder& self) {
        return reinterpret_cast<uintptr_t>(self.bytes.data());
      });
}

}  // namespace vineyard::python
