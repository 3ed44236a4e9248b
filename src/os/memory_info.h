// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// How much memory this process may have: what the machine has, or less where a control group (of
// version 1 or 2, whichever the machine uses for memory) or one above it says so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "vineyard/status.h"

namespace vineyard::os {

struct MemoryInfo {
  uint64_t machine_bytes = 0;
  std::optional<uint64_t> cgroup_bytes;  ///< Only where it is less than the machine has.

  [[nodiscard]] uint64_t limit() const { return cgroup_bytes.value_or(machine_bytes); }
};

/// Reads /proc and /sys below `root`, which is another folder in tests.
Result<MemoryInfo> ReadMemoryInfo(const std::string& root = "");

/// What may be taken without pressing others: of the machine, and of each control group with a limit.
Result<uint64_t> ReadAvailableMemory(const std::string& root = "");

/// MemTotal of /proc/meminfo in bytes.
std::optional<uint64_t> ParseMemTotal(std::string_view meminfo);

}  // namespace vineyard::os
