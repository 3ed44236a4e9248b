// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Requests about objects, blobs and their memory.
#include <algorithm>
#include <cstring>
#include <unordered_set>

#include <fmt/format.h>

#include "daemon/request_values.h"
#include "daemon/server.h"
#include "os/memfd.h"
#include "os/process.h"
#include "wire/codec.h"

namespace vineyard::daemon {

using flatbuffers::FlatBufferBuilder;
using store::Extent;
using store::Store;

namespace {

constexpr size_t kMaxSiblings = 64;

flatbuffers::Offset<fb::Extent> Describe(FlatBufferBuilder& b, const Extent& extent) {
  std::vector<uint64_t> sizes;
  sizes.reserve(extent.chunks.size());
  for (const store::Chunk& chunk : extent.chunks) sizes.push_back(chunk.size);
  return fb::CreateExtent(b, extent.blob.value(), extent.size, b.CreateVector(sizes));
}

void AddChunks(const Extent& extent, os::Access access, Openings* openings) {
  for (const store::Chunk& chunk : extent.chunks) openings->Add(chunk.fd, access);
}

/// What an answer opens of extents, and how it describes them.
struct OpenedExtents {
  explicit OpenedExtents(FlatBufferBuilder& b) : builder(b) {}
  void Add(Store& store, Extent& extent) {
    if (store.spiller() != nullptr) {
      store.spiller()->NoteUse(extent, store::Spiller::Use::kOpened);
    }
    AddChunks(extent, os::Access::kRead, &openings);
    descriptions.push_back(Describe(builder, extent));
    blobs.push_back(extent.blob.value());
  }
  FlatBufferBuilder& builder;
  Openings openings;
  std::vector<flatbuffers::Offset<fb::Extent>> descriptions;
  std::vector<uint64_t> blobs;
};

// Reserved by the client that puts, or by one of the siblings that it names: whoever knows a client's
// token is that client, and a process has many.
Result<Extent*> FindReservation(Store& store, const store::ClientState& client, const fb::Put& put,
                                ObjectId blob) {
  auto found = store.FindReservation(client.key, blob);
  if (found.ok() || put.siblings() == nullptr) return found;
  for (const fb::Token* token : *put.siblings()) {
    const store::ClientState* sibling = store.clients().Find({token->high(), token->low()});
    if (sibling == nullptr || sibling->volume != client.volume || sibling->pid != client.pid) {
      continue;
    }
    auto theirs = store.FindReservation(sibling->key, blob);
    if (theirs.ok()) return theirs;
  }
  return found;
}

// Sealed memory that a put publishes besides its own bytes, as it says: pairs of blob and size.
Result<std::vector<store::SealedExtent>> ReadAlso(Store& store, const store::ClientState& client,
                                                  const fb::Put& put) {
  std::vector<store::SealedExtent> also;
  if (put.also() == nullptr || put.also()->size() == 0) return also;
  if (put.kind() != fb::PutKind::Object || put.also()->size() % 2 != 0 ||
      put.also()->size() / 2 > store::kMaxReservations) {
    return Status::Protocol("a put's list of sealed blobs is none");
  }
  if (put.siblings() != nullptr && put.siblings()->size() > kMaxSiblings) {
    return Status::LimitExceeded("a put names too many clients");
  }
  std::unordered_set<uint64_t> seen{put.reservation()};
  for (flatbuffers::uoffset_t i = 0; i < put.also()->size(); i += 2) {
    const ObjectId blob(put.also()->Get(i));
    const uint64_t size = put.also()->Get(i + 1);
    VY_ASSIGN_OR_RETURN(Extent * extent, FindReservation(store, client, put, blob));
    if (extent->chunks.empty() || !seen.insert(blob.value()).second || size > extent->pages) {
      return Status::Invalid(
          fmt::format("{} can't be published with {} bytes: it is small, named "
                      "twice, or has {}",
                      blob.ToString(), size, extent->pages));
    }
    VY_RETURN_IF_ERROR(store::CheckSealed(*extent));
    also.push_back({extent, size});
  }
  return also;
}

}  // namespace

// ---- put

void Server::HandlePut(Call call, const fb::Put& put) {
  if (SendRecalled(call, put.number())) return;
  const wire::Frame& frame = call.frame;
  if (put.descriptor_length() > frame.payload.size() ||
      wire::Pad8(put.descriptor_length()) + put.bytes_length() != frame.payload.size()) {
    return call.reply.Fail(Status::Protocol("the parts of a put do not add up to its payload"));
  }
  if (put.kind() == fb::PutKind::Object) {
    auto d = wire::DecodeDescriptor(frame.payload.first(put.descriptor_length()));
    if (!d.ok()) return call.reply.Fail(d.status());
  } else if (put.descriptor_length() != 0) {
    return call.reply.Fail(Status::Protocol("a blob has no descriptor"));
  }
  TryPut(call.connection, nullptr, frame, DeadlineAfter(put.timeout_ms()), std::move(call.reply));
}

Result<std::shared_ptr<Server::KeptFrame>> Server::Keep(const Connection& connection,
                                                        const wire::Frame& frame) {
  const size_t body = wire::Pad8(frame.body.size());
  auto kept = std::make_shared<KeptFrame>();
  VY_ASSIGN_OR_RETURN(kept->claim,
                      waits_room_.Take(connection.volume(), body + frame.payload.size(),
                                       "puts that wait for memory or the disk"));
  kept->bytes.resize((body + frame.payload.size() + 7) / 8);
  auto* bytes = reinterpret_cast<std::byte*>(kept->bytes.data());
  std::ranges::copy(frame.body, bytes);
  std::ranges::copy(frame.payload, bytes + body);
  kept->frame = frame;
  kept->frame.body = {bytes, frame.body.size()};
  kept->frame.payload = {bytes + body, frame.payload.size()};
  return kept;
}

// Once, and again when it had to wait for memory: `copy` then holds the frame's bytes.
void Server::TryPut(const std::shared_ptr<Connection>& connection, std::shared_ptr<KeptFrame> copy,
                    const wire::Frame& frame, os::TimePoint deadline, Reply reply) {
  const fb::Put& put = *flatbuffers::GetRoot<fb::Request>(frame.body.data())->body_as_Put();
  store::ClientState* client = store_.clients().Find(connection->client());
  store::Volume* volume = store_.FindVolume(connection->volume());
  if (client == nullptr || volume == nullptr) {
    return reply.Fail(Status::Cancelled("the client or the volume is gone"));
  }
  store::PutArgs args;
  args.descriptor = frame.payload.first(put.descriptor_length());
  args.bytes = frame.payload.subspan(wire::Pad8(put.descriptor_length()));
  args.own_size = put.size();
  if (put.name() != nullptr) args.name = put.name()->string_view();
  args.if_version = IfVersion(put.check_version(), put.if_version());
  args.stream = ObjectId(put.stream());
  args.name_ends = EndAfter(put.ttl_ms());
  args.linger = LingerOf(put.with_client(), put.linger_ms());
  if (put.reservation() != 0) {
    auto found = store_.FindReservation(client->key, ObjectId(put.reservation()));
    if (!found.ok()) return reply.Fail(found.status());
    args.extent = *found;
    args.id = args.extent->blob.owner_of_blob();
  }
  const bool in_extent = args.extent != nullptr && !args.extent->chunks.empty();
  if (in_extent) {
    Status sealed = store::CheckSealed(*args.extent);
    if (sealed.ok() && args.own_size > args.extent->pages) {
      sealed = Status::Invalid(fmt::format("a blob of {} bytes in a reservation of {}",
                                           args.own_size, args.extent->pages));
    }
    if (sealed.ok() && !args.bytes.empty()) sealed = Status::Protocol("bytes for a sealed blob");
    if (!sealed.ok()) return reply.Fail(sealed);
  } else if (args.bytes.size() != args.own_size || args.own_size > store_.options().inline_max) {
    return reply.Fail(Status::Invalid(
        fmt::format("{} bytes came for a blob of {}; at most {} may come with a put",
                    args.bytes.size(), args.own_size, store_.options().inline_max)));
  }
  auto also = ReadAlso(store_, *client, put);
  if (!also.ok()) return reply.Fail(also.status());
  args.also = std::move(*also);
  if (args.extent == nullptr) args.id = store_.NextId();
  uint64_t need =
      layout::RecordSize(static_cast<uint32_t>(args.descriptor.size()), args.bytes.size());
  if (!args.name.empty() || args.name_ends || args.linger) {
    const size_t length = args.name.empty() ? store::kHiddenNameLength : args.name.size();
    need += layout::RecordSize(static_cast<uint32_t>(length), sizeof(layout::NameLease));
  }
  for (const store::SealedExtent& s : args.also) {
    const size_t chunks = s.extent->chunks.size() * sizeof(layout::ChunkEntry);
    need += layout::RecordSize(static_cast<uint32_t>(chunks), 0);
  }
  args.keeps = put.keep();
  args.durable = put.durable() || (volume->durable() && !args.linger && args.stream.is_null());
  const auto keep_copy = [&]() -> Status {
    if (copy != nullptr) return {};
    VY_ASSIGN_OR_RETURN(copy, Keep(*connection, frame));
    return {};
  };
  store::Store::RoomPromise disk_room;
  if (args.durable) {
    Status may = CheckDurable(*volume, args.linger.has_value(), !args.stream.is_null());
    if (!may.ok()) return reply.Fail(may);
    auto needs = NeedsOf(*volume, args);
    if (!needs.ok()) return reply.Fail(needs.status());
    if (copy != nullptr) disk_room = copy->room;
    if (disk_room == nullptr) {
      auto promised = store_.PromiseRoom(needs->room);
      if (!promised.ok()) return reply.Fail(promised.status());
      disk_room = std::move(*promised);
    }
    if (!store_.IsSecured(*needs)) {
      if (Status kept = keep_copy(); !kept.ok()) return reply.Fail(kept);
      copy->room = std::move(disk_room);
      return SecureThenPut(connection, copy, deadline, std::move(reply), needs->extents);
    }
  }
  if (args.keeps) {
    auto extents = ToKeep(*volume, args);
    if (!extents.ok()) return reply.Fail(extents.status());
    if (AnyAway(*extents)) {
      if (Status kept = keep_copy(); !kept.ok()) return reply.Fail(kept);
      copy->room = std::move(disk_room);
      return LoadThenPut(connection, copy, deadline, std::move(reply), *extents);
    }
  }
  const uint64_t marks = Marks();
  std::vector<uint64_t> owners;
  for (const store::SealedExtent& s : args.also) owners.push_back(s.extent->owner);
  auto answer = need > volume->QuotaLeft() ? Status::OutOfMemory("no room in the volume's quota")
                                           : volume->Put({client, put.number()}, args);
  if (answer.ok()) {
    if (args.extent != nullptr) {
      client->reservations.erase(args.extent->blob.value());
      if (!in_extent) store_.FreeExtent(args.extent->blob);
    }
    // Its writer goes on using what it has sealed in place.
    for (size_t i = 0; i < owners.size(); ++i) {
      store::ClientState* owner = store_.clients().Find(owners[i]);
      if (owner != nullptr) owner->mapped.insert(args.also[i].extent->blob.value());
    }
    SendWhenKept(std::move(reply), answer, marks, std::move(disk_room));
    AfterChange();
    if (args.name_ends) ArmTimer();
    return;
  }
  if (!answer.status().Is(StatusCode::kOutOfMemory)) return reply.Fail(answer.status());
  const uint64_t room = volume->arenas().ArenaSizeFor(need, volume->arenas().count());
  const bool again = copy != nullptr;
  if (need > store_.LimitOf(*volume) || (again && os::Clock::now() >= deadline)) {
    return reply.Fail(Status::OutOfMemory(store_.ExplainMemory(volume->holder(), need)));
  }
  if (Status kept = keep_copy(); !kept.ok()) return reply.Fail(kept);
  auto waiting = std::make_shared<Reply>(std::move(reply));
  const uint64_t ticket = store_.WaitForRoom(
      *volume, need > volume->QuotaLeft() ? need : room, deadline,
      [this, connection, copy, deadline, waiting](Status granted) {
        const Running running(store_.ledger(), connection->client(), waiting->request_id());
        if (connection->closed()) return waiting->Drop();
        if (!granted.ok()) return waiting->Fail(granted);
        TryPut(connection, copy, copy->frame, deadline, std::move(*waiting));
      });
  TrackWait(*connection, ticket, waiting);
  ArmTimer();
}

void Server::TrackWait(Connection& connection, uint64_t ticket, std::shared_ptr<Reply> reply) {
  std::erase_if(connection.waits,
                [&](const Connection::Wait& w) { return !store_.IsWaiting(w.ticket); });
  reply->NoteWaits();
  connection.waits.push_back({ticket, std::move(reply)});
}

// Its place in the queue is for those who still want memory.
void Server::HandleCancel(Call call, const fb::Cancel& cancel) {
  call.reply.Drop();
  std::vector<Connection::Wait> given_up;
  std::erase_if(call.connection->waits, [&](Connection::Wait& w) {
    if (w.reply->request_id() != cancel.request_id()) return false;
    given_up.push_back(std::move(w));
    return true;
  });
  for (Connection::Wait& w : given_up) {
    w.reply->Drop();
    store_.CancelReserve(w.ticket);
  }
  const auto is_it = [&](const Waiter& w) {
    return w.reply.request_id() == cancel.request_id() && w.reply.connection() == call.connection;
  };
  for (Waiter& w : waiters_.Take(call.volume.id(), is_it)) w.reply.Drop();
  AfterChange();
}

// ---- reservations

void Server::HandleReserve(Call call, const fb::Reserve& reserve) {
  if (call.client.reservations.size() >= store::kMaxReservations) {
    return call.reply.Fail(Status::LimitExceeded(
        fmt::format("this client has {} blobs reserved; seal or give back some first",
                    call.client.reservations.size())));
  }
  auto reply = std::make_shared<Reply>(std::move(call.reply));
  const uint64_t ticket = store_.Reserve(
      call.volume, call.client.key, reserve.size(), DeadlineAfter(reserve.timeout_ms()),
      [this, connection = call.connection, reply](Result<Extent*> made) {
        const Running running(store_.ledger(), connection->client(), reply->request_id());
        if (connection->closed()) {
          // Told nobody: the client, if it lives, does not claim it.
          if (made.ok()) store_.Abort(**made);
          return reply->Drop();
        }
        if (!made.ok()) return reply->Fail(made.status());
        Openings openings;
        AddChunks(**made, os::Access::kReadWrite, &openings);
        auto fds = openings.Open(*connection);
        if (!fds.ok()) {
          store_.Abort(**made);
          return reply->Fail(fds.status());
        }
        FlatBufferBuilder b(256);
        const auto reserved = fb::CreateReserved(b, Describe(b, **made));
        reply->Send(b, fb::ReplyBody::Reserved, reserved.Union(), {}, std::move(*fds));
      });
  if (store_.IsWaiting(ticket)) TrackWait(*call.connection, ticket, reply);
  ArmTimer();
}

void Server::HandleAbort(Call call, const fb::Abort& abort) {
  auto extent = store_.FindReservation(call.client.key, ObjectId(abort.reservation()));
  if (!extent.ok()) return call.reply.Fail(extent.status());
  store_.Abort(**extent);
  SendDone(std::move(call.reply), layout::Answer{});
  AfterChange();
}

// ---- get

void Server::HandleGet(Call call, const fb::Get& get) {
  Wanted wanted{.id = ObjectId(get.id()),
                .open_extents = get.open_extents(),
                .deadline = DeadlineAfter(get.timeout_ms())};
  if (get.name() != nullptr) {
    wanted.name = get.name()->str();
    if (wanted.name.empty()) return call.reply.Fail(Status::Invalid("a name has at least a byte"));
    if (get.wait() && call.volume.FindName(wanted.name) == nullptr) {
      return WaitForName(std::move(call), std::move(wanted));
    }
  }
  SendObject(call.volume, call.client, wanted, std::move(call.reply));
}

// `shared`: where the same object goes to several.
void Server::SendObject(store::Volume& volume, store::ClientState& client, const Wanted& wanted,
                        Reply reply, SharedPayload* shared) {
  const store::NameEntry* name = wanted.name.empty() ? nullptr : volume.FindName(wanted.name);
  if (!wanted.name.empty() && name == nullptr) {
    return reply.Fail(
        Status::NotFound(fmt::format("no name '{}' in volume '{}'", wanted.name, volume.name())));
  }
  const ObjectId id = name != nullptr ? ObjectId(name->id) : wanted.id;
  const store::Entry* entry = volume.Find(id);
  if (entry == nullptr) {
    return reply.Fail(
        Status::NotFound(fmt::format("no {} {} in volume '{}'", id.is_blob() ? "blob" : "object",
                                     id.ToString(), volume.name())));
  }
  const std::shared_ptr<Connection> connection = reply.connection();
  if (connection == nullptr) return reply.Drop();
  FlatBufferBuilder b(512);
  OpenedExtents opened(b);
  if (wanted.open_extents) {
    const std::vector<ObjectId> all = volume.ExtentsOf(*entry);
    std::vector<ObjectId> blobs = FirstOf(all, kFdsWithObject);
    if (!wanted.loaded && AnyAway(all)) {
      if (Status can = MayBeTogether(id, all); !can.ok()) return reply.Fail(can);
      blobs = FirstOf(all, FdsFromDisk(*connection));
      return LoadFirst(connection, blobs, wanted.deadline, std::move(reply),
                       [this, wanted](store::Volume& v, store::ClientState& c, Reply r) {
                         Wanted again = wanted;
                         again.loaded = true;
                         SendObject(v, c, again, std::move(r));
                       });
    }
    if (wanted.loaded) blobs = FirstOf(all, FdsFromDisk(*connection));
    for (const ObjectId blob : blobs) {
      Extent* extent = store_.FindExtent(blob);
      if (extent != nullptr && store::IsInMemory(*extent)) opened.Add(store_, *extent);
    }
  }
  auto fds = opened.openings.Open(*connection);
  if (!fds.ok()) return reply.Fail(fds.status());
  client.mapped.insert(opened.blobs.begin(), opened.blobs.end());
  const NameLease lease = name ? LeaseOf(volume, wanted.name, *name) : NameLease{};
  const auto got = fb::CreateGot(b, b.CreateVector(opened.descriptions), name ? name->version : 0,
                                 id.value(), name ? TimeLeft(name->ends) : 0, lease.pid,
                                 lease.linger_ms, name != nullptr && volume.IsDurable(name->ref),
                                 name != nullptr && volume.Keeps(name->ref));
  // The record as it lies in the arena, without its sequence.
  const std::byte* record = volume.Record(*entry);
  const layout::RecordFields& f = layout::FieldsOf(record);
  const uint64_t length = layout::BytesOffset(f.head_length) + f.bytes_length - 8;
  std::vector<std::span<const std::byte>> payload{
      {record + 8, sizeof(layout::RecordFields)},
      {record + layout::kRecordHeader, length - sizeof(layout::RecordFields)}};
  reply.Send(b, fb::ReplyBody::Got, got.Union(), std::move(payload), std::move(*fds), shared);
}

void Server::SendExtents(store::Volume& volume, store::ClientState& client,
                         std::span<const ObjectId> blobs, Reply reply) {
  const std::shared_ptr<Connection> connection = reply.connection();
  if (connection == nullptr) return reply.Drop();
  FlatBufferBuilder b(512);
  OpenedExtents opened(b);
  for (const ObjectId blob : blobs) {
    Extent* extent = volume.Find(blob) ? store_.FindExtent(blob) : nullptr;
    if (extent != nullptr && store::IsInMemory(*extent)) opened.Add(store_, *extent);
  }
  auto fds = opened.openings.Open(*connection);
  if (!fds.ok()) return reply.Fail(fds.status());
  client.mapped.insert(opened.blobs.begin(), opened.blobs.end());
  const auto got = fb::CreateGot(b, b.CreateVector(opened.descriptions));
  reply.Send(b, fb::ReplyBody::Got, got.Union(), {}, std::move(*fds));
}

void Server::HandleOpenCatalog(Call call, const fb::OpenCatalog& open) {
  FlatBufferBuilder b(512);
  Openings openings;
  std::vector<fb::ArenaSize> arenas;
  std::vector<uint64_t> segments;
  if (open.arenas() != nullptr) {
    for (const uint32_t number : *open.arenas()) {
      const auto arena = call.volume.arenas().Find(number);
      if (!arena) continue;
      openings.Add(*arena->fd, os::Access::kRead);
      arenas.emplace_back(number, arena->size);
    }
  }
  if (open.segments() != nullptr) {
    for (const auto& segment : call.volume.catalog().segments()) {
      if (std::ranges::find(*open.segments(), segment.number) == open.segments()->end()) continue;
      openings.Add(*segment.fd, os::Access::kRead);
      segments.push_back(segment.number);
    }
  }
  auto fds = openings.Open(*call.connection);
  if (!fds.ok()) return call.reply.Fail(fds.status());
  const auto list = b.CreateVectorOfStructs(arenas);
  const auto parts = fb::CreateCatalogParts(b, list, b.CreateVector(segments));
  call.reply.Send(b, fb::ReplyBody::CatalogParts, parts.Union(), {}, std::move(*fds));
}

void Server::HandleReleased(Call call, const fb::Released& released) {
  if (released.blobs() != nullptr) {
    for (const uint64_t blob : *released.blobs()) store_.Released(call.client, ObjectId(blob));
  }
  SendDone(std::move(call.reply), layout::Answer{});
}

// ---- changes

void Server::HandleDelete(Call call, const fb::Delete& del) {
  const std::vector<uint64_t> ids(del.ids()->begin(), del.ids()->end());
  if (ids.size() > wire::kMostDeleted) {
    return call.reply.Fail(Status::LimitExceeded(fmt::format(
        "one request deletes at most {} objects, not {}", wire::kMostDeleted, ids.size())));
  }
  if (del.only_check()) {
    const Status there = call.volume.CheckThere(ids);
    if (!there.ok()) return call.reply.Fail(there);
    return SendDone(std::move(call.reply), layout::Answer{});
  }
  if (SendRecalled(call, del.number())) return;
  const uint64_t marks = Marks();
  SendWhenKept(std::move(call.reply),
               call.volume.Delete({&call.client, del.number()}, ids, del.deep(), del.force()),
               marks);
  AfterChange();
}

void Server::HandleSetLabels(Call call, const fb::SetLabels& set) {
  if (SendRecalled(call, set.number())) return;
  std::vector<Label> labels;
  uint64_t size = 0;
  for (const fb::Label* l : *set.labels()) {
    labels.push_back({l->key()->str(), l->value()->str()});
    size += l->key()->size() + l->value()->size();
  }
  const ObjectId id(set.id());
  const store::Entry* entry = call.volume.Find(id);
  auto change = [id, labels](store::Volume& volume, const store::Request& request) {
    return volume.SetLabels(request, id, labels);
  };
  if (entry == nullptr || !call.volume.IsDurable(entry->ref) || store_.mirror() == nullptr) {
    return SendDone(std::move(call.reply), change(call.volume, {&call.client, set.number()}));
  }
  constexpr uint64_t kOfEach = 64;  // around a label, in a descriptor
  const layout::RecordFields& f = layout::FieldsOf(call.volume.Record(*entry));
  const uint64_t head = f.head_length + size + kOfEach * labels.size();
  ChangeDurably(std::move(call), set.number(),
                {.extents = {}, .room = store::Mirror::FileLengthOf(head, f.bytes_length)},
                std::move(change));
}

}  // namespace vineyard::daemon
