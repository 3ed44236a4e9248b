// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Objects: the list of all objects, in columns, as GET /api/v1/objects answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "vineyard/client.h"

namespace vineyard::http {

/// More objects and blobs than that of an instance are not listed: the answer says so.
inline constexpr size_t kMostListed = 250'000;

struct VolumeContents {
  std::string name;
  Survey objects;
  std::vector<NameInfo> names;
};

struct Contents {
  std::vector<VolumeContents> volumes;
  bool more = false;  ///< not all is here
};

/// Of the volumes that this process's user may open. Each through a connection of its own, which ends with this.
Contents FetchContents(const std::vector<VolumeInfo>& volumes, Timeout patience);

std::string ObjectsJson(const Contents& contents, uint64_t version, int64_t unix_ms);

}  // namespace vineyard::http
