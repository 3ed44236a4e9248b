// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/sample.h"

#include <chrono>
#include <utility>

namespace vineyard::http {

Result<Sample> TakeSample(Client& client) {
  Sample sample;
  VY_ASSIGN_OR_RETURN(sample.status, client.GetStatus());
  VY_ASSIGN_OR_RETURN(std::vector<VolumeInfo> volumes, client.ListVolumes());
  VY_ASSIGN_OR_RETURN(sample.figures, client.GetFigures(/*all=*/true));
  for (VolumeInfo& volume : volumes) {
    std::string name = volume.name;
    sample.volumes.emplace(std::move(name), std::move(volume));
  }
  sample.unix_ms = UnixMilliseconds();
  return sample;
}

uint64_t FreeMemory(const Figures& figures) {
  const uint64_t taken = figures.held + figures.ready;
  return figures.limit > taken ? figures.limit - taken : 0;
}

MemoryFigures TotalMemory(const Figures& figures) {
  MemoryFigures total;
  for (const VolumeFigures& volume : figures.volumes) {
    total.sealed += volume.memory.sealed;
    total.writing += volume.memory.writing;
    total.idle += volume.memory.idle;
    total.lingering += volume.memory.lingering;
    total.moving += volume.memory.moving;
    total.records += volume.memory.records;
    total.slack += volume.memory.slack;
    total.catalog += volume.memory.catalog;
  }
  return total;
}

int64_t UnixMilliseconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace vineyard::http
