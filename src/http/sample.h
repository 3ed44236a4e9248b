// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Sample: what the instance said of itself at one moment, from which all figures are told.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "vineyard/client.h"
#include "vineyard/figures.h"

namespace vineyard::http {

struct Sample {
  int64_t unix_ms = 0;
  InstanceStatus status;
  Figures figures;
  /// By name: what figures do not tell of a volume.
  std::map<std::string, VolumeInfo> volumes;
};

/// Three questions, each answered from what the engine has at hand.
Result<Sample> TakeSample(Client& client);

/// Of the memory that the instance may have, what nobody holds.
uint64_t FreeMemory(const Figures& figures);
/// Of all volumes together.
MemoryFigures TotalMemory(const Figures& figures);

int64_t UnixMilliseconds();

}  // namespace vineyard::http
