// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "bindings.h"

namespace vineyard::python {
namespace {

/// The export holds a reference to the Python object, and that one keeps the bytes alive.
int GetBuffer(PyObject* object, Py_buffer* view, int flags) {
  static std::byte nothing{};
  const auto* self = nb::inst_ptr<Blob>(object);
  auto* data = self->size() == 0 ? &nothing : const_cast<std::byte*>(self->data());
  return PyBuffer_FillInfo(view, object, data, static_cast<Py_ssize_t>(self->size()),
                           /*readonly=*/1, flags);
}

PyType_Slot slots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void*>(GetBuffer)},
    {0, nullptr},
};

size_t Index(const Blob& blob, Py_ssize_t index) {
  const auto size = static_cast<Py_ssize_t>(blob.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) throw nb::index_error("blob index out of range");
  return static_cast<size_t>(index);
}

}  // namespace

void BindBlob(nb::module_& m) {
  nb::class_<Blob>(m, "Blob", nb::type_slots(slots))
      .def("__len__", &Blob::size)
      .def(
          "__getitem__",
          [](const Blob& self, Py_ssize_t index) {
            return static_cast<int>(self.data()[Index(self, index)]);
          },
          nb::arg("index"))
      .def(
          "slice",
          [](const Blob& self, uint64_t offset, uint64_t length) {
            if (offset > self.size() || length > self.size() - offset) {
              throw nb::index_error("the slice reaches beyond the blob");
            }
            return self.Slice(offset, length);
          },
          nb::arg("offset"), nb::arg("length"))
      .def_prop_ro("id", &Blob::id)
      .def_prop_ro("offset", &Blob::offset)
      .def_prop_ro("size", &Blob::size)
      .def_prop_ro("nbytes", &Blob::size)
      .def_prop_ro("is_empty", [](const Blob& self) { return self.size() == 0; })
      .def_prop_ro("address",
                   [](const Blob& self) { return reinterpret_cast<uintptr_t>(self.data()); })
      .def_prop_ro("zero_copy", &Blob::zero_copy);
}

}  // namespace vineyard::python
