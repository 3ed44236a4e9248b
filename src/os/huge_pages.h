// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Whether memory files get huge pages, and how to make them.
//
// A memory file gets pages of 2 MiB (and of 64 KiB to 1 MiB for short ones) only where the kernel's
// shmem_enabled switches say "advise" or more; their default is "never", and they affect only memory
// that asks. Filling fresh memory is several times faster with them.
#pragma once

#include <string>
#include <vector>

namespace vineyard::os {

enum class HugePageMode { kAuto, kOn, kOff };

struct HugePageState {
  bool large = false;    ///< 2 MiB pages are to be had
  bool middle = false;   ///< 64 KiB … 1 MiB pages are to be had
  bool changed = false;  ///< this call switched them on
  std::string hint;      ///< without large ones: what a person could do
};

/// kAuto, kOn: switches "never" to "advise" where this process may write there. `root` is
/// /sys/kernel/mm/transparent_hugepage, another folder in tests.
HugePageState PrepareHugePages(HugePageMode mode,
                               const std::string& root = "/sys/kernel/mm/transparent_hugepage");

}  // namespace vineyard::os
