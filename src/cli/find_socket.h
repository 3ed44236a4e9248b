// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Which socket vineyardctl talks to: the one that Python's connect() finds, and where that would start
// a private instance, the one that a vineyardd of this user listens on.
//
// In this order, and the first that is named counts:
//   1. --socket
//   2. VINEYARD_IPC_SOCKET
//   3. VINEYARD_CONFIG: a YAML file with `Vineyard: {IPCSocket: …}`, or a folder that holds one as
//      vineyard-config.yaml or vineyard/vineyard-config.yaml
//   4. the same two files below /var/run; one that names no socket, or one that is not there, is passed
//   5. /var/run/vineyard.sock, /var/run/vineyard/vineyard.sock
//   6. $XDG_RUNTIME_DIR/vineyard/vineyard.sock, ~/.local/vineyard/vineyard.sock
// What was named in 1 to 3 is used or fails.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "vineyard/status.h"

namespace vineyard::cli {

/// What the search reads; tests bring their own.
struct SearchPlaces {
  std::function<std::optional<std::string>(const std::string& name)> environment;
  std::string run_directory = "/var/run";

  static SearchPlaces OfThisProcess();
};

/// `named`: the value of --socket, or empty. kUnavailable when nothing is named and nothing found,
/// kInvalid when VINEYARD_CONFIG makes no sense. Whether anybody listens there is not looked at.
Result<std::string> FindSocket(const std::string& named, const SearchPlaces& places);

/// The value of IPCSocket in the section Vineyard of a YAML text, written in lines or in braces; nullopt
/// if it has none. Reads no more of YAML than that.
std::optional<std::string> SocketInYaml(std::string_view text);

}  // namespace vineyard::cli
