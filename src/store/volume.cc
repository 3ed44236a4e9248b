// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/volume.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <limits>

#include <fmt/format.h>

#include "os/process.h"

namespace vineyard::store {

using layout::Answer;
using layout::RecordFields;
using layout::RecordKind;
using layout::Ref;

namespace {

constexpr size_t kMaxName = 4096;
constexpr size_t kMaxTypeName = 4096;

int64_t UnixNanoseconds() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
}

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

const fb::Descriptor* DescriptorOf(const std::byte* record) {
  return flatbuffers::GetRoot<fb::Descriptor>(layout::HeadOf(record).data());
}

// Members, and blobs of others that it has buffers in.
std::set<uint64_t> ReferredTo(const fb::Descriptor& d) {
  std::set<uint64_t> ids;
  if (d.members() != nullptr) {
    for (const fb::Member* m : *d.members()) ids.insert(m->id());
  }
  if (d.buffers() != nullptr) {
    for (const fb::BufferRange* b : *d.buffers()) {
      if (b->blob() != 0) ids.insert(b->blob());
    }
  }
  return ids;
}

uint64_t CreatorWord(const Request& request) {
  if (request.client == nullptr) return 0;
  return (request.client->pid & 0xffffffff) | request.client->uid << 32;
}

}  // namespace

Volume::Volume(uint64_t id, std::string name, uint64_t quota, VolumeHost& host, Budget& budget,
               MemoryKeeper& keeper, RunOnPool pool)
    : id_(id), name_(std::move(name)), quota_(quota), host_(host),
      arenas_(id, budget, keeper, std::move(pool), [this] {
        if (catalog_) catalog_->AnnounceClosed();
      }) {}

Volume::~Volume() = default;

// ---- checks

Status Volume::CheckName(std::string_view name, std::optional<uint64_t> if_version) const {
  if (name.empty() || name.size() > kMaxName) {
    return Status::Invalid(fmt::format("a name has 1 to {} bytes, not {}", kMaxName, name.size()));
  }
  if (name.find('\0') != std::string_view::npos) return Status::Invalid("a name has a NUL byte");
  if (if_version.has_value()) {
    const NameEntry* now = FindName(name);
    const uint64_t version = now ? now->version : 0;
    if (version != *if_version) {
      return Status::Conflict(
          fmt::format("name '{}' has version {}, not {}", name, version, *if_version));
    }
  }
  return {};
}

Status Volume::CheckDescriptor(const fb::Descriptor& d, uint64_t own_size, ObjectId id) const {
  if (d.type_name()->size() == 0 || d.type_name()->size() > kMaxTypeName) {
    return Status::Invalid(
        fmt::format("a typename has 1 to {} bytes, not {}", kMaxTypeName, d.type_name()->size()));
  }
  if (d.buffers() != nullptr) {
    for (const fb::BufferRange* b : *d.buffers()) {
      uint64_t size = own_size;
      if (b->blob() != 0) {
        const Entry* blob = ObjectId(b->blob()).is_blob() ? Find(ObjectId(b->blob())) : nullptr;
        if (blob == nullptr) {
          return Status::NotFound(fmt::format("no blob {} in volume '{}' for a buffer",
                                              ObjectId(b->blob()).ToString(), name_));
        }
        size = layout::FieldsOf(Record(*blob)).value;
      }
      if (b->offset() > size || b->length() > size - b->offset()) {
        return Status::Invalid(fmt::format("a buffer of {} bytes at {} ends behind its blob of {}",
                                           b->length(), b->offset(), size));
      }
    }
  }
  if (d.members() != nullptr) {
    for (const fb::Member* m : *d.members()) {
      if (m->id() == id.value() || Find(ObjectId(m->id())) == nullptr) {
        return Status::NotFound(fmt::format("no object {} in volume '{}' for member '{}'",
                                            ObjectId(m->id()).ToString(), name_, m->key()->str()));
      }
    }
  }
  return {};
}

uint64_t Volume::QuotaLeft() const {
  if (quota_ == 0) return std::numeric_limits<uint64_t>::max();
  return usage() >= quota_ ? 0 : quota_ - usage();
}

uint64_t Volume::NameKeyOf(std::string_view name) const {
  return layout::NameKey(name, catalog_->header().hash_seed);
}

// ---- questions

const Entry* Volume::Find(ObjectId id) const {
  const auto it = entries_.find(id.value());
  return it == entries_.end() ? nullptr : &it->second;
}

const NameEntry* Volume::FindName(std::string_view name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : &it->second;
}

std::set<uint64_t> Volume::Children(uint64_t id, const Entry& entry) const {
  if (entry.ref.kind() != RecordKind::kObject) return {};
  const std::byte* record = Record(entry);
  std::set<uint64_t> children = ReferredTo(*DescriptorOf(record));
  if ((layout::FieldsOf(record).flags & layout::kFlagExtent) != 0) {
    children.insert(ObjectId(id).own_blob().value());
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

// ---- tables

void Volume::AddEntry(ObjectId id, Ref ref, bool owned) {
  entries_[id.value()] = {.ref = ref, .owned = owned};
  if (!id.is_blob()) ++objects_;
}

void Volume::AddEdges(uint64_t id, const Entry& entry) {
  for (const uint64_t child : Children(id, entry)) {
    const auto it = entries_.find(child);
    if (it == entries_.end()) continue;
    ++it->second.parents;
    parents_.emplace(child, id);
  }
}

void Volume::LinkName(std::string_view name, ObjectId id, Ref ref, uint64_t version) {
  auto it = names_.find(name);
  if (it != names_.end()) UnlinkName(it);
  it = names_.insert_or_assign(std::string(name), NameEntry{ref, id.value(), version}).first;
  if (const auto entry = entries_.find(id.value()); entry != entries_.end()) {
    ++entry->second.names;
  }
  names_of_.emplace(id.value(), it->first);
}

// Takes the name from its object; the entry of names_ itself stays.
void Volume::UnlinkName(std::map<std::string, NameEntry, std::less<>>::iterator it) {
  const uint64_t id = it->second.id;
  if (const auto entry = entries_.find(id); entry != entries_.end()) --entry->second.names;
  const auto [begin, end] = names_of_.equal_range(id);
  for (auto n = begin; n != end; ++n) {
    if (n->second == it->first) {
      names_of_.erase(n);
      break;
    }
  }
}

// ---- what goes

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

// ---- changes

Result<Ref> Volume::StageName(Transaction& tx, std::string_view name, ObjectId id,
                              const NameEntry* old, bool owns, const Request& request) const {
  RecordFields fields;
  fields.kind = RecordKind::kName;
  fields.flags = owns ? layout::kFlagOwned : 0;
  fields.id = NameKeyOf(name);
  fields.value = id.value();
  fields.version = (old ? old->version : 0) + 1;
  fields.creator = CreatorWord(request);
  VY_ASSIGN_OR_RETURN(const Ref ref, tx.Stage(fields, Bytes(name), {}));
  tx.Change(fields.id, old ? old->ref : Ref(), ref);
  return ref;
}

Result<Answer> Volume::Put(const Request& request, const PutArgs& args) {
  const bool is_object = !args.descriptor.empty();
  const bool in_extent = args.extent != nullptr && !args.extent->chunks.empty();
  const NameEntry* old_name = nullptr;
  if (!args.name.empty()) {
    VY_RETURN_IF_ERROR(CheckName(args.name, args.if_version));
    old_name = FindName(args.name);
  }
  std::vector<uint64_t> descriptor((args.descriptor.size() + 7) / 8);
  const std::span<std::byte> head =
      std::as_writable_bytes(std::span(descriptor)).first(args.descriptor.size());
  if (is_object) {
    std::memcpy(head.data(), args.descriptor.data(), head.size());
    const auto* d = flatbuffers::GetRoot<fb::Descriptor>(head.data());
    VY_RETURN_IF_ERROR(CheckDescriptor(*d, args.own_size, args.id));
    wire::StampDescriptor(
        head, fb::Stamp(args.id.value(), UnixNanoseconds(),
                        static_cast<uint32_t>(request.client ? request.client->pid : 0),
                        static_cast<uint32_t>(request.client ? request.client->uid : 0)));
  }
  const ObjectId blob = args.id.own_blob();
  const ObjectId id = is_object ? args.id : blob;

  Transaction tx(*this);
  RecordFields fields;
  fields.value = args.own_size;
  fields.creator = CreatorWord(request);
  Ref object_ref;
  Ref blob_ref;
  if (in_extent || !is_object) {
    std::vector<layout::ChunkEntry> chunks;
    if (in_extent) {
      for (const Chunk& chunk : args.extent->chunks) chunks.push_back({chunk.size});
    }
    RecordFields f = fields;
    f.kind = RecordKind::kBlob;
    const bool owned = !is_object && !args.name.empty();
    f.flags = static_cast<uint8_t>((in_extent ? layout::kFlagExtent : 0) |
                                   (owned ? layout::kFlagOwned : 0));
    f.id = blob.value();
    VY_ASSIGN_OR_RETURN(blob_ref, tx.Stage(f, std::as_bytes(std::span(chunks)), args.bytes));
    tx.Change(blob.value(), Ref(), blob_ref);
  }
  if (is_object) {
    RecordFields f = fields;
    f.kind = RecordKind::kObject;
    f.flags = static_cast<uint8_t>((in_extent ? layout::kFlagExtent : 0) |
                                   (args.name.empty() ? 0 : layout::kFlagOwned));
    f.id = id.value();
    VY_ASSIGN_OR_RETURN(object_ref, tx.Stage(f, head, args.bytes));
    tx.Change(id.value(), Ref(), object_ref);
  }
  Removal removal;
  Ref name_ref;
  Answer answer{request.number, id.value(), 0, 0};
  if (!args.name.empty()) {
    VY_ASSIGN_OR_RETURN(name_ref, StageName(tx, args.name, id, old_name, true, request));
    answer.value = old_name ? old_name->version + 1 : 1;
    if (old_name != nullptr) {
      std::set<uint64_t> keep;
      if (is_object) keep = ReferredTo(*flatbuffers::GetRoot<fb::Descriptor>(head.data()));
      removal = PlanUnnaming(*old_name, std::move(keep));
      StageRemoval(tx, removal, args.name);
    }
  }
  os::CrashPoint("put.staged");
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));

  if (!blob_ref.is_null()) AddEntry(blob, blob_ref, false);
  if (!object_ref.is_null()) {
    AddEntry(id, object_ref, !args.name.empty());
    AddEdges(id.value(), entries_.at(id.value()));
  } else if (!args.name.empty()) {
    entries_.at(id.value()).owned = true;
  }
  if (args.extent != nullptr) TakeReservation(*args.extent, args.own_size);
  if (!args.name.empty()) {
    LinkName(args.name, id, name_ref, answer.value);
    ForgetRemoved(removal);
    host_.NameChanged(*this, std::string(args.name));
  }
  return answer;
}

// What was published is its client's reservation no more, and outlives it.
void Volume::TakeReservation(Extent& extent, uint64_t size) {
  if (ClientState* owner = host_.clients().Find(extent.owner)) {
    owner->reservations.erase(extent.blob.value());
  }
  extent.state = ExtentState::kSealed;
  extent.owner = 0;
  extent.size = size;
}

Result<Answer> Volume::PutName(const Request& request, std::string_view name, ObjectId id,
                               std::optional<uint64_t> if_version) {
  VY_RETURN_IF_ERROR(CheckName(name, if_version));
  if (Find(id) == nullptr) {
    return Status::NotFound(fmt::format("no object {} in volume '{}'", id.ToString(), name_));
  }
  const NameEntry* old = FindName(name);
  Transaction tx(*this);
  VY_ASSIGN_OR_RETURN(const Ref ref, StageName(tx, name, id, old, false, request));
  Removal removal;
  if (old != nullptr && old->id != id.value()) {
    removal = PlanUnnaming(*old, {id.value()});
    StageRemoval(tx, removal, name);
  }
  const Answer answer{request.number, id.value(), old ? old->version + 1 : 1, 0};
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));
  LinkName(name, id, ref, answer.value);
  ForgetRemoved(removal);
  host_.NameChanged(*this, std::string(name));
  return answer;
}

Result<Answer> Volume::DropName(const Request& request, std::string_view name,
                                std::optional<uint64_t> if_version) {
  VY_RETURN_IF_ERROR(CheckName(name, if_version));
  const auto it = names_.find(name);
  if (it == names_.end()) {
    return Status::NotFound(fmt::format("no name '{}' in volume '{}'", name, name_));
  }
  const Removal removal = PlanUnnaming(it->second, {});
  Transaction tx(*this);
  tx.Change(NameKeyOf(name), it->second.ref, Ref());
  StageRemoval(tx, removal, name);
  const Answer answer{request.number, it->second.id, removal.objects, 0};
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));
  UnlinkName(it);
  names_.erase(it);
  ForgetRemoved(removal);
  return answer;
}

Result<Answer> Volume::Delete(const Request& request, std::span<const uint64_t> ids, bool deep,
                              bool force) {
  VY_ASSIGN_OR_RETURN(const Removal removal, PlanRemoval(ids, {deep, force, {}}));
  Transaction tx(*this);
  StageRemoval(tx, removal, {});
  const uint64_t gone = removal.objects > 0 ? removal.objects : removal.ids.size();
  const Answer answer{request.number, 0, gone, 0};
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));
  os::CrashPoint("delete.committed");
  ForgetRemoved(removal);
  return answer;
}

Result<Answer> Volume::SetLabels(const Request& request, ObjectId id,
                                 const std::vector<Label>& labels) {
  const auto it = entries_.find(id.value());
  if (it == entries_.end() || it->second.ref.kind() != RecordKind::kObject) {
    return Status::NotFound(fmt::format("no object {} in volume '{}'", id.ToString(), name_));
  }
  const std::byte* record = Record(it->second);
  ObjectInfo info = wire::ToObjectInfo(*DescriptorOf(record));
  for (const Label& label : labels) {
    const auto same = std::ranges::find(info.labels, label.key, &Label::key);
    if (same != info.labels.end()) {
      same->value = label.value;
    } else {
      info.labels.push_back(label);
    }
  }
  const std::vector<std::byte> head = wire::EncodeDescriptor(info);
  Transaction tx(*this);
  VY_ASSIGN_OR_RETURN(const Ref ref,
                      tx.Stage(layout::FieldsOf(record), head, layout::BytesOf(record)));
  tx.Change(id.value(), it->second.ref, ref);
  const Answer answer{request.number, id.value(), 0, 0};
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));
  it->second.ref = ref;
  return answer;
}

// ---- recovery

bool Volume::AdoptEntry(ObjectId id, Ref ref) {
  const layout::RecordFields& f = layout::FieldsOf(Record(Entry{.ref = ref}));
  AddEntry(id, ref, (f.flags & layout::kFlagOwned) != 0);
  return catalog_->index().Apply(id.value(), Ref(), ref);
}

bool Volume::AdoptName(std::string_view name, Ref ref) {
  const layout::RecordFields& f = layout::FieldsOf(Record(Entry{.ref = ref}));
  LinkName(name, ObjectId(f.value), ref, f.version);
  return catalog_->index().Apply(NameKeyOf(name), Ref(), ref);
}

void Volume::DeriveReferences() {
  for (const auto& [id, entry] : entries_) AddEdges(id, entry);
}

bool Volume::MoveSome(size_t records) {
  const std::vector<Ref> refs = arenas_.NextToMove(records);
  const ArenaSet::Overdraft overdraft(arenas_);
  for (const Ref ref : refs) {
    const std::byte* record = arenas_.At(ref);
    const RecordFields fields = layout::FieldsOf(record);
    const bool is_name = fields.kind == RecordKind::kName;
    const auto head = layout::HeadOf(record);
    const std::string_view name(reinterpret_cast<const char*>(head.data()), head.size());
    Transaction tx(*this);
    auto fresh = tx.Stage(fields, head, layout::BytesOf(record));
    if (!fresh.ok()) return false;  // no room now; another time
    tx.Change(fields.id, ref, *fresh);
    // The entry first: after the commit the old record, and `name` with it, is gone.
    Ref& place = is_name ? names_.find(name)->second.ref : entries_.at(fields.id).ref;
    if (!tx.Commit(host_.ledger(), nullptr, nullptr, {}).ok()) return false;
    place = *fresh;
  }
  return !refs.empty();
}

}  // namespace vineyard::store
