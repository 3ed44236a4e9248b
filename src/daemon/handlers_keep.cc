// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Names that keep in memory what they point to: it is brought back from the disk before the name says so, and where it
// can't be, the name is as it was. Each step looks everything up again; what it waited for is there then.
#include <utility>

#include "daemon/request_values.h"
#include "daemon/server.h"
#include "store/references.h"

namespace vineyard::daemon {

using store::Store;

void Server::PutKeepingName(const std::shared_ptr<Connection>& connection,
                            const KeepingName& wanted, Reply reply) {
  store::ClientState* client = store_.clients().Find(connection->client());
  store::Volume* volume = store_.FindVolume(connection->volume());
  if (client == nullptr || volume == nullptr) {
    return reply.Fail(Status::Cancelled("the client or the volume is gone"));
  }
  auto extents = volume->ExtentsBelow({&wanted.id, 1}, kMostPlaced);
  if (!extents.ok()) return reply.Fail(extents.status());
  uint64_t room_needed = 0;
  if (wanted.naming.durable) {
    Status may = CheckDurable(*volume, wanted.naming.linger.has_value(), false);
    if (!may.ok()) return reply.Fail(may);
    auto needs = store_.NeedsOf(*volume, {&wanted.id, 1});
    if (!needs.ok()) return reply.Fail(needs.status());
    room_needed = needs->room + store::Mirror::FileLengthOf(wanted.name.size(), 0);
    if (!store_.IsSecured(*needs)) {
      auto waiting = std::make_shared<Reply>(std::move(reply));
      return store_.Secure(
          needs->extents, [this, connection, wanted, waiting](const Status& secured) {
            const Running running(store_.ledger(), connection->client(), waiting->request_id());
            if (connection->closed()) return waiting->Drop();
            if (!secured.ok()) return waiting->Fail(secured);
            PutKeepingName(connection, wanted, std::move(*waiting));
          });
    }
  }
  // Last: once they are there they stay until this turn's end.
  if (AnyAway(*extents)) {
    return LoadFirst(connection, *extents, wanted.deadline, std::move(reply),
                     [this, connection, wanted](store::Volume&, store::ClientState&, Reply again) {
                       PutKeepingName(connection, wanted, std::move(again));
                     });
  }
  Store::RoomPromise room;
  if (wanted.naming.durable) {
    auto promised = store_.PromiseRoom(room_needed);
    if (!promised.ok()) return reply.Fail(promised.status());
    room = std::move(*promised);
  }
  CarryOut(
      *volume, {client, wanted.number},
      [&wanted](store::Volume& of, const store::Request& request) {
        return of.PutName(request, wanted.name, ObjectId(wanted.id), wanted.naming);
      },
      room, std::move(reply));
}

Result<std::vector<ObjectId>> Server::ToKeep(const store::Volume& volume,
                                             const store::PutArgs& args) {
  if (args.descriptor.empty()) return std::vector<ObjectId>();
  std::vector<uint64_t> parts;
  const auto& descriptor = *flatbuffers::GetRoot<fb::Descriptor>(args.descriptor.data());
  for (const uint64_t id : store::ReferredTo(descriptor)) {
    if (volume.Find(ObjectId(id)) != nullptr) parts.push_back(id);  // else it comes along
  }
  return volume.ExtentsBelow(parts, kMostPlaced);
}

void Server::LoadThenPut(const std::shared_ptr<Connection>& connection,
                         std::shared_ptr<KeptFrame> copy, os::TimePoint deadline, Reply reply,
                         const std::vector<ObjectId>& extents) {
  LoadFirst(connection, extents, deadline, std::move(reply),
            [this, connection, copy = std::move(copy), deadline](store::Volume&,
                                                                 store::ClientState&, Reply again) {
              TryPut(connection, copy, copy->frame, deadline, std::move(again));
            });
}

}  // namespace vineyard::daemon
