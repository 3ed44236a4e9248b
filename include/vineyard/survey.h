// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Survey: everything that is stored in a volume, and how much each thing takes with its parts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vineyard/client.h"

namespace vineyard {

struct Surveyed {
  ObjectInfo info;     ///< Of a blob: its id and size.
  uint64_t bytes = 0;  ///< With all that lies below it. What several share counts for each.
  std::vector<std::string> names;
};

/// Objects that are no part of others, and blobs that belong to no object, in the order of their ids. It lists
/// the whole volume, in several questions: things may change between them.
Result<std::vector<Surveyed>> TakeSurvey(Client& client, const CallOptions& options = {});

}  // namespace vineyard
