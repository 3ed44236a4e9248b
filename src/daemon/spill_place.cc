// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/spill_place.h"

#include <chrono>
#include <filesystem>
#include <system_error>
#include <thread>

#include "os/socket.h"

namespace vineyard::daemon {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kPatience{2};
constexpr std::chrono::milliseconds kPause{5};

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
  const spill::PlaceOptions options{
      .path = config.spill_path, .instance = config.SpillFolder(), .limits = limits};
  auto place = spill::Place::Take(options);
  // An engine that is killed in the midst of its start may have a child that has the lock for a moment still.
  const os::TimePoint end = os::Clock::now() + kPatience;
  while (place.status().Is(StatusCode::kAlreadyExists) && os::Clock::now() < end) {
    std::this_thread::sleep_for(kPause);
    place = spill::Place::Take(options);
  }
  if (!place.ok()) return place.status().WithContext("--spill_path");
  return place;
}

}  // namespace vineyard::daemon
