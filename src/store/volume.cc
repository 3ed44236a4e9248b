// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/volume.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/size.h"
#include "store/references.h"

namespace vineyard::store {

using layout::RecordFields;
using layout::RecordKind;
using layout::Ref;

Volume::Volume(uint64_t id, std::string name, uint64_t quota, VolumeHost& host, Budget& budget,
               MemoryKeeper& keeper, RunOnPool pool)
    : id_(id), name_(std::move(name)), quota_(quota), host_(host),
      arenas_(id, budget, keeper, std::move(pool), [this] {
        if (catalog_) catalog_->AnnounceClosed();
      }) {}

Volume::~Volume() = default;

// ---- questions

const Entry* Volume::Find(ObjectId id) const {
  const auto it = entries_.find(id.value());
  return it == entries_.end() ? nullptr : &it->second;
}

const NameEntry* Volume::FindName(std::string_view name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : &it->second;
}

Volume::Children Volume::ChildrenOf(uint64_t id, const Entry& entry) const {
  if (entry.ref.kind() != RecordKind::kObject) return {};
  const std::byte* record = Record(entry);
  Children children{.parts = ReferredTo(*DescriptorOf(record)), .chunks = {}};
  if ((layout::FieldsOf(record).flags & layout::kFlagExtent) != 0) {
    children.parts.insert(ObjectId(id).own_blob().value());
  }
  if (const Stream* stream = FindStream(ObjectId(id))) {
    children.chunks.insert(stream->state.chunks.begin(), stream->state.chunks.end());
  }
  return children;
}

std::vector<ObjectId> Volume::ExtentsOf(const Entry& entry) const {
  std::vector<ObjectId> extents;
  const std::byte* record = Record(entry);
  const RecordFields& f = layout::FieldsOf(record);
  const bool own_extent = (f.flags & layout::kFlagExtent) != 0;
  if (own_extent) extents.push_back(ObjectId(f.id).own_blob());
  if (f.kind != RecordKind::kObject) return extents;
  if (const auto* buffers = DescriptorOf(record)->buffers()) {
    for (const fb::BufferRange* b : *buffers) {
      const Entry* blob = b->blob() == 0 ? nullptr : Find(ObjectId(b->blob()));
      if (blob == nullptr) continue;
      if ((layout::FieldsOf(Record(*blob)).flags & layout::kFlagExtent) != 0) {
        extents.emplace_back(b->blob());
      }
    }
  }
  std::ranges::sort(extents);
  extents.erase(std::ranges::unique(extents).begin(), extents.end());
  return extents;
}

Result<std::vector<ObjectId>> Volume::ExtentsBelow(std::span<const uint64_t> ids,
                                                   size_t most) const {
  std::set<uint64_t> seen;
  std::set<ObjectId> extents;
  std::vector<uint64_t> left;
  for (const uint64_t id : ids) {
    // A small object's own blob has no entry; the object's record has its bytes.
    const bool inside = ObjectId(id).is_blob() && Find(ObjectId(id)) == nullptr &&
                        Find(ObjectId(id).owner_of_blob()) != nullptr;
    if (Find(ObjectId(id)) == nullptr && !inside) {
      return Status::NotFound(
          fmt::format("no object {} in volume '{}'", ObjectId(id).ToString(), name_));
    }
    if (!inside && seen.insert(id).second) left.push_back(id);
  }
  while (!left.empty()) {
    const Entry& entry = *Find(ObjectId(left.back()));
    left.pop_back();
    for (const ObjectId blob : ExtentsOf(entry)) extents.insert(blob);
    if (seen.size() > most || extents.size() > most) {
      return Status::LimitExceeded(
          fmt::format("these objects have more than {} parts; name fewer at once", most));
    }
    if (entry.ref.kind() != RecordKind::kObject) continue;
    const auto* members = DescriptorOf(Record(entry))->members();
    if (members == nullptr) continue;
    for (const fb::Member* m : *members) {
      if (Find(ObjectId(m->id())) != nullptr && seen.insert(m->id()).second) {
        left.push_back(m->id());
      }
    }
  }
  return std::vector<ObjectId>(extents.begin(), extents.end());
}

uint64_t Volume::QuotaLeft() const {
  if (quota_ == 0) return std::numeric_limits<uint64_t>::max();
  const uint64_t taken = usage() + promised_;
  return taken >= quota_ ? 0 : quota_ - taken;
}

Status Volume::CheckQuota(uint64_t growth) const {
  if (growth <= QuotaLeft()) return {};
  return Status::OutOfMemory(fmt::format(
      "this takes {}, and volume '{}' uses {} of its quota of {}; delete objects, or make the "
      "volume with a larger quota",
      FormatSize(growth), name_, FormatSize(usage()), FormatSize(quota_)));
}

uint64_t Volume::NameKeyOf(std::string_view name) const {
  return layout::NameKey(name, catalog_->header().hash_seed);
}

// ---- tables

// Ids grow: the place of a new object is before the first blob, that of a new blob at the end.
Entry& Volume::AddEntry(ObjectId id, Ref ref, bool owned) {
  const auto place = id.is_blob() ? entries_.end() : first_blob_;
  const auto it =
      entries_.insert_or_assign(place, id.value(), Entry{.ref = ref, .owned = owned ? 1U : 0U});
  if (!id.is_blob()) {
    ++objects_;
  } else if (first_blob_ == entries_.end() || it->first < first_blob_->first) {
    first_blob_ = it;
  }
  return it->second;
}

void Volume::AddEdges(uint64_t id, const Entry& entry) {
  const auto add = [&](uint64_t child) {
    const auto it = entries_.find(child);
    if (it == entries_.end()) return;
    ++it->second.parents;
    parents_.emplace(child, id);
  };
  const Children children = ChildrenOf(id, entry);
  std::ranges::for_each(children.parts, add);
  std::ranges::for_each(children.chunks, add);
}

void Volume::LinkName(std::string_view name, const NameEntry& entry,
                      std::chrono::nanoseconds linger) {
  auto it = names_.find(name);
  if (it != names_.end()) UnlinkName(it);
  it = names_.insert_or_assign(std::string(name), entry).first;
  if (const auto object = entries_.find(entry.id); object != entries_.end()) {
    ++object->second.names;
  }
  names_of_.emplace(entry.id, it->first);
  if (entry.ends) name_ends_.emplace(*entry.ends, it->first);
  if (entry.client != 0) leases_[{entry.client, it->first}] = linger;
  hidden_names_ += it->first.front() == kHiddenName ? 1 : 0;
}

// Takes the name from its object; the entry of names_ itself stays.
void Volume::UnlinkName(Names::iterator it) {
  const uint64_t id = it->second.id;
  ForgetName(*it);
  if (const auto entry = entries_.find(id); entry != entries_.end()) --entry->second.names;
  names_of_.erase({id, it->first});
}

// ---- recovery

bool Volume::AdoptEntry(ObjectId id, Ref ref) {
  const layout::RecordFields& f = layout::FieldsOf(Record(Entry{.ref = ref}));
  AddEntry(id, ref, (f.flags & layout::kFlagOwned) != 0);
  return catalog_->index().Apply(id.value(), Ref(), ref);
}

bool Volume::AdoptName(std::string_view name, Ref ref) {
  const std::byte* record = Record(Entry{.ref = ref});
  const layout::RecordFields& f = layout::FieldsOf(record);
  const auto term = *layout::ReadNameTerm(layout::BytesOf(record));  // checked
  NameEntry entry{ref, f.value, f.version, {}, term.client};
  if (term.ends_ns) entry.ends = os::TimePoint(std::chrono::nanoseconds(*term.ends_ns));
  if (term.client != 0) host_.clients().Retire(term.client);
  LinkName(name, entry, std::chrono::nanoseconds(term.linger_ns));
  if (Keeps(ref)) keeping_.try_emplace(names_.find(name)->first);  // see DeriveKept
  return catalog_->index().Apply(NameKeyOf(name), Ref(), ref);
}

void Volume::DeriveReferences() {
  if (!parents_.empty()) {
    parents_.clear();
    for (auto& [id, entry] : entries_) entry.parents = 0;
  }
  for (const auto& [id, entry] : entries_) AddEdges(id, entry);
}

bool Volume::MoveSome(size_t records) {
  const std::vector<Ref> refs = arenas_.NextToMove(records);
  const ArenaSet::Overdraft overdraft(arenas_);
  for (const Ref ref : refs) {
    const std::byte* record = arenas_.At(ref);
    const RecordFields fields = layout::FieldsOf(record);
    const auto head = layout::HeadOf(record);
    const std::string_view name(reinterpret_cast<const char*>(head.data()), head.size());
    Transaction tx(*this, Transaction::Purpose::kMoves);
    auto fresh = tx.Stage(fields, head, layout::BytesOf(record));
    if (!fresh.ok()) return false;  // no room now; another time
    tx.Change(fields.id, ref, *fresh);
    // The entry first: after the commit the old record, and `name` with it, is gone.
    Ref& place = fields.kind == RecordKind::kName     ? names_.find(name)->second.ref
                 : fields.kind == RecordKind::kStream ? streams_.at(fields.id).ref
                                                      : entries_.at(fields.id).ref;
    if (!tx.Commit(host_.ledger(), nullptr, nullptr, {}).ok()) return false;
    place = *fresh;
  }
  return !refs.empty();
}

}  // namespace vineyard::store
