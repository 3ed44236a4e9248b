// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Where objects lie: what a client may ask, and have changed.
#include <vector>

#include "client/client_info.h"
#include "client/impl.h"

namespace vineyard {

using client::Connection;
using client::MillisecondsUntil;
using client::Outgoing;
using client::Question;
using client::WithGrace;
using flatbuffers::FlatBufferBuilder;

namespace {

// Told twice, it changes no more than told once.
Outgoing PlaceRequest(fb::PlaceAction action, std::span<const ObjectId> ids, bool pin,
                      os::TimePoint deadline) {
  return Question(fb::RequestBody::PlaceObjects, [=](FlatBufferBuilder& b, uint64_t) {
    std::vector<uint64_t> values;
    values.reserve(ids.size());
    for (const ObjectId id : ids) values.push_back(id.value());
    return fb::CreatePlaceObjects(b, action, b.CreateVector(values), pin,
                                  MillisecondsUntil(deadline))
        .Union();
  });
}

Status Place(Connection& connection, fb::PlaceAction action, std::span<const ObjectId> ids,
             bool pin, std::optional<Timeout> timeout) {
  const os::TimePoint deadline = connection.Deadline(timeout);
  return connection.Call(PlaceRequest(action, ids, pin, deadline), WithGrace(deadline)).status();
}

}  // namespace

Status Client::Load(std::span<const ObjectId> ids, const LoadOptions& options) {
  Connection& connection = impl_->connection();
  if (!options.wait) {
    if (options.pin) return Status::Invalid("what is pinned has to be waited for");
    connection.Tell(
        PlaceRequest(fb::PlaceAction::Load, ids, false, connection.Deadline(options.timeout)));
    return {};
  }
  VY_RETURN_IF_ERROR(Place(connection, fb::PlaceAction::Load, ids, options.pin, options.timeout));
  if (options.pin) connection.NotePinned(ids);
  return {};
}

Status Client::Unpin(std::span<const ObjectId> ids, const CallOptions& options) {
  Connection& connection = impl_->connection();
  connection.NoteUnpinned(ids);
  return Place(connection, fb::PlaceAction::Unpin, ids, false, options.timeout);
}

Status Client::Evict(std::span<const ObjectId> ids, const CallOptions& options) {
  Connection& connection = impl_->connection();
  connection.extents().DropIdle();
  return Place(connection, fb::PlaceAction::Evict, ids, false, options.timeout);
}

Status Client::MakeDurable(std::span<const ObjectId> ids, const CallOptions& options) {
  Connection& connection = impl_->connection();
  VY_RETURN_IF_ERROR(client::CheckDurability(connection, Durability::kDisk));
  return Place(connection, fb::PlaceAction::Keep, ids, false, options.timeout);
}

Result<Places> Client::GetPlaces(ObjectId id, const CallOptions& options) {
  Connection& connection = impl_->connection();
  connection.extents().DropIdle();  // what is only kept for the next get is nobody's use
  const Outgoing get = Question(fb::RequestBody::GetPlaces, [id](FlatBufferBuilder& b, uint64_t) {
    return fb::CreateGetPlaces(b, id.value()).Union();
  });
  VY_ASSIGN_OR_RETURN(const client::Answer answer,
                      connection.Call(get, connection.Deadline(options.timeout)));
  const fb::Places* places = answer.reply().body_as_Places();
  if (places == nullptr) return Status::Protocol("the instance's answer is none");
  Places found{.memory_bytes = places->memory_bytes(),
               .spilled_bytes = places->spilled_bytes(),
               .in_use = places->in_use(),
               .pinned = places->pinned(),
               .durable = places->durable(),
               .kept = places->kept(),
               .holders = {},
               .damage = wire::ToString(places->damage()),
               .references = places->references()};
  if (places->holders() != nullptr) {
    for (const fb::ClientEntry* holder : *places->holders()) {
      found.holders.push_back(client::ToClientInfo(*holder));
    }
  }
  return found;
}

}  // namespace vineyard
