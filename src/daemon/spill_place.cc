// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/spill_place.h"

#include <filesystem>
#include <system_error>

namespace vineyard::daemon {

namespace {

namespace fs = std::filesystem;

// 0 where it can't be found out: taking the folder fails then, and says why.
uint64_t SizeOfDisk(fs::path folder) {
  std::error_code error;
  while (!fs::exists(folder, error) && folder.has_parent_path() && folder.has_relative_path()) {
    folder = folder.parent_path();
  }
  const fs::space_info space = fs::space(folder, error);
  return error ? 0 : space.capacity;
}

}  // namespace

Result<std::shared_ptr<spill::Place>> TakeSpillPlace(const Config& config) {
  constexpr uint64_t kStaysFree = 20;  // a twentieth of the disk
  spill::Limits limits;
  limits.most = config.spill_limit.value_or(limits.most);
  limits.leave_free = SizeOfDisk(config.spill_path) / kStaysFree;
  auto place = spill::Place::Take(
      {.path = config.spill_path, .instance = config.SpillFolder(), .limits = limits});
  if (!place.ok()) return place.status().WithContext("--spill_path");
  return place;
}

}  // namespace vineyard::daemon
