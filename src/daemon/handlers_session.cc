// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Hello, and the choice of a handler for each request.
#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "base/logging.h"
#include "daemon/server.h"
#include "layout/ring.h"
#include "os/crash_point.h"
#include "os/memfd.h"
#include "os/processor.h"
#include "wire/codec.h"

namespace vineyard::daemon {

namespace {

// What a client says it has mapped serves to name who holds memory; so many are enough for that.
constexpr size_t kMaxMapped = 65'536;
constexpr ptrdiff_t kMaxRings = 64;  // of a volume: some ten MiB

// What a client says of itself takes no more of the engine's memory.
std::string Shortened(const flatbuffers::String* text) {
  constexpr size_t kMost = 256;
  return text == nullptr ? std::string() : text->str().substr(0, kMost);
}

}  // namespace

void Server::HandleHello(const std::shared_ptr<Connection>& connection, const fb::Hello& hello,
                         Reply reply) {
  if (hello.protocol() != wire::kProtocolVersion) {
    return reply.Fail(Status::Protocol(
        fmt::format("this instance speaks protocol {}, the client {}: use the same version of both",
                    wire::kProtocolVersion, hello.protocol())));
  }
  store::Volume* volume = store_.FindVolume(connection->volume());
  if (volume == nullptr) return reply.Fail(Status::NotFound("this volume has been removed"));
  if (connection->client() != 0) return reply.Fail(Status::Protocol("a second Hello"));
  auto client = IdentifyClient(*connection, hello);
  if (!client.ok()) return reply.Fail(client.status());
  connection->set_client((*client)->key);
  ForgetSilent(*connection);
  (*client)->connected = true;
  (*client)->program = Shortened(hello.program());
  (*client)->pod = Shortened(hello.pod());
  // Who only reads gets no reservation, by claiming one either.
  if (connection->rights() == Rights::kRead) (*client)->claimed = true;
  ReconcileClaims(**client, hello);
  if (connection->rights() == Rights::kAll) RestorePins(**client, *volume, hello);
  (*client)->claimed = true;
  if (hello.first_number() > 0) store_.clients().Acknowledge(**client, hello.first_number() - 1);

  Openings openings;
  openings.Add(volume->catalog().first_file(), os::Access::kRead);
  std::vector<uint64_t> numbers;
  for (const auto& segment : volume->catalog().segments()) {
    openings.Add(*segment.fd, os::Access::kRead);
    numbers.push_back(segment.number);
  }
  auto fds = openings.Open(*connection);
  if (!fds.ok()) return reply.Fail(fds.status());
  flatbuffers::FlatBufferBuilder b(512);
  const auto name = b.CreateString(volume->name());
  const auto uuid = b.CreateString(options_.instance_uuid);
  const auto version = b.CreateString(VINEYARD_VERSION);
  const auto segments = b.CreateVector(numbers);
  const auto welcome =
      fb::CreateWelcome(b, wire::kProtocolVersion, name, volume->id(), uuid, 0, version,
                        options_.generation, store_.options().inline_max, wire::kMaxPayload,
                        layout::kAnswerWindow, segments, connection->rights() == Rights::kRead,
                        store_.mirror() != nullptr, /*names_keep=*/true, connection->client());
  reply.Send(b, fb::ReplyBody::Welcome, welcome.Union(), {}, std::move(*fds));
  AfterChange();  // what it has not claimed was freed, and may be mapped by others still
}

Result<store::ClientState*> Server::IdentifyClient(Connection& connection, const fb::Hello& hello) {
  const store::Token token{hello.token()->high(), hello.token()->low()};
  os::Peer& peer = connection.peer();
  if (store_.clients().FaultsOf(static_cast<uint64_t>(peer.pid)) >= store::kMostFaults) {
    return Status::PermissionDenied(
        fmt::format("requests of process {} have ended the instance's engine {} times by a fault; "
                    "it is not served any more",
                    peer.pid, store::kMostFaults));
  }
  if (store::ClientState* known = store_.clients().Find(token)) {
    if (known->pid != static_cast<uint64_t>(peer.pid) || known->volume != connection.volume()) {
      return Status::PermissionDenied("this client's token belongs to another process");
    }
    // It has found its old connection broken before we have.
    for (const auto& [raw, other] : connections_) {
      if (other->client() == known->key && raw != &connection) {
        const std::shared_ptr<Connection> old = other;
        old->Close();
        break;
      }
    }
    // With its last connection goes a client whose process has ended.
    known = store_.clients().Find(token);
    if (known == nullptr) return Status::Cancelled("this client's process has ended");
    known->uid = peer.uid;
    store_.clients().NoteSocket(*known, connection.rights() == Rights::kRead);
    return known;
  }
  VY_RETURN_IF_ERROR(MayServe(connection));
  VY_ASSIGN_OR_RETURN(os::UniqueFd pidfd, peer.pidfd.Duplicate());
  VY_ASSIGN_OR_RETURN(store::ClientState * client,
                      store_.clients().Add(token, static_cast<uint64_t>(peer.pid), peer.uid,
                                           connection.volume(), std::move(pidfd)));
  store_.clients().NoteSocket(*client, connection.rights() == Rights::kRead);
  auto held = link_.Hold({.kind = KeptKind::kClient,
                          .a = client->key,
                          .c = client->pid,
                          .d = token.high,
                          .e = token.low},
                         client->pidfd.get());
  if (!held.ok()) {
    store_.clients().Remove(client->key);
    return held.status();
  }
  WatchClient(*client);
  return client;
}

// What the client says it holds is what it holds: reservations that an older engine's memory shows and
// the client does not claim were given up, or published; small ones lived only in that engine's heap.
void Server::ReconcileClaims(store::ClientState& client, const fb::Hello& hello) {
  std::unordered_set<uint64_t> claimed;
  if (hello.reservations() != nullptr) {
    claimed.insert(hello.reservations()->begin(), hello.reservations()->end());
  }
  const std::vector<uint64_t> known(client.reservations.begin(), client.reservations.end());
  for (const uint64_t blob : known) {
    if (!claimed.contains(blob)) store_.FreeExtent(ObjectId(blob));
  }
  // Only an engine before can have given out what this one does not know.
  if (!client.claimed) {
    for (const uint64_t blob : claimed) {
      if (client.reservations.size() >= store::kMaxReservations) break;
      store_.RestoreSmallReservation(client, ObjectId(blob));
    }
  }
  client.mapped.clear();
  if (hello.mapped() != nullptr) {
    for (const uint64_t blob : *hello.mapped()) {
      if (client.mapped.size() >= kMaxMapped) break;
      client.mapped.insert(blob);
    }
  }
}

void Server::Dispatch(Call call, const fb::Request& request) {
  log::Debug("request", {{"kind", fb::EnumNameRequestBody(request.body_type())},
                         {"client", call.connection->client()},
                         {"id", call.reply.request_id()},
                         {"pid", call.client.pid},
                         {"volume", call.volume.name()}});
  if (call.connection->rights() == Rights::kRead && !OnlyReads(request.body_type())) {
    return call.reply.Fail(Status::PermissionDenied(fmt::format(
        "this socket of volume '{}' is for reading only, and {} is more; use the volume's other "
        "socket, if you may",
        call.volume.name(), fb::EnumNameRequestBody(request.body_type()))));
  }
  switch (request.body_type()) {
    case fb::RequestBody::Put: return HandlePut(std::move(call), *request.body_as_Put());
    case fb::RequestBody::Reserve:
      return HandleReserve(std::move(call), *request.body_as_Reserve());
    case fb::RequestBody::Abort: return HandleAbort(std::move(call), *request.body_as_Abort());
    case fb::RequestBody::Get: return HandleGet(std::move(call), *request.body_as_Get());
    case fb::RequestBody::OpenExtents:
      return HandleOpenExtents(std::move(call), *request.body_as_OpenExtents());
    case fb::RequestBody::OpenCatalog:
      return HandleOpenCatalog(std::move(call), *request.body_as_OpenCatalog());
    case fb::RequestBody::Released:
      return HandleReleased(std::move(call), *request.body_as_Released());
    case fb::RequestBody::PutName:
      return HandlePutName(std::move(call), *request.body_as_PutName());
    case fb::RequestBody::DropName:
      return HandleDropName(std::move(call), *request.body_as_DropName());
    case fb::RequestBody::ListNames:
      return HandleListNames(std::move(call), *request.body_as_ListNames());
    case fb::RequestBody::ListObjects:
      return HandleListObjects(std::move(call), *request.body_as_ListObjects());
    case fb::RequestBody::Delete: return HandleDelete(std::move(call), *request.body_as_Delete());
    case fb::RequestBody::SetLabels:
      return HandleSetLabels(std::move(call), *request.body_as_SetLabels());
    case fb::RequestBody::GetStatus: return HandleStatus(std::move(call));
    case fb::RequestBody::CreateVolume:
      return HandleCreateVolume(std::move(call), *request.body_as_CreateVolume());
    case fb::RequestBody::ListVolumes: return HandleListVolumes(std::move(call));
    case fb::RequestBody::RemoveVolume:
      return HandleRemoveVolume(std::move(call), *request.body_as_RemoveVolume());
    case fb::RequestBody::Goodbye: {
      call.reply.Drop();
      // What it has done is remembered until its process ends.
      if (store_.clients().faults(call.client) == 0) ForgetClient(call.client.key);
      return;
    }
    case fb::RequestBody::CreateStream:
      return HandleCreateStream(std::move(call), *request.body_as_CreateStream());
    case fb::RequestBody::OpenStream:
      return HandleOpenStream(std::move(call), *request.body_as_OpenStream());
    case fb::RequestBody::PushChunk:
      return HandlePushChunk(std::move(call), *request.body_as_PushChunk());
    case fb::RequestBody::NextChunk:
      return HandleNextChunk(std::move(call), *request.body_as_NextChunk());
    case fb::RequestBody::AwaitRoom:
      return HandleAwaitRoom(std::move(call), *request.body_as_AwaitRoom());
    case fb::RequestBody::EndStream:
      return HandleEndStream(std::move(call), *request.body_as_EndStream());
    case fb::RequestBody::LeaveStream:
      return HandleLeaveStream(std::move(call), *request.body_as_LeaveStream());
    case fb::RequestBody::DropStream:
      return HandleDropStream(std::move(call), *request.body_as_DropStream());
    case fb::RequestBody::GetStream:
      return HandleGetStream(std::move(call), *request.body_as_GetStream());
    case fb::RequestBody::OpenRing: return HandleOpenRing(std::move(call));
    case fb::RequestBody::ShareIdle: return HandleShareIdle(std::move(call));
    case fb::RequestBody::PlaceObjects:
      return HandlePlaceObjects(std::move(call), *request.body_as_PlaceObjects());
    case fb::RequestBody::GetPlaces:
      return HandleGetPlaces(std::move(call), *request.body_as_GetPlaces());
    case fb::RequestBody::ListClients:
      return HandleListClients(std::move(call), *request.body_as_ListClients());
    case fb::RequestBody::ListWaits:
      return HandleListWaits(std::move(call), *request.body_as_ListWaits());
    case fb::RequestBody::GetFigures:
      return HandleGetFigures(std::move(call), *request.body_as_GetFigures());
    case fb::RequestBody::GetTrace:
      return HandleGetTrace(std::move(call), *request.body_as_GetTrace());
    case fb::RequestBody::Cancel: return HandleCancel(std::move(call), *request.body_as_Cancel());
    case fb::RequestBody::Upgrade:
      return HandleUpgrade(std::move(call), *request.body_as_Upgrade());
    case fb::RequestBody::Hello:
    case fb::RequestBody::NONE: break;
  }
  call.reply.Fail(Status::NotSupported(fmt::format("this instance does not know request {}",
                                                   static_cast<int>(request.body_type()))));
}

void Server::HandleOpenRing(Call call) {
  static const bool kMayStayAwake = os::UsableProcessors() > 1;
  if (!kMayStayAwake) {
    return call.reply.Fail(
        Status::FailedPrecondition("this instance has too little of the processors for a ring"));
  }
  const auto rings = std::ranges::count_if(connections_, [&](const auto& entry) {
    return entry.second->has_ring() && entry.second->volume() == call.volume.id();
  });
  if (rings >= kMaxRings) {
    return call.reply.Fail(Status::LimitExceeded(
        fmt::format("{} clients of this volume have rings, which are the most", kMaxRings)));
  }
  auto files = call.connection->OpenRing();
  if (!files.ok()) return call.reply.Fail(files.status());
  flatbuffers::FlatBufferBuilder b(64);
  const auto opened = fb::CreateRingOpened(b);
  std::vector<os::UniqueFd> fds;
  fds.push_back(std::move(files->memory));
  fds.push_back(std::move(files->bell));
  call.reply.Send(b, fb::ReplyBody::RingOpened, opened.Union(), {}, std::move(fds));
  WatchRing(call.connection);
}

void Server::HandleShareIdle(Call call) {
  if (call.fds.size() != 1) return call.reply.Fail(Status::Protocol("a table is missing"));
  const Status shared = store::Store::ShareIdle(call.client, call.fds[0]);
  if (!shared.ok()) return call.reply.Fail(shared);
  call.reply.Drop();
}

}  // namespace vineyard::daemon
