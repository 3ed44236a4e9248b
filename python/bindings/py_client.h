// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The class of Python's that has a Client, for the files that bind its calls.
#pragma once

#include <optional>

#include "bindings.h"

namespace vineyard::python {

using Seconds = std::optional<double>;

struct PyClient {
  std::optional<Client> client;
  Timeout timeout;

  PyClient(Client&& connected, Timeout t) : client(std::move(connected)), timeout(t) {}
  PyClient(PyClient&&) = delete;
  PyClient& operator=(PyClient&&) = delete;
  ~PyClient() {
    nb::gil_scoped_release released;
    client.reset();
  }
};

/// What an instance says of itself (figures.h, survey.h), as dicts: vineyard/figures.py makes classes of them.
void BindSeeing(nb::class_<PyClient>& c);

}  // namespace vineyard::python
