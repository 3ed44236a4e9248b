// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The changes of a volume: what is checked first, what is staged, what follows the commit.
#include <algorithm>
#include <chrono>
#include <cstring>

#include <fmt/format.h>

#include "os/crash_point.h"
#include "store/references.h"
#include "store/volume.h"

namespace vineyard::store {

using layout::Answer;
using layout::RecordFields;
using layout::RecordKind;
using layout::Ref;
using layout::StreamState;

namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxTypeName = 4096;
constexpr size_t kMaxLabels = size_t{1} << 20;

int64_t UnixNanoseconds() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
}

std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// Whose end is the name's too; 0: nobody's.
uint64_t ClientOf(const Request& request, const std::optional<std::chrono::nanoseconds>& linger) {
  return linger ? request.client->key : 0;
}

uint64_t CreatorWord(const Request& request) {
  if (request.client == nullptr) return 0;
  return (request.client->pid & 0xffffffff) | request.client->uid << 32;
}

}  // namespace

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

Status Volume::CheckDescriptor(const fb::Descriptor& d, const PutArgs& args) const {
  if (d.type_name()->size() == 0 || d.type_name()->size() > kMaxTypeName) {
    return Status::Invalid(
        fmt::format("a typename has 1 to {} bytes, not {}", kMaxTypeName, d.type_name()->size()));
  }
  std::map<uint64_t, uint64_t> unused;  // of the blobs that come with the object
  for (const SealedExtent& s : args.also) unused.emplace(s.extent->blob.value(), s.size);
  const std::map<uint64_t, uint64_t> sizes = unused;
  if (d.buffers() != nullptr) {
    for (const fb::BufferRange* b : *d.buffers()) {
      uint64_t size = args.own_size;
      const auto fresh = sizes.find(b->blob());
      if (fresh != sizes.end()) {
        size = fresh->second;
        unused.erase(b->blob());
      } else if (b->blob() != 0) {
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
  if (!unused.empty()) {
    return Status::Invalid(fmt::format("blob {} is published with an object that does not use it",
                                       ObjectId(unused.begin()->first).ToString()));
  }
  if (d.members() != nullptr) {
    for (const fb::Member* m : *d.members()) {
      if (m->id() == args.id.value() || Find(ObjectId(m->id())) == nullptr) {
        return Status::NotFound(fmt::format("no object {} in volume '{}' for member '{}'",
                                            ObjectId(m->id()).ToString(), name_, m->key()->str()));
      }
    }
  }
  return {};
}

// ---- changes

Result<Ref> Volume::StageName(Transaction& tx, std::string_view name, ObjectId id,
                              const NameEntry* old, const Naming& naming,
                              const Request& request) const {
  RecordFields fields;
  fields.kind = RecordKind::kName;
  fields.flags = static_cast<uint8_t>((naming.owns ? layout::kFlagOwned : 0) |
                                      (naming.durable ? layout::kFlagDurable : 0) |
                                      (naming.keeps ? layout::kFlagKeeps : 0));
  fields.id = NameKeyOf(name);
  fields.value = id.value();
  fields.version = (old ? old->version : 0) + 1;
  fields.creator = CreatorWord(request);
  layout::NameTerm term;
  if (naming.ends) term.ends_ns = naming.ends->time_since_epoch().count();
  if (naming.linger) {
    term.client = request.client->key;
    term.linger_ns = naming.linger->count();
  }
  VY_ASSIGN_OR_RETURN(const Ref ref, tx.Stage(fields, Bytes(name), layout::WriteNameTerm(term)));
  tx.Change(fields.id, old ? old->ref : Ref(), ref);
  return ref;
}

// The record of a blob; of one in an extent it holds the sizes of its chunks.
Result<Ref> Volume::StageBlob(Transaction& tx, RecordFields fields, ObjectId blob,
                              const Extent* extent, std::span<const std::byte> bytes) const {
  std::vector<layout::ChunkEntry> chunks;
  if (extent != nullptr) {
    for (const Chunk& chunk : extent->chunks) chunks.push_back({chunk.size});
    fields.flags |= layout::kFlagExtent;
  }
  fields.kind = RecordKind::kBlob;
  fields.id = blob.value();
  VY_ASSIGN_OR_RETURN(const Ref ref, tx.Stage(fields, std::as_bytes(std::span(chunks)), bytes));
  tx.Change(blob.value(), Ref(), ref);
  return ref;
}

Result<Answer> Volume::Put(const Request& request, const PutArgs& args) {
  const bool is_object = !args.descriptor.empty();
  const bool in_extent = args.extent != nullptr && !args.extent->chunks.empty();
  const NameEntry* old_name = nullptr;
  std::string name(args.name);
  if (!name.empty()) {
    VY_RETURN_IF_ERROR(CheckName(name, args.if_version));
    old_name = FindName(name);
  } else if (args.name_ends || args.linger) {
    name = kHiddenName + args.id.ToString();
  }
  if (args.keeps && args.name.empty()) {
    return Status::Invalid("it is names that keep something in memory: put it with one");
  }
  if (args.keeps) VY_RETURN_IF_ERROR(CheckMayKeep());
  const bool to_stream = !args.stream.is_null();
  if (args.durable) VY_RETURN_IF_ERROR(CheckDurable(args.linger.has_value(), to_stream));
  if (to_stream) {
    if (!name.empty()) {
      return Status::Invalid("a chunk of a stream is put without a name or a time to live");
    }
    VY_RETURN_IF_ERROR(CheckMayPush(request, args.stream));
  }
  const bool owned = to_stream || !name.empty();
  std::vector<uint64_t> descriptor((args.descriptor.size() + 7) / 8);
  const std::span<std::byte> head =
      std::as_writable_bytes(std::span(descriptor)).first(args.descriptor.size());
  if (is_object) {
    std::memcpy(head.data(), args.descriptor.data(), head.size());
    const auto* d = flatbuffers::GetRoot<fb::Descriptor>(head.data());
    VY_RETURN_IF_ERROR(CheckDescriptor(*d, args));
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
  fields.flags = args.durable ? layout::kFlagDurable : 0;
  Ref object_ref;
  Ref blob_ref;
  if (in_extent || !is_object) {
    RecordFields f = fields;
    if (!is_object && owned) f.flags |= layout::kFlagOwned;
    VY_ASSIGN_OR_RETURN(blob_ref,
                        StageBlob(tx, f, blob, in_extent ? args.extent : nullptr, args.bytes));
  }
  std::vector<Ref> also;
  for (const SealedExtent& s : args.also) {
    RecordFields f = fields;
    f.value = s.size;
    VY_ASSIGN_OR_RETURN(const Ref ref, StageBlob(tx, f, s.extent->blob, s.extent, {}));
    also.push_back(ref);
  }
  if (is_object) {
    RecordFields f = fields;
    f.kind = RecordKind::kObject;
    if (in_extent) f.flags |= layout::kFlagExtent;
    if (owned) f.flags |= layout::kFlagOwned;
    f.id = id.value();
    VY_ASSIGN_OR_RETURN(object_ref, tx.Stage(f, head, args.bytes));
    tx.Change(id.value(), Ref(), object_ref);
  }
  Restaged restaged;
  if (args.durable && is_object) {
    std::vector<uint64_t> parts;
    for (const uint64_t part : ReferredTo(*flatbuffers::GetRoot<fb::Descriptor>(head.data()))) {
      if (entries_.contains(part)) parts.push_back(part);  // else it comes along
    }
    VY_ASSIGN_OR_RETURN(restaged, StageDurable(tx, parts));
  }
  Removal removal;
  Ref name_ref;
  Answer answer{request.number, id.value(), 0, 0};
  if (!name.empty()) {
    const Naming naming{.owns = true,
                        .ends = args.name_ends,
                        .linger = args.linger,
                        .durable = args.durable,
                        .keeps = args.keeps};
    VY_ASSIGN_OR_RETURN(name_ref, StageName(tx, name, id, old_name, naming, request));
    answer.value = old_name ? old_name->version + 1 : 1;
    if (old_name != nullptr) {
      std::set<uint64_t> keep;
      if (is_object) keep = ReferredTo(*flatbuffers::GetRoot<fb::Descriptor>(head.data()));
      removal = PlanUnnaming(*old_name, std::move(keep));
      StageRemoval(tx, removal, name);
    }
  }
  StreamState stream;
  Ref stream_ref;
  if (to_stream) {
    stream = streams_.at(args.stream.value()).state;
    stream.chunks.push_back(id.value());
    answer.value = stream.room();
    VY_ASSIGN_OR_RETURN(stream_ref,
                        StageStream(tx, args.stream, streams_.at(args.stream.value()).ref, stream));
  }
  os::CrashPoint("put.staged");
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));

  TakeRestaged(restaged);
  if (!blob_ref.is_null()) AddEntry(blob, blob_ref, !is_object && owned);
  for (size_t i = 0; i < also.size(); ++i) {
    AddEntry(args.also[i].extent->blob, also[i], false);
    TakeReservation(*args.also[i].extent, args.also[i].size);
  }
  if (!object_ref.is_null()) {
    AddEdges(id.value(), AddEntry(id, object_ref, owned));
  }
  if (args.extent != nullptr) TakeReservation(*args.extent, args.own_size);
  if (!name.empty()) {
    LinkName(name,
             {name_ref, id.value(), answer.value, args.name_ends, ClientOf(request, args.linger)},
             args.linger.value_or(0ns));
    if (args.keeps) Keep(name);
    FinishRemoval(std::move(removal));
    if (name.front() != kHiddenName) host_.NameChanged(*this, name);
  }
  if (to_stream) {
    streams_.at(args.stream.value()) = {stream_ref, std::move(stream)};
    LinkChunk(args.stream, id.value());
    host_.StreamChanged(*this, args.stream);
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
  // A file that was written for a put that came to nothing has another length.
  if (extent.size != size) extent.on_disk = extent.secured = false;
  extent.size = size;
}

Result<Ref> Volume::StageFlagged(Transaction& tx, const Entry& entry, uint8_t flags) const {
  const std::byte* record = Record(entry);
  RecordFields fields = layout::FieldsOf(record);
  fields.flags |= flags;
  VY_ASSIGN_OR_RETURN(const Ref ref,
                      tx.Stage(fields, layout::HeadOf(record), layout::BytesOf(record)));
  tx.Change(fields.id, entry.ref, ref);
  return ref;
}

Result<Answer> Volume::PutName(const Request& request, std::string_view name, ObjectId id,
                               const Naming& naming) {
  VY_RETURN_IF_ERROR(CheckName(name, naming.if_version));
  if (naming.keeps) VY_RETURN_IF_ERROR(CheckMayKeep());
  const auto entry = entries_.find(id.value());
  if (entry == entries_.end()) {
    return Status::NotFound(fmt::format("no object {} in volume '{}'", id.ToString(), name_));
  }
  const NameEntry* old = FindName(name);
  if (old == nullptr) {  // else its record takes the place of the one there is
    VY_RETURN_IF_ERROR(CheckQuota(
        layout::RecordSize(static_cast<uint32_t>(name.size()), sizeof(layout::NameLease))));
  }
  Transaction tx(*this);
  VY_ASSIGN_OR_RETURN(const Ref ref, StageName(tx, name, id, old, naming, request));
  Ref owned;
  const bool becomes_owned = naming.owns && !entry->second.owned;
  Restaged restaged;
  if (naming.durable) {
    VY_RETURN_IF_ERROR(CheckDurable(naming.linger.has_value(), false));
    VY_ASSIGN_OR_RETURN(restaged, StageDurable(tx, std::span(&entry->first, 1),
                                               becomes_owned ? layout::kFlagOwned : 0));
  }
  const bool is_restaged =
      std::ranges::find(restaged, entry->first, &Restaged::value_type::first) != restaged.end();
  if (becomes_owned && !is_restaged) {
    VY_ASSIGN_OR_RETURN(owned, StageFlagged(tx, entry->second, layout::kFlagOwned));
  }
  Removal removal;
  if (old != nullptr && old->id != id.value()) {
    removal = PlanUnnaming(*old, {id.value()});
    StageRemoval(tx, removal, name);
  }
  const Answer answer{request.number, id.value(), old ? old->version + 1 : 1, 0};
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));
  TakeRestaged(restaged);
  if (!owned.is_null()) entry->second.ref = owned;
  if (becomes_owned) entry->second.owned = 1;
  LinkName(name, {ref, id.value(), answer.value, naming.ends, ClientOf(request, naming.linger)},
           naming.linger.value_or(0ns));
  if (naming.keeps) Keep(name);
  FinishRemoval(std::move(removal));
  host_.NameChanged(*this, std::string(name));
  return answer;
}

Result<Answer> Volume::Delete(const Request& request, std::span<const uint64_t> ids, bool deep,
                              bool force) {
  VY_ASSIGN_OR_RETURN(Removal removal, PlanRemoval(ids, {deep, force, {}}));
  Transaction tx(*this);
  StageRemoval(tx, removal, {});
  const uint64_t gone = removal.objects > 0 ? removal.objects : removal.ids.size();
  const Answer answer{request.number, 0, gone, 0};
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));
  os::CrashPoint("delete.committed");
  FinishRemoval(std::move(removal));
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
  size_t size = 0;
  for (const Label& label : info.labels) size += label.key.size() + label.value.size();
  if (size > kMaxLabels) {
    return Status::LimitExceeded(
        fmt::format("the labels of an object have at most {} bytes, not {}", kMaxLabels, size));
  }
  const std::vector<std::byte> head = wire::EncodeDescriptor(info);
  const size_t before = layout::HeadOf(record).size();
  VY_RETURN_IF_ERROR(CheckQuota(head.size() > before ? head.size() - before : 0));
  Transaction tx(*this);
  VY_ASSIGN_OR_RETURN(const Ref ref,
                      tx.Stage(layout::FieldsOf(record), head, layout::BytesOf(record)));
  tx.Change(id.value(), it->second.ref, ref);
  const Answer answer{request.number, id.value(), 0, 0};
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));
  it->second.ref = ref;
  return answer;
}

}  // namespace vineyard::store
