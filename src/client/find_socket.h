// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Where a program finds its instance: the search behind FindSocket of vineyard/client.h.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "vineyard/client.h"

namespace vineyard::client {

/// A variable's value; nullopt if it is not set, or empty.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// See vineyard::FindSocket.
Result<std::string> FindSocket(const SocketSearch& search, const Environment& environment);

/// See vineyard::FindSetting.
Result<std::optional<std::string>> FindSetting(std::string_view key, const SocketSearch& search,
                                               const Environment& environment);

/// The value of a key in the section Vineyard of a YAML text, written in lines or in braces; nullopt if
/// it has none. Reads no more of YAML than that.
std::optional<std::string> ValueInYaml(std::string_view text, std::string_view key);

}  // namespace vineyard::client
