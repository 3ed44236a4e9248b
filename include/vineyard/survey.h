// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Survey: all that a volume stores, in the little room that lists and sums of very many objects need.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vineyard/ids.h"
#include "vineyard/object.h"

namespace vineyard {

struct SurveyOptions {
  std::optional<std::chrono::milliseconds> timeout;
  size_t limit = SIZE_MAX;  ///< Objects and blobs looked at, parts included.
  /// From objects to their members, in all: a graph that many share is not to be walked for ever.
  uint64_t most_steps = UINT64_MAX;
};

struct Survey {
  enum class Where : uint8_t { kMemory, kDisk, kBoth };
  struct Object {
    ObjectId id;
    /// With all that it is made of, each part once; what several objects share counts for each. nullopt: that has
    /// become too many steps.
    std::optional<uint64_t> bytes;
    int64_t created_unix_ns = 0;  ///< 0: of a blob, of which nobody knows.
    uint32_t type = 0;            ///< In `types`.
    uint32_t creator = 0;         ///< In `creators`.
    Where where{};                ///< The bytes of its large parts.
  };

  std::vector<std::string> types;
  std::vector<Creator> creators;
  /// Objects that are no part of others, and blobs that belong to no object, in the order of their ids.
  std::vector<Object> objects;
  size_t looked_at = 0;  ///< Of these, and of their parts.
  bool more = false;     ///< There was more than the limit.
};

}  // namespace vineyard
