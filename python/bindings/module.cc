// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// vineyard._core: the C++ client for Python. Its types stand in _core.pyi; the package above it is
// what programs import.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include "bindings.h"

NB_MODULE(_core, m) {
  using namespace vineyard::python;
  // Clients that are kept until the end of the process are no leak worth a warning.
  nanobind::set_leak_warnings(false);
  BindObjectId(m);
  BindBlob(m);
  BindBlobBuilder(m);
  BindInfos(m);
  BindAllocation(m);
  BindAllocator(m);
  BindClient(m);
  BindStreams(m);
  BindTexts(m);
  m.def(
      "find_socket",
      [](std::optional<std::string> socket, std::optional<std::string> config,
         std::string run_directory) -> std::optional<std::string> {
        auto found =
            vineyard::FindSocket({std::move(socket), std::move(config), std::move(run_directory)});
        if (found.status().Is(vineyard::StatusCode::kUnavailable)) return std::nullopt;
        return Unwrap(std::move(found));
      },
      nb::arg("socket") = nb::none(), nb::arg("config") = nb::none(),
      nb::arg("run_directory") = "/var/run");
  m.def(
      "find_setting",
      [](std::string key, std::optional<std::string> config, std::string run_directory) {
        return Unwrap(vineyard::FindSetting(
            key, {std::nullopt, std::move(config), std::move(run_directory)}));
      },
      nb::arg("key"), nb::arg("config") = nb::none(), nb::arg("run_directory") = "/var/run");
  m.def("version", &vineyard::Version);
}
