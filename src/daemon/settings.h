// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// One entry for each flag that means something: how its text becomes a field of Config, and how the
// field is shown again. For config.cc alone.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "daemon/config.h"
#include "os/memory_info.h"
#include "vineyard/status.h"

namespace vineyard::daemon {

struct Setting {
  std::string_view name;  ///< That of the flag.
  /// Writes the field; kInvalid (without the name of the flag) when the text has no meaning.
  Status (*read)(const std::string& text, const Environment& environment, Config& config);
  nlohmann::json (*show)(const Config& config);
};

std::span<const Setting> AllSettings();

/// ParseSwitch, with an error that says what may be written.
Result<bool> ReadSwitch(std::string_view text);

/// "the 16 GiB of this machine".
std::string DescribeMemory(const os::MemoryInfo& memory);

}  // namespace vineyard::daemon
