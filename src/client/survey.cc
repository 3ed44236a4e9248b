// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "vineyard/survey.h"

#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace vineyard {

namespace {

class Tree {
 public:
  explicit Tree(const std::vector<ObjectInfo>& objects)
      : objects_(objects), seen_by_(objects.size()) {
    for (size_t i = 0; i < objects.size(); ++i) by_id_[objects[i].id.value()] = i;
    for (const ObjectInfo& object : objects) {
      for (const Member& member : object.members) parts_.insert(member.id.value());
      for (const BufferRef& buffer : object.buffers) {
        // A blob is described as what has itself as its buffer.
        if (buffer.blob != object.id) parts_.insert(buffer.blob.value());
      }
    }
  }
  [[nodiscard]] bool IsPart(ObjectId id) const { return parts_.contains(id.value()); }

  /// Of the object and all below it, each once.
  uint64_t BytesBelow(size_t root) {
    ++walk_;
    uint64_t bytes = 0;
    std::vector<size_t> next{root};
    seen_by_[root] = walk_;
    while (!next.empty()) {
      const ObjectInfo& object = objects_[next.back()];
      next.pop_back();
      bytes += object.nbytes;
      for (const Member& member : object.members) {
        const auto it = by_id_.find(member.id.value());
        if (it == by_id_.end() || std::exchange(seen_by_[it->second], walk_) == walk_) continue;
        next.push_back(it->second);
      }
    }
    return bytes;
  }

 private:
  const std::vector<ObjectInfo>& objects_;
  std::unordered_map<uint64_t, size_t> by_id_;
  std::unordered_set<uint64_t> parts_;
  std::vector<uint64_t> seen_by_;  // the last walk that came by
  uint64_t walk_ = 0;
};

}  // namespace

Result<std::vector<Surveyed>> TakeSurvey(Client& client, const CallOptions& options) {
  ListOptions all;
  all.timeout = options.timeout;
  all.limit = SIZE_MAX;
  all.include_parts = true;
  VY_ASSIGN_OR_RETURN(std::vector<ObjectInfo> objects, client.List(all));
  ListNamesOptions every_name;
  every_name.timeout = options.timeout;
  VY_ASSIGN_OR_RETURN(const std::vector<NameInfo> names, client.ListNames(every_name));
  Tree tree(objects);
  std::vector<Surveyed> found;
  std::unordered_map<uint64_t, size_t> places;
  for (size_t i = 0; i < objects.size(); ++i) {
    if (tree.IsPart(objects[i].id)) continue;
    const uint64_t bytes = tree.BytesBelow(i);
    places[objects[i].id.value()] = found.size();
    found.push_back({.info = objects[i], .bytes = bytes, .names = {}});
  }
  // A part that has a name of its own is one of what people look for, and counted where it is a part.
  for (const NameInfo& name : names) {
    const auto it = places.find(name.id.value());
    if (it != places.end()) found[it->second].names.push_back(name.name);
  }
  return found;
}

}  // namespace vineyard
