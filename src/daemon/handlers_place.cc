// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Requests about where objects lie: in memory, or on the disk.
#include <asio/post.hpp>

#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "base/logging.h"
#include "daemon/request_values.h"
#include "daemon/server.h"

namespace vineyard::daemon {

using store::Extent;

namespace {

constexpr int kLooksATurn =
    64;  // questions to the kernel in a turn of the loop, of a few microseconds each

}  // namespace

void Server::HandlePlaceObjects(Call call, const fb::PlaceObjects& place) {
  const std::vector<uint64_t> ids(place.ids()->begin(), place.ids()->end());
  if (ids.size() > kMostPlaced) {
    return call.reply.Fail(Status::LimitExceeded(
        fmt::format("{} ids; name at most {} at once", ids.size(), kMostPlaced)));
  }
  if (place.action() == fb::PlaceAction::Keep) return KeepObjects(std::move(call), ids);
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
  if (const auto it = pins_to_restore_.find(call.client.key); it != pins_to_restore_.end()) {
    const std::unordered_set<uint64_t> gone(ids.begin(), ids.end());
    std::erase_if(it->second.ids, [&](uint64_t id) { return gone.contains(id); });
  }
  SendDone(std::move(call.reply), layout::Answer{.value = blobs->size()});
  AfterChange();
}

// Without a disk all of them are in memory, and stay there.
void Server::LoadObjects(Call call, const std::vector<ObjectId>& blobs, bool pin,
                         os::TimePoint deadline) {
  const auto pin_all = [this, blobs, pin](store::ClientState& client) {
    if (pin && store_.spiller() != nullptr) PinAll(client, blobs);
  };
  const layout::Answer answer{.value = blobs.size()};
  if (!AnyAway(blobs)) {
    pin_all(call.client);
    return SendDone(std::move(call.reply), answer);
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
  auto claim = ClaimFor(call.volume.id(), blobs);
  if (!claim.ok()) return call.reply.Fail(claim.status());
  auto reply = std::make_shared<Reply>(std::move(call.reply));
  const layout::Answer answer{.value = blobs.size()};
  const uint64_t ticket = store_.spiller()->Evict(
      blobs, deadline,
      [this, connection = call.connection, reply, answer, claim = *claim](const Status& evicted) {
        if (connection->closed()) return reply->Drop();
        if (!evicted.ok()) return reply->Fail(evicted);
        SendDone(std::move(*reply), answer);
      });
  if (store_.IsWaiting(ticket)) TrackWait(*call.connection, ticket, reply);
  ArmTimer();
}

// Whether a part is mapped only the kernel knows; so it is asked about some parts in a turn of the loop.
struct Server::AskedPlaces {
  std::vector<ObjectId> blobs;
  uint64_t volume = 0;
  uint64_t references = 0;
  std::string damage;
  size_t next = 0;
  uint64_t memory = 0;
  uint64_t spilled = 0;
  bool in_use = false;
  bool pinned = false;
  bool durable = false;
  bool kept = false;
  Reply reply;
  HeapShares::Claim claim{};
};

void Server::HandleGetPlaces(Call call, const fb::GetPlaces& get) {
  const uint64_t id = get.id();
  auto blobs = call.volume.ExtentsBelow({&id, 1}, kMostPlaced);
  if (!blobs.ok()) return call.reply.Fail(blobs.status());
  auto claim = waits_room_.Take(call.volume.id(), blobs->size() * sizeof(ObjectId),
                                "questions about places");
  if (!claim.ok()) return call.reply.Fail(claim.status());
  auto not_durable = call.volume.NotDurable({&id, 1});
  const store::Entry* entry = call.volume.Find(ObjectId(id));
  LookAtPlaces(std::make_shared<AskedPlaces>(
      AskedPlaces{.blobs = std::move(*blobs),
                  .volume = call.volume.id(),
                  .references = entry == nullptr ? 0 : entry->parents + entry->names,
                  .damage = {},
                  .durable = not_durable.ok() && not_durable->empty(),
                  .reply = std::move(call.reply),
                  .claim = std::move(*claim)}));
}

void Server::LookAtPlaces(const std::shared_ptr<AskedPlaces>& asked) {
  const auto connection = asked->reply.connection();
  if (connection == nullptr || stopped_) return asked->reply.Drop();
  const Running running(store_.ledger(), connection->client(), asked->reply.request_id());
  for (int looks = 0; asked->next < asked->blobs.size() && looks < kLooksATurn; ++asked->next) {
    const Extent* extent = store_.FindExtent(asked->blobs[asked->next]);
    if (extent == nullptr || !store::IsStored(*extent)) continue;
    const bool here = store::IsInMemory(*extent);
    (here ? asked->memory : asked->spilled) += extent->pages;
    asked->pinned = asked->pinned || extent->pins > 0;
    asked->kept = asked->kept || extent->kept > 0;
    if (!extent->damage.ok()) asked->damage = extent->damage.message();
    if (!here || asked->in_use) continue;
    asked->in_use = store::IsHeldElsewhere(*extent);
    ++looks;
  }
  if (asked->next < asked->blobs.size()) {
    return asio::post(io_, [this, asked] { LookAtPlaces(asked); });
  }
  flatbuffers::FlatBufferBuilder b(256);
  const auto holders = b.CreateVector(DescribeHolders(b, asked->volume, asked->blobs));
  const auto places = fb::CreatePlaces(b, asked->memory, asked->spilled, asked->in_use,
                                       asked->pinned, asked->durable, asked->kept, holders,
                                       b.CreateString(asked->damage), asked->references);
  asked->reply.Send(b, fb::ReplyBody::Places, places.Union());
}

// ---- pins

// After an engine's end: it knows of no pins, but its clients do. Those of most clients at once; of one that
// has very many, some in a turn of the loop.
void Server::RestorePins(store::ClientState& client, const store::Volume& volume,
                         const fb::Hello& hello) {
  pins_to_restore_.erase(client.key);
  if (store_.spiller() == nullptr) return;
  store_.spiller()->UnpinAll(client);
  if (hello.pinned() == nullptr || hello.pinned()->size() == 0) return;
  PinsToRestore pins;
  auto claim = waits_room_.Take(volume.id(), hello.pinned()->size() * sizeof(uint64_t), "pins");
  if (!claim.ok()) {
    log::Warning("a client's pins are forgotten",
                 {{"pid", client.pid}, {"why", claim.status().message()}});
    return;
  }
  pins.claim = std::move(*claim);
  pins.ids.assign(hello.pinned()->begin(), hello.pinned()->end());
  pins_to_restore_[client.key] = std::move(pins);
  RestoreMorePins(client.key);
}

void Server::RestoreMorePins(uint64_t key) {
  constexpr size_t kPartsATurn = 8192;  // but those of one object, which were pinned together
  const auto it = pins_to_restore_.find(key);
  store::ClientState* client = store_.clients().Find(key);
  const store::Volume* volume = client != nullptr ? store_.FindVolume(client->volume) : nullptr;
  if (it == pins_to_restore_.end() || stopped_) return;
  if (volume == nullptr) {
    pins_to_restore_.erase(it);
    return;
  }
  PinsToRestore& pins = it->second;
  const size_t count = std::min(pins.at_once, pins.ids.size());
  std::vector<uint64_t> ids(pins.ids.end() - static_cast<ptrdiff_t>(count), pins.ids.end());
  std::erase_if(ids, [&](uint64_t id) { return volume->Find(ObjectId(id)) == nullptr; });
  // One walk, however often and in however many of them a part is named.
  const auto blobs = volume->ExtentsBelow(ids, count > 1 ? kPartsATurn : kMostPlaced);
  if (blobs.status().Is(StatusCode::kLimitExceeded) && count > 1) {
    pins.at_once = count / 2;
  } else {
    pins.ids.resize(pins.ids.size() - count);
    if (blobs.ok()) PinAll(*client, *blobs);
  }
  if (pins.ids.empty()) {
    pins_to_restore_.erase(it);
    return;
  }
  asio::post(io_, [this, key] { RestoreMorePins(key); });
}

void Server::PinAll(store::ClientState& client, std::span<const ObjectId> blobs) {
  for (const ObjectId blob : blobs) {
    Extent* extent = store_.FindExtent(blob);
    if (extent != nullptr && store::IsStored(*extent)) store_.spiller()->Pin(client, *extent);
  }
}

}  // namespace vineyard::daemon
