// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Requests about where objects lie: in memory, or on the disk.
#include <fmt/format.h>

#include "base/size.h"
#include "daemon/request_values.h"
#include "daemon/server.h"

namespace vineyard::daemon {

using store::Extent;

namespace {

constexpr size_t kMostPlaced = 65'536;  // parts of the objects of one request

}  // namespace

void Server::HandlePlaceObjects(Call call, const fb::PlaceObjects& place) {
  const std::vector<uint64_t> ids(place.ids()->begin(), place.ids()->end());
  if (ids.size() > kMostPlaced) {
    return call.reply.Fail(Status::LimitExceeded(
        fmt::format("{} ids; name at most {} at once", ids.size(), kMostPlaced)));
  }
  auto blobs = call.volume.ExtentsBelow(ids, kMostPlaced);
  if (!blobs.ok()) return call.reply.Fail(blobs.status());
  const os::TimePoint deadline = DeadlineAfter(place.timeout_ms());
  switch (place.action()) {
    case fb::PlaceAction::Load: return LoadObjects(std::move(call), *blobs, place.pin(), deadline);
    case fb::PlaceAction::Evict: return EvictObjects(std::move(call), *blobs, deadline);
    case fb::PlaceAction::Unpin: break;
    default: return call.reply.Fail(Status::NotSupported("this instance knows no such place"));
  }
  if (store_.spiller() != nullptr) {
    for (const ObjectId blob : *blobs) store_.spiller()->Unpin(call.client, blob);
  }
  SendDone(std::move(call.reply), layout::Answer{.value = blobs->size()});
  AfterChange();
}

// Without a disk all of them are in memory, and stay there.
void Server::LoadObjects(Call call, const std::vector<ObjectId>& blobs, bool pin,
                         os::TimePoint deadline) {
  const auto pin_all = [this, blobs, pin](store::ClientState& client) {
    if (!pin || store_.spiller() == nullptr) return;
    for (const ObjectId blob : blobs) {
      Extent* extent = store_.FindExtent(blob);
      if (extent != nullptr && store::IsStored(*extent)) store_.spiller()->Pin(client, *extent);
    }
  };
  const layout::Answer answer{.value = blobs.size()};
  if (!AnyAway(blobs)) {
    pin_all(call.client);
    return SendDone(std::move(call.reply), answer);
  }
  uint64_t sum = 0;
  for (const ObjectId blob : blobs) {
    if (const Extent* extent = store_.FindExtent(blob)) sum += extent->pages;
  }
  if (sum > store_.budget().limit()) {
    return call.reply.Fail(Status::OutOfMemory(fmt::format(
        "these objects have {} together, which never fits: the limit is {}; load some of them",
        FormatSize(sum), FormatSize(store_.budget().limit()))));
  }
  LoadFirst(call.connection, blobs, deadline, std::move(call.reply),
            [this, pin_all, answer](store::Volume&, store::ClientState& client, Reply reply) {
              pin_all(client);
              SendDone(std::move(reply), answer);
            });
}

void Server::EvictObjects(Call call, const std::vector<ObjectId>& blobs, os::TimePoint deadline) {
  if (store_.spiller() == nullptr) {
    return call.reply.Fail(Status::FailedPrecondition(
        "this instance has no disk to evict to: start it with --spill_path"));
  }
  auto reply = std::make_shared<Reply>(std::move(call.reply));
  const layout::Answer answer{.value = blobs.size()};
  const uint64_t ticket = store_.spiller()->Evict(
      blobs, deadline, [this, connection = call.connection, reply, answer](const Status& evicted) {
        if (connection->closed()) return reply->Drop();
        if (!evicted.ok()) return reply->Fail(evicted);
        SendDone(std::move(*reply), answer);
      });
  if (store_.IsWaiting(ticket)) TrackWait(*call.connection, ticket, reply);
  ArmTimer();
}

void Server::HandleGetPlaces(Call call, const fb::GetPlaces& get) {
  const uint64_t id = get.id();
  auto blobs = call.volume.ExtentsBelow({&id, 1}, kMostPlaced);
  if (!blobs.ok()) return call.reply.Fail(blobs.status());
  uint64_t memory = 0;
  uint64_t spilled = 0;
  bool in_use = false;
  bool pinned = false;
  for (const ObjectId blob : *blobs) {
    const Extent* extent = store_.FindExtent(blob);
    if (extent == nullptr || !store::IsStored(*extent)) continue;
    const bool here = store::IsInMemory(*extent);
    (here ? memory : spilled) += extent->pages;
    in_use = in_use || (here && store::IsHeldElsewhere(*extent));
    pinned = pinned || extent->pins > 0;
  }
  flatbuffers::FlatBufferBuilder b(128);
  const auto places = fb::CreatePlaces(b, memory, spilled, in_use, pinned);
  call.reply.Send(b, fb::ReplyBody::Places, places.Union());
}

// After an engine's end: it knows of no pins, but its clients do.
void Server::RestorePins(store::ClientState& client, const store::Volume& volume,
                         const fb::Hello& hello) {
  store::Spiller* spiller = store_.spiller();
  if (spiller == nullptr) return;
  spiller->UnpinAll(client);
  if (hello.pinned() == nullptr || hello.pinned()->size() > kMostPlaced) return;
  std::vector<uint64_t> ids(hello.pinned()->begin(), hello.pinned()->end());
  std::erase_if(ids, [&](uint64_t id) { return volume.Find(ObjectId(id)) == nullptr; });
  // One walk, however often and in however many of them a part is named.
  const auto blobs = volume.ExtentsBelow(ids, kMostPlaced);
  if (!blobs.ok()) return;
  for (const ObjectId blob : *blobs) {
    Extent* extent = store_.FindExtent(blob);
    if (extent != nullptr && store::IsStored(*extent)) spiller->Pin(client, *extent);
  }
}

}  // namespace vineyard::daemon
