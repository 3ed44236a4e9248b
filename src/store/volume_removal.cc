// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What goes when an object goes, or when a name is taken from it.
#include <algorithm>
#include <deque>
#include <unordered_set>

#include <fmt/format.h>

#include "store/volume.h"

namespace vineyard::store {

using layout::Ref;

Status Volume::CheckThere(std::span<const uint64_t> ids) const {
  for (const uint64_t id : ids) {
    if (entries_.contains(id)) continue;
    return Status::NotFound(
        fmt::format("no object {} in volume '{}'", ObjectId(id).ToString(), name_));
  }
  return {};
}

Result<Volume::Removal> Volume::PlanRemoval(std::span<const uint64_t> roots,
                                            const RemovalOptions& options) const {
  Removal removal;
  std::deque<uint64_t> work;
  const auto doom = [&](uint64_t id) {
    if (removal.ids.insert(id).second) work.push_back(id);
  };
  VY_RETURN_IF_ERROR(CheckThere(roots));
  for (const uint64_t root : roots) doom(root);
  // Upwards: what the doomed are parts of.
  for (const uint64_t root : roots) {
    for (const auto& [child, parent] : Of(parents_, root)) {
      if (!options.force && !removal.ids.contains(parent) && parent != options.released_by) {
        const Stream* stream = FindStream(ObjectId(parent));
        const bool waits = stream != nullptr && stream->state.queued(root);
        return Status::FailedPrecondition(fmt::format(
            "{} {} {}: delete that, or use force", ObjectId(root).ToString(),
            waits ? "waits in the stream" : "is a part of", ObjectId(parent).ToString()));
      }
    }
  }
  std::map<uint64_t, uint32_t> lost;  // child → parents that go
  // Of what goes. What only waited in a stream stays, unless it was the stream's own.
  std::unordered_set<uint64_t> parts;
  for (const uint64_t chunk : options.released) {
    lost[chunk] = 1;
    removal.edges.emplace_back(chunk, options.released_by);
  }
  for (size_t done = 0; !work.empty() && done < options.most; ++done) {
    const uint64_t id = work.front();
    work.pop_front();
    const Entry& entry = entries_.at(id);
    if (options.force) {
      for (const auto& [child, parent] : Of(parents_, id)) doom(parent);
    }
    if (!ObjectId(id).is_blob()) ++removal.objects;
    if (streams_.contains(id)) removal.streams.emplace_back(id);
    if (ObjectId(id).is_blob() &&
        (layout::FieldsOf(Record(entry)).flags & layout::kFlagExtent) != 0) {
      removal.extents.emplace_back(id);
    }
    const Children children = ChildrenOf(id, entry);
    parts.insert(children.parts.begin(), children.parts.end());
    const auto lose = [&](uint64_t child) {
      const auto it = entries_.find(child);
      if (it == entries_.end()) return;
      removal.edges.emplace_back(child, id);
      const bool unreferenced = ++lost[child] == it->second.parents && it->second.names == 0 &&
                                !options.keep.contains(child);
      // Its owner may have been dealt with before another that has buffers in it.
      const bool own = ObjectId(child).is_blob() &&
                       removal.ids.contains(ObjectId(child).owner_of_blob().value());
      const bool goes_along = options.deep && (parts.contains(child) || it->second.owned);
      if (unreferenced && (goes_along || own)) doom(child);
    };
    std::ranges::for_each(children.parts, lose);
    std::ranges::for_each(children.chunks, lose);
  }
  // Nothing that stays refers to these: all that did has been dealt with.
  removal.rest.assign(work.begin(), work.end());
  for (const uint64_t id : removal.rest) removal.ids.erase(id);
  removal.keep = options.keep;
  return removal;
}

Volume::Removal Volume::PlanUnnaming(const NameEntry& name, std::set<uint64_t> keep) const {
  const auto it = entries_.find(name.id);
  if (it == entries_.end()) return {};
  const Entry& entry = it->second;
  if (!entry.owned || entry.names > 1 || entry.parents > 0 || keep.contains(name.id)) return {};
  auto removal = PlanRemoval(std::span(&name.id, 1),
                             {.keep = std::move(keep), .released = {}, .most = most_removed_});
  return removal.ok() ? std::move(removal).value() : Removal();
}

Volume::Removal Volume::PlanPassing(ObjectId stream, std::vector<uint64_t> passed) const {
  std::erase_if(passed, [this](uint64_t chunk) { return !entries_.contains(chunk); });
  std::vector<uint64_t> going;
  for (const uint64_t chunk : passed) {
    const Entry& entry = entries_.at(chunk);
    if (entry.owned && entry.names == 0 && entry.parents == 1) going.push_back(chunk);
  }
  // Nothing else refers to these roots: there is nothing to refuse.
  auto removal = PlanRemoval(going, {.keep = {stream.value()},  // it may be a part of its chunk
                                     .released_by = stream.value(),
                                     .released = std::move(passed),
                                     .most = most_removed_});
  VY_CHECK(removal.ok());
  return std::move(removal).value();
}

void Volume::StageRemoval(Transaction& tx, const Removal& removal, std::string_view except) const {
  for (const uint64_t id : removal.ids) {
    tx.Change(id, entries_.at(id).ref, Ref());
    for (const auto& [object, name] : Of(names_of_, id)) {
      if (name == except) continue;
      tx.Change(NameKeyOf(name), names_.find(name)->second.ref, Ref());
    }
  }
  for (const ObjectId id : removal.streams) {
    tx.Change(id.value(), streams_.at(id.value()).ref, Ref());
  }
}

void Volume::ForgetRemoved(const Removal& removal) {
  for (const auto& [child, parent] : removal.edges) {
    if (const auto edge = parents_.find({child, parent}); edge != parents_.end()) {
      parents_.erase(edge);
    }
    if (const auto it = entries_.find(child); it != entries_.end()) --it->second.parents;
  }
  for (const uint64_t id : removal.ids) {
    const auto names = Of(names_of_, id);
    for (const auto& [object, text] : names) {
      const auto name = names_.find(text);
      ForgetName(*name);
      names_.erase(name);
    }
    names_of_.erase(names.begin(), names.end());
    const auto parents = Of(parents_, id);
    parents_.erase(parents.begin(), parents.end());
    if (const auto entry = entries_.find(id); entry != entries_.end()) {
      if (entry == first_blob_) ++first_blob_;
      entries_.erase(entry);
    }
    if (!ObjectId(id).is_blob()) --objects_;
  }
  for (const ObjectId id : removal.streams) streams_.erase(id.value());
  for (const ObjectId blob : removal.extents) host_.FreeExtent(blob);
  for (const ObjectId id : removal.streams) host_.StreamChanged(*this, id);
}

void Volume::FinishRemoval(Removal removal) {
  ForgetRemoved(removal);
  while (!removal.rest.empty()) {
    const std::vector<uint64_t> roots = std::move(removal.rest);
    auto next = PlanRemoval(
        roots, {.keep = std::move(removal.keep), .released = {}, .most = most_removed_});
    VY_CHECK(next.ok());  // nothing refers to them
    removal = std::move(next).value();
    Transaction tx(*this);
    StageRemoval(tx, removal, {});
    VY_CHECK(tx.Commit(host_.ledger(), nullptr, nullptr, {}).ok());  // it writes no record
    ForgetRemoved(removal);
  }
}

}  // namespace vineyard::store
