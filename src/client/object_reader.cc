// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// How objects are read: from shared memory where they are there, with a request where they are not.
#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "client/impl.h"

namespace vineyard {

std::optional<ObjectId> Object::member(std::string_view key) const {
  const auto it = std::ranges::find(info_.members, key, &Member::key);
  return it == info_.members.end() ? std::nullopt : std::optional(it->id);
}

}  // namespace vineyard

namespace vineyard::client {

using flatbuffers::FlatBufferBuilder;
using layout::RecordCopy;

namespace {

using SharedRecord = std::shared_ptr<const RecordCopy>;
using SharedExtent = std::shared_ptr<const MappedExtent>;

bool InExtent(const RecordCopy& record) {
  return (record.fields().flags & layout::kFlagExtent) != 0;
}

// The descriptors of one extent, off the front of those that came along.
Result<std::vector<os::FilePart>> TakeParts(const fb::Extent& extent,
                                            std::span<const os::UniqueFd>* fds) {
  std::vector<os::FilePart> parts;
  uint64_t pages = 0;
  const size_t chunks = extent.chunks() ? extent.chunks()->size() : 0;
  if (chunks == 0 || chunks > fds->size()) {
    return Status::Protocol("descriptors of an extent are missing");
  }
  for (const uint64_t size : *extent.chunks()) {
    parts.push_back({fds->front().get(), size});
    pages += size;
    *fds = fds->subspan(1);
  }
  if (extent.size() > pages) return Status::Protocol("an extent is shorter than its blob");
  return parts;
}

// Takes the openings that came with an answer into the cache, and keeps them alive for the caller.
Status TakeExtents(Connection& connection, Answer& answer, std::vector<SharedExtent>* keep) {
  const fb::Got* got = answer.reply().body_as_Got();
  if (got == nullptr) return Status::Protocol("the instance's answer to a get is none");
  if (got->extents() == nullptr) return {};
  std::span<const os::UniqueFd> fds(answer.fds);
  for (const fb::Extent* e : *got->extents()) {
    VY_ASSIGN_OR_RETURN(const std::vector<os::FilePart> parts, TakeParts(*e, &fds));
    VY_ASSIGN_OR_RETURN(os::Mapping mapping, os::Mapping::Open(parts, os::Access::kRead));
    keep->push_back(connection.extents().Add(ObjectId(e->blob()), std::move(mapping), e->size()));
  }
  return {};
}

// So few that their descriptors, which are closed once they are mapped, have room among those that a process
// has from its start (64). The kernel makes room for more in a program with threads by a grace period of RCU:
// about 10 ms, where another request takes 0.05.
constexpr size_t kExtentsAtOnce = 8;

// The instance may have to wait for memory, or for its disk. `object`: all its extents are wanted; null: they
// are several objects', or nobody's.
Result<Answer> AskForExtents(Connection& connection, std::span<const uint64_t> blobs,
                             ObjectId object, os::TimePoint deadline) {
  const Outgoing open = Question(fb::RequestBody::OpenExtents, [&](FlatBufferBuilder& b, uint64_t) {
    return fb::CreateOpenExtents(b, b.CreateVector(blobs.data(), blobs.size()),
                                 MillisecondsUntil(deadline), object.value())
        .Union();
  });
  return connection.Call(open, WithGrace(deadline));
}

struct Asked {
  RecordCopy record;
  ObjectId id;
  NameInfo name;
  std::vector<SharedExtent> extents;
};

Result<Asked> ReadAnswer(Connection& connection, Answer answer) {
  Asked asked;
  VY_RETURN_IF_ERROR(TakeExtents(connection, answer, &asked.extents));
  auto record = RecordCopy::FromMessage(answer.payload);
  if (!record) return Status::Protocol("the instance's record is malformed");
  asked.record = std::move(*record);
  asked.id = ObjectId(answer.reply().body_as_Got()->id());
  const fb::Got& got = *answer.reply().body_as_Got();
  asked.name = {.id = asked.id,
                .version = got.name_version(),
                .ttl = TtlOf(got.name_ttl_ms()),
                .linger = LingerOf(got.name_client(), got.name_linger_ms()),
                .client_pid = got.name_client(),
                .durable = got.name_durable(),
                .keep = got.name_keeps()};
  return asked;
}

NameInfo InfoOf(const RecordCopy& name) {
  NameInfo info{.name = std::string(name.head_text()),
                .id = ObjectId(name.fields().value),
                .version = name.fields().version,
                .durable = (name.fields().flags & layout::kFlagDurable) != 0,
                .keep = (name.fields().flags & layout::kFlagKeeps) != 0};
  const auto term = layout::ReadNameTerm(name.bytes());
  if (!term) return info;
  if (term->ends_ns) {
    const os::TimePoint at{std::chrono::nanoseconds(*term->ends_ns)};
    // At least a millisecond: the instance is about to drop it.
    info.ttl = std::max(std::chrono::ceil<Timeout>(at - os::Clock::now()), Timeout(1));
  }
  if (term->client != 0) {
    info.linger = std::chrono::ceil<Timeout>(std::chrono::nanoseconds(term->linger_ns));
    info.client_pid = name.fields().creator & 0xffffffff;
  }
  return info;
}

Result<Asked> AskById(Connection& connection, ObjectId id, bool open_extents,
                      os::TimePoint deadline) {
  const Outgoing request = Question(fb::RequestBody::Get, [&](FlatBufferBuilder& b, uint64_t) {
    return fb::CreateGet(b, id.value(), 0, false, MillisecondsUntil(deadline), open_extents)
        .Union();
  });
  VY_ASSIGN_OR_RETURN(Answer answer, connection.Call(request, WithGrace(deadline)));
  return ReadAnswer(connection, std::move(answer));
}

Result<Asked> AskByName(Connection& connection, std::string_view name, bool wait, bool open_extents,
                        os::TimePoint deadline) {
  const Outgoing request = Question(fb::RequestBody::Get, [&](FlatBufferBuilder& b, uint64_t) {
    const auto text = b.CreateString(name.data(), name.size());
    return fb::CreateGet(b, 0, text, wait, MillisecondsUntil(deadline), open_extents).Union();
  });
  VY_ASSIGN_OR_RETURN(Answer answer, connection.Call(request, WithGrace(deadline)));
  return ReadAnswer(connection, std::move(answer));
}

// Mappings of these extents: those we have, and from the instance those we have not. Deleted ones are
// missing from the result.
Result<std::vector<SharedExtent>> OpenExtents(Connection& connection,
                                              const std::vector<ObjectId>& blobs, ObjectId object,
                                              os::TimePoint deadline) {
  std::vector<SharedExtent> extents;
  std::vector<uint64_t> missing;
  for (const ObjectId blob : blobs) {
    if (SharedExtent have = connection.extents().Find(blob)) {
      extents.push_back(std::move(have));
    } else {
      missing.push_back(blob.value());
    }
  }
  while (!missing.empty()) {
    const std::span<const uint64_t> now(missing.data(), std::min(missing.size(), kExtentsAtOnce));
    const size_t had = extents.size();
    VY_ASSIGN_OR_RETURN(Answer answer, AskForExtents(connection, now, object, deadline));
    VY_RETURN_IF_ERROR(TakeExtents(connection, answer, &extents));
    missing.erase(missing.begin(), missing.begin() + static_cast<ptrdiff_t>(now.size()));
    if (extents.size() - had <= now.size()) continue;
    // More than were asked for came along, since they came from the disk together.
    std::unordered_set<uint64_t> came;
    for (size_t i = had; i < extents.size(); ++i) came.insert(extents[i]->blob.value());
    std::erase_if(missing, [&](uint64_t blob) { return came.contains(blob); });
  }
  return extents;
}

Blob WholeExtent(const SharedExtent& extent) {
  return {extent->blob, 0, std::span<const std::byte>(extent->mapping.bytes()).first(extent->size),
          extent, extent.get()};
}

Blob InlineBytes(ObjectId blob, const SharedRecord& record) {
  return {blob, 0, record->bytes(), record, nullptr};
}

/// Puts an object's buffers together from its record, extents, and blobs of others.
class BufferResolver {
 public:
  BufferResolver(Connection& connection, SharedRecord record, ObjectId id,
                 std::vector<SharedExtent> extents, os::TimePoint deadline)
      : connection_(connection), record_(std::move(record)), id_(id), extents_(std::move(extents)),
        deadline_(deadline) {}

  Result<std::vector<Blob>> Resolve(const std::vector<BufferRef>& refs) {
    std::vector<ObjectId> needed;
    for (const BufferRef& ref : refs) {
      if (!IsInline(ref.blob) && Find(ref.blob) == nullptr) needed.push_back(ref.blob);
    }
    std::ranges::sort(needed);
    needed.erase(std::ranges::unique(needed).begin(), needed.end());
    if (!needed.empty()) {
      VY_ASSIGN_OR_RETURN(auto opened, OpenExtents(connection_, needed, id_, deadline_));
      std::ranges::move(opened, std::back_inserter(extents_));
    }
    std::vector<Blob> buffers;
    buffers.reserve(refs.size());
    for (const BufferRef& ref : refs) {
      VY_ASSIGN_OR_RETURN(const Blob whole, Whole(ref.blob));
      if (ref.offset > whole.size() || ref.length > whole.size() - ref.offset) {
        return Status::Corrupted(
            fmt::format("object {}: a buffer of {} bytes at {} ends behind its "
                        "blob of {}",
                        id_.ToString(), ref.length, ref.offset, whole.size()));
      }
      buffers.push_back(whole.Slice(ref.offset, ref.length));
    }
    return buffers;
  }

 private:
  [[nodiscard]] bool IsInline(ObjectId blob) const {
    return blob == id_.own_blob() && !InExtent(*record_);
  }
  [[nodiscard]] const SharedExtent* Find(ObjectId blob) const {
    const auto it =
        std::ranges::find(extents_, blob, [](const SharedExtent& e) { return e->blob; });
    return it == extents_.end() ? nullptr : &*it;
  }
  Result<Blob> Whole(ObjectId blob) {
    if (IsInline(blob)) return InlineBytes(blob, record_);
    if (const SharedExtent* extent = Find(blob)) return WholeExtent(*extent);
    return GetBlob(connection_, blob, deadline_);  // small, and made alone
  }

  Connection& connection_;
  SharedRecord record_;
  ObjectId id_;
  std::vector<SharedExtent> extents_;
  os::TimePoint deadline_;
};

Result<Object> MakeObject(Connection& connection, RecordCopy copy,
                          std::vector<SharedExtent> extents, const GetOptions& options,
                          os::TimePoint deadline) {
  const auto record = std::make_shared<const RecordCopy>(std::move(copy));
  auto descriptor = wire::DecodeDescriptor(record->head());
  if (!descriptor.ok()) {
    return Status::Corrupted(
        fmt::format("object {:016x}: {}", record->fields().id, descriptor.status().message()));
  }
  ObjectInfo info = wire::ToObjectInfo(**descriptor);
  std::vector<Blob> buffers;
  if (options.map_buffers) {
    BufferResolver resolver(connection, record, info.id, std::move(extents), deadline);
    VY_ASSIGN_OR_RETURN(buffers, resolver.Resolve(info.buffers));
  }
  return Object(std::move(info), std::move(buffers));
}

// The extents that objects which can be read without a request have buffers in.
std::vector<SharedExtent> MapAhead(Connection& connection, std::span<const ObjectId> ids,
                                   os::TimePoint deadline) {
  constexpr size_t kAtOnce = 512;
  std::vector<SharedExtent> mapped;
  std::vector<ObjectId> wanted;
  const auto map_wanted = [&] {
    std::ranges::sort(wanted);
    wanted.erase(std::ranges::unique(wanted).begin(), wanted.end());
    if (auto opened = OpenExtents(connection, wanted, ObjectId(), deadline); opened.ok()) {
      std::ranges::move(*opened, std::back_inserter(mapped));
    }
    wanted.clear();
  };
  for (const ObjectId id : ids) {
    RecordCopy copy;
    auto outcome = connection.Read(id, &copy, deadline);
    if (!outcome.ok() || *outcome != Outcome::kHit) continue;
    auto descriptor = wire::DecodeDescriptor(copy.head());
    if (!descriptor.ok()) continue;
    for (const BufferRef& ref : wire::ToObjectInfo(**descriptor).buffers) {
      if (ref.blob != id.own_blob() || InExtent(copy)) wanted.push_back(ref.blob);
    }
    if (wanted.size() >= kAtOnce) map_wanted();
  }
  if (!wanted.empty()) map_wanted();
  return mapped;
}

}  // namespace

Result<os::Mapping> MapPrivate(Connection& connection, ObjectId blob, os::TimePoint deadline) {
  const std::vector<uint64_t> blobs{blob.value()};
  VY_ASSIGN_OR_RETURN(const Answer answer, AskForExtents(connection, blobs, ObjectId(), deadline));
  const fb::Got* got = answer.reply().body_as_Got();
  if (got == nullptr) return Status::Protocol("the instance's answer to a get is none");
  if (got->extents() == nullptr || got->extents()->size() != 1) {
    return Status::NotFound(blob.ToString() + " has been deleted");
  }
  std::span<const os::UniqueFd> fds(answer.fds);
  VY_ASSIGN_OR_RETURN(const auto parts, TakeParts(*got->extents()->Get(0), &fds));
  VY_ASSIGN_OR_RETURN(os::Mapping mapping, os::Mapping::Open(parts, os::Access::kRead));
  VY_RETURN_IF_ERROR(mapping.MakePrivate(parts));
  return mapping;
}

Result<Object> GetObject(Connection& connection, ObjectId id, const GetOptions& options) {
  if (id.is_blob()) {
    return Status::TypeMismatch(id.ToString() + " is a blob, not an object");
  }
  const os::TimePoint deadline = connection.Deadline(options.timeout);
  RecordCopy copy;
  VY_ASSIGN_OR_RETURN(const Outcome outcome, connection.Read(id, &copy, deadline));
  if (outcome == Outcome::kHit) {
    auto object = MakeObject(connection, std::move(copy), {}, options, deadline);
    // Deleted between the two readings: the instance says so, in words.
    if (!object.status().Is(StatusCode::kNotFound)) return object;
  }
  VY_ASSIGN_OR_RETURN(Asked asked, AskById(connection, id, options.map_buffers, deadline));
  return MakeObject(connection, std::move(asked.record), std::move(asked.extents), options,
                    deadline);
}

std::vector<Result<Object>> GetObjects(Connection& connection, std::span<const ObjectId> ids,
                                       const GetOptions& options) {
  const os::TimePoint deadline = connection.Deadline(options.timeout);
  // Kept until the objects are made: what they need is found in the cache then. Failures are met again.
  std::vector<SharedExtent> mapped;
  if (options.map_buffers) mapped = MapAhead(connection, ids, deadline);
  std::vector<Result<Object>> objects;
  objects.reserve(ids.size());
  GetOptions rest = options;
  for (const ObjectId id : ids) {
    rest.timeout = std::chrono::milliseconds(MillisecondsUntil(deadline));
    objects.push_back(GetObject(connection, id, rest));
  }
  return objects;
}

Result<Object> GetObject(Connection& connection, std::string_view name, const GetOptions& options) {
  const os::TimePoint deadline = connection.Deadline(options.timeout);
  RecordCopy copy;
  VY_ASSIGN_OR_RETURN(const Outcome outcome, connection.ReadName(name, &copy, deadline));
  if (outcome == Outcome::kHit) {
    auto object = GetObject(connection, ObjectId(copy.fields().value), options);
    // The name was pointed elsewhere meanwhile, and the object went with it.
    if (!object.status().Is(StatusCode::kNotFound)) return object;
  }
  VY_ASSIGN_OR_RETURN(Asked asked,
                      AskByName(connection, name, options.wait, options.map_buffers, deadline));
  if (asked.id.is_blob()) {
    return Status::TypeMismatch(fmt::format("name '{}' points to a blob, not an object", name));
  }
  return MakeObject(connection, std::move(asked.record), std::move(asked.extents), options,
                    deadline);
}

Result<NameInfo> FindName(Connection& connection, std::string_view name,
                          const GetOptions& options) {
  const os::TimePoint deadline = connection.Deadline(options.timeout);
  RecordCopy copy;
  VY_ASSIGN_OR_RETURN(const Outcome outcome, connection.ReadName(name, &copy, deadline));
  if (outcome == Outcome::kHit) return InfoOf(copy);
  VY_ASSIGN_OR_RETURN(Asked asked, AskByName(connection, name, options.wait, false, deadline));
  asked.name.name = name;
  return std::move(asked.name);
}

Result<Blob> GetBlob(Connection& connection, ObjectId id, os::TimePoint deadline) {
  if (!id.is_blob()) return Status::TypeMismatch(id.ToString() + " is an object, not a blob");
  if (SharedExtent have = connection.extents().Find(id)) {
    // It may have been deleted since; then it must not be found, though its bytes are here.
    RecordCopy copy;
    VY_ASSIGN_OR_RETURN(const Outcome outcome, connection.Read(id, &copy, deadline));
    if (outcome == Outcome::kHit) return WholeExtent(have);
  }
  RecordCopy copy;
  VY_ASSIGN_OR_RETURN(Outcome outcome, connection.Read(id, &copy, deadline));
  if (outcome == Outcome::kHit && !InExtent(copy)) {
    return InlineBytes(id, std::make_shared<const RecordCopy>(std::move(copy)));
  }
  if (outcome == Outcome::kMiss) {
    // Stored within the record of the object that put it?
    VY_ASSIGN_OR_RETURN(outcome, connection.Read(id.owner_of_blob(), &copy, deadline));
    if (outcome == Outcome::kHit && !InExtent(copy)) {
      return InlineBytes(id, std::make_shared<const RecordCopy>(std::move(copy)));
    }
  }
  auto asked = AskById(connection, id, true, deadline);
  if (asked.status().Is(StatusCode::kNotFound)) {
    auto owner = AskById(connection, id.owner_of_blob(), false, deadline);
    if (!owner.ok() || InExtent(owner->record)) return asked.status();
    return InlineBytes(id, std::make_shared<const RecordCopy>(std::move(owner->record)));
  }
  if (!asked.ok()) return asked.status();
  if (!asked->extents.empty()) return WholeExtent(asked->extents[0]);
  return InlineBytes(id, std::make_shared<const RecordCopy>(std::move(asked->record)));
}

}  // namespace vineyard::client
