// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What goes when an object goes, or when a name is taken from it.
#include <deque>

#include <fmt/format.h>

#include "store/volume.h"

namespace vineyard::store {

using layout::Ref;

Result<Volume::Removal> Volume::PlanRemoval(std::span<const uint64_t> roots,
                                            const RemovalOptions& options) const {
  Removal removal;
  std::deque<uint64_t> work;
  const auto doom = [&](uint64_t id) {
    if (removal.ids.insert(id).second) work.push_back(id);
  };
  for (const uint64_t root : roots) {
    if (!entries_.contains(root)) {
      return Status::NotFound(
          fmt::format("no object {} in volume '{}'", ObjectId(root).ToString(), name_));
    }
    doom(root);
  }
  // Upwards: what the doomed are parts of.
  for (const uint64_t root : roots) {
    const auto [begin, end] = parents_.equal_range(root);
    for (auto p = begin; p != end; ++p) {
      if (!options.force && !removal.ids.contains(p->second)) {
        return Status::FailedPrecondition(
            fmt::format("{} is a part of {}: delete that, or use force", ObjectId(root).ToString(),
                        ObjectId(p->second).ToString()));
      }
    }
  }
  std::map<uint64_t, uint32_t> lost;  // child → parents that go
  while (!work.empty()) {
    const uint64_t id = work.front();
    work.pop_front();
    const Entry& entry = entries_.at(id);
    if (options.force) {
      const auto [begin, end] = parents_.equal_range(id);
      for (auto p = begin; p != end; ++p) doom(p->second);
    }
    if (!ObjectId(id).is_blob()) ++removal.objects;
    if (ObjectId(id).is_blob() &&
        (layout::FieldsOf(Record(entry)).flags & layout::kFlagExtent) != 0) {
      removal.extents.emplace_back(id);
    }
    for (const uint64_t child : Children(id, entry)) {
      const auto it = entries_.find(child);
      if (it == entries_.end()) continue;
      removal.edges.emplace_back(child, id);
      const bool unreferenced = ++lost[child] == it->second.parents && it->second.names == 0 &&
                                !options.keep.contains(child);
      // Its owner may have been dealt with before another that has buffers in it.
      const bool own = ObjectId(child).is_blob() &&
                       removal.ids.contains(ObjectId(child).owner_of_blob().value());
      if (unreferenced && (options.deep || own)) doom(child);
    }
  }
  return removal;
}

Volume::Removal Volume::PlanUnnaming(const NameEntry& name, std::set<uint64_t> keep) const {
  const auto it = entries_.find(name.id);
  if (it == entries_.end()) return {};
  const Entry& entry = it->second;
  if (!entry.owned || entry.names > 1 || entry.parents > 0 || keep.contains(name.id)) return {};
  auto removal = PlanRemoval(std::span(&name.id, 1), {.keep = std::move(keep)});
  return removal.ok() ? std::move(removal).value() : Removal();
}

void Volume::StageRemoval(Transaction& tx, const Removal& removal, std::string_view except) const {
  for (const uint64_t id : removal.ids) {
    tx.Change(id, entries_.at(id).ref, Ref());
    const auto [begin, end] = names_of_.equal_range(id);
    for (auto n = begin; n != end; ++n) {
      if (n->second == except) continue;
      tx.Change(NameKeyOf(n->second), names_.find(n->second)->second.ref, Ref());
    }
  }
}

void Volume::ForgetRemoved(const Removal& removal) {
  for (const auto& [child, parent] : removal.edges) {
    const auto [begin, end] = parents_.equal_range(child);
    for (auto p = begin; p != end; ++p) {
      if (p->second == parent) {
        parents_.erase(p);
        break;
      }
    }
    if (const auto it = entries_.find(child); it != entries_.end()) --it->second.parents;
  }
  for (const uint64_t id : removal.ids) {
    while (true) {
      const auto n = names_of_.find(id);
      if (n == names_of_.end()) break;
      const auto name = names_.find(n->second);
      names_of_.erase(n);
      names_.erase(name);
    }
    parents_.erase(id);
    entries_.erase(id);
    if (!ObjectId(id).is_blob()) --objects_;
  }
  for (const ObjectId blob : removal.extents) host_.FreeExtent(blob);
}

}  // namespace vineyard::store
