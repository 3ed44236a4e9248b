// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <string>

#include <nanobind/stl/string.h>

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

int GetPrivateBuffer(PyObject* object, Py_buffer* view, int flags) {
  static std::byte nothing{};
  const auto bytes = nb::inst_ptr<PrivateBytes>(object)->bytes;
  auto* data = bytes.empty() ? &nothing : bytes.data();
  return PyBuffer_FillInfo(view, object, data, static_cast<Py_ssize_t>(bytes.size()),
                           /*readonly=*/0, flags);
}

PyType_Slot private_slots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void*>(GetPrivateBuffer)},
    {0, nullptr},
};

/// Buffers as `Client.get` gives them: blobs, and bytes, of which the private copy is a bytearray.
nb::list ToPrivate(nb::sequence buffers) {
  std::vector<Blob> blobs;
  for (nb::handle item : buffers) {
    if (nb::isinstance<Blob>(item)) blobs.push_back(nb::cast<const Blob&>(item));
  }
  std::vector<PrivateBytes> mapped =
      Unwrap(Unlocked([&] { return MapPrivate(std::span<const Blob>(blobs)); }));
  nb::list result;
  size_t next = 0;
  for (nb::handle item : buffers) {
    if (nb::isinstance<Blob>(item)) {
      result.append(nb::cast(std::move(mapped[next++])));
    } else {
      result.append(nb::bytearray(nb::borrow<nb::bytes>(item)));
    }
  }
  return result;
}

/// Buffers as `Client.get` gives them, each as a bytearray.
nb::list ToCopies(nb::sequence buffers, nb::handle progress) {
  std::vector<Blob> blobs;
  std::vector<std::span<std::byte>> places;
  nb::list result;
  for (nb::handle item : buffers) {
    if (!nb::isinstance<Blob>(item)) {
      result.append(nb::bytearray(nb::borrow<nb::bytes>(item)));
      continue;
    }
    const Blob& blob = blobs.emplace_back(nb::cast<const Blob&>(item));
    nb::object copy =
        nb::steal(PyByteArray_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(blob.size())));
    if (!copy.is_valid()) throw nb::python_error();
    places.emplace_back(reinterpret_cast<std::byte*>(PyByteArray_AS_STRING(copy.ptr())),
                        blob.size());
    result.append(copy);
  }
  CopyOptions options{ToProgress(progress), Interrupted};
  uint64_t total = 0;
  for (const Blob& blob : blobs) total += blob.size();
  if (options.progress && !options.progress(0, total)) throw nb::python_error();
  Check(Unlocked([&] { return CopyBytes(blobs, places, options); }));
  return result;
}

size_t Index(const Blob& blob, Py_ssize_t index) {
  const auto size = static_cast<Py_ssize_t>(blob.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) throw nb::index_error("blob index out of range");
  return static_cast<size_t>(index);
}

}  // namespace

void BindBlob(nb::module_& m) {
  nb::class_<Blob>(m, "Blob", nb::type_slots(slots), nb::is_weak_referenceable())
      .def("__len__", &Blob::size)
      .def("__repr__",
           [](const Blob& self) {
             std::string text = "<vineyard.Blob " + self.id().ToString();
             if (self.offset() > 0) text += " from " + std::to_string(self.offset());
             text += ", " + std::to_string(self.size()) + " bytes";
             return text + (self.zero_copy() ? " of the store>" : ", a copy>");
           })
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
      .def_prop_ro("typename", [](const Blob&) { return "vineyard::Blob"; })
      .def_prop_ro("islocal", [](const Blob&) { return true; })
      .def_prop_ro("isglobal", [](const Blob&) { return false; })
      .def_prop_ro("is_empty", [](const Blob& self) { return self.size() == 0; })
      .def_prop_ro("address",
                   [](const Blob& self) { return reinterpret_cast<uintptr_t>(self.data()); })
      .def_prop_ro("zero_copy", &Blob::zero_copy)
      .def("private", [](const Blob& self) {
        auto mapped = Unwrap(Unlocked([&] { return MapPrivate(std::span(&self, 1)); }));
        return std::move(mapped.front());
      });
  nb::class_<PrivateBytes>(m, "PrivateBytes", nb::type_slots(private_slots),
                           nb::is_weak_referenceable())
      .def("__len__", [](const PrivateBytes& self) { return self.bytes.size(); })
      .def("__repr__", [](const PrivateBytes& self) {
        return "<vineyard._core.PrivateBytes, " + std::to_string(self.bytes.size()) + " bytes>";
      });
  m.def("map_private", &ToPrivate, nb::arg("buffers"));
  m.def("copy_buffers", &ToCopies, nb::arg("buffers"), nb::arg("progress") = nb::none());
}

}  // namespace vineyard::python
