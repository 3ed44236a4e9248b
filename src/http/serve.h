// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Serve: the process that answers HTTP, from the moment it has been started.
//
// To the instance it is a client like any other, which asks for figures and lists. It gives up its rights before it
// takes the first connection; its memory is bounded; and when it ends, however that came, its keeper starts another.
#pragma once

#include <string>

#include "http/guard.h"
#include "os/fd.h"
#include "vineyard/status.h"

namespace vineyard::http {

struct ServeOptions {
  std::string instance_socket;
  std::string token_file;  ///< empty: everybody may ask
  bool sandbox = true;
};

/// Returns why it cannot go on. REQUIRES: this process has one thread.
Status Serve(os::UniqueFd listener, const ServeOptions& options);

}  // namespace vineyard::http
