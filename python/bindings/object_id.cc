// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <string_view>

#include <nanobind/operators.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include "bindings.h"

namespace vineyard::python {
namespace {

constexpr std::string_view kScheme = "vineyard://";

ObjectId Parsed(std::string_view text) {
  const std::optional<ObjectId> id = ObjectId::Parse(text);
  if (!id) {
    Raise(Status::Invalid("'" + std::string(text) +
                          "' is no object id: 'o' and 16 hexadecimal digits"));
  }
  return *id;
}

}  // namespace

void BindObjectId(nb::module_& m) {
  nb::class_<ObjectId>(m, "ObjectID")
      .def(nb::init<uint64_t>(), nb::arg("value") = 0)
      .def(
          "__init__",
          [](ObjectId* self, std::string_view text) { new (self) ObjectId(Parsed(text)); },
          nb::arg("value"))
      .def(
          "__init__", [](ObjectId* self, const ObjectId& other) { new (self) ObjectId(other); },
          nb::arg("value"))
      .def("__repr__", &ObjectId::ToString)
      .def("__str__", &ObjectId::ToString)
      .def("__int__", &ObjectId::value)
      .def("__index__", &ObjectId::value)
      .def("__hash__", [](const ObjectId& self) { return std::hash<ObjectId>{}(self); })
      .def(nb::self == nb::self)
      .def(nb::self != nb::self)
      .def(nb::self < nb::self)
      .def("__reduce__",
           [](const ObjectId& self) {
             return nb::make_tuple(nb::type<ObjectId>(), nb::make_tuple(self.value()));
           })
      .def_prop_ro("is_blob", &ObjectId::is_blob)
      .def_prop_ro("uri",
                   [](const ObjectId& self) { return std::string(kScheme) + self.ToString(); })
      .def_static(
          "from_uri",
          [](std::string_view uri) {
            if (!uri.starts_with(kScheme)) {
              Raise(Status::Invalid("'" + std::string(uri) + "' does not begin with vineyard://"));
            }
            return Parsed(uri.substr(kScheme.size()));
          },
          nb::arg("uri"));
}

}  // namespace vineyard::python
