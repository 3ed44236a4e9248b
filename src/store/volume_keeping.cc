// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Names that keep in memory what they point to. That they do so stands in their records; which extents it is, is
// reckoned when a name is linked, and remembered until it is unlinked: by then the records may be gone.
#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "store/volume.h"

namespace vineyard::store {

Status Volume::CheckMayKeep() const {
  if (kept_parts_ < most_kept_) return {};
  return Status::LimitExceeded(fmt::format(
      "names of volume '{}' keep {} parts of objects in memory; no more do before some are dropped",
      name_, kept_parts_));
}

void Volume::Keep(std::string_view name) {
  const auto it = names_.find(name);
  if (!Keeps(it->second.ref)) return;
  LetGo(it->first);
  auto extents = ExtentsBelow({&it->second.id, 1}, std::numeric_limits<size_t>::max());
  VY_CHECK(extents.ok());  // it points to something
  // Where a blob's record was damaged its memory may be a reservation by now.
  std::erase_if(*extents, [this](ObjectId blob) { return Find(blob) == nullptr; });
  for (const ObjectId blob : *extents) host_.KeptChanged(blob, 1);
  kept_parts_ += extents->size();
  keeping_[it->first] = std::move(*extents);
}

void Volume::LetGo(std::string_view name) {
  const auto it = keeping_.find(name);
  if (it == keeping_.end()) return;
  for (const ObjectId blob : it->second) host_.KeptChanged(blob, -1);
  kept_parts_ -= it->second.size();
  keeping_.erase(it);
}

void Volume::DeriveKept() {
  std::vector<std::string_view> names;
  for (const auto& [name, extents] : keeping_) names.push_back(name);
  for (const std::string_view name : names) Keep(name);
}

}  // namespace vineyard::store
