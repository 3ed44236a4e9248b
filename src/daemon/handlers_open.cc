// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Openings of extents, which may have to come back from the disk first: what is waited for together.
#include <set>

#include <fmt/format.h>

#include "base/size.h"
#include "daemon/request_values.h"
#include "daemon/server.h"

namespace vineyard::daemon {

using store::Extent;

namespace {

constexpr size_t kMaxExtentsAtOnce = 4096;
// Of an object some of whose extents come from the disk: what has to be waited for comes together.
constexpr size_t kFdsFromDisk = 128;

}  // namespace

// ---- what is in memory together

// As many as so many descriptors are for; one at least.
std::vector<ObjectId> Server::FirstOf(std::span<const ObjectId> blobs, size_t fds) {
  std::vector<ObjectId> first;
  size_t sum = 0;
  for (const ObjectId blob : blobs) {
    const Extent* extent = store_.FindExtent(blob);
    if (extent == nullptr || !store::IsStored(*extent)) continue;
    sum += extent->chunks.size();
    if (!first.empty() && sum > fds) break;
    first.push_back(blob);
  }
  return first;
}

size_t Server::FdsFromDisk(Connection& connection) {
  return connection.MayAnswerWith(kFdsFromDisk).ok() ? kFdsFromDisk : kFdsWithObject;
}

// Whoever maps all of them keeps them there.
Status Server::MayBeTogether(ObjectId object, std::span<const ObjectId> blobs) {
  uint64_t sum = 0;
  store::Holder who{};
  for (const ObjectId blob : blobs) {
    const Extent* extent = store_.FindExtent(blob);
    if (extent == nullptr || !store::IsStored(*extent)) continue;
    sum += extent->pages;
    who = store::HolderOf(*extent);
  }
  const uint64_t limit = store_.budget().MostFor(who);
  if (sum <= limit) return {};
  return Status::OutOfMemory(fmt::format(
      "{} has {} in {} blobs, which never fit into memory together: the limit is {}; read it "
      "part by part: client.iter_parts, in C++ one blob after another; or start the instance "
      "with a larger --size",
      object.ToString(), FormatSize(sum), blobs.size(), FormatSize(limit)));
}

// Of many, as many as may be in memory together beside others; the client asks for the rest by itself when it
// needs it. One of those that are away at least.
std::vector<ObjectId> Server::SomeOf(std::span<const ObjectId> blobs) {
  const uint64_t limit = store_.budget().limit();
  std::vector<ObjectId> some;
  uint64_t sum = 0;
  const auto add = [&](bool away, uint64_t most) {
    for (const ObjectId blob : blobs) {
      const Extent& extent = *store_.FindExtent(blob);
      if (store::IsInMemory(extent) == away) continue;
      if (!some.empty() && sum + extent.pages > most) continue;
      sum += extent.pages;
      some.push_back(blob);
    }
  };
  add(true, limit / 4);
  add(false, limit / 2);
  return some;
}

bool Server::AnyAway(std::span<const ObjectId> blobs) {
  return store_.spiller() != nullptr && !store_.spiller()->NotInMemory(blobs).empty();
}

// What the spiller keeps of a request. Shared, since who waits has a callback that can be copied.
Result<std::shared_ptr<HeapShares::Claim>> Server::ClaimFor(uint64_t volume,
                                                            std::span<const ObjectId> blobs) {
  constexpr uint64_t kOfBlob = 256;
  VY_ASSIGN_OR_RETURN(HeapShares::Claim claim, waits_room_.Take(volume, blobs.size() * kOfBlob,
                                                                "requests that wait for the disk"));
  return std::make_shared<HeapShares::Claim>(std::move(claim));
}

// `then` is called while all of them are in memory. It has to look everything up again.
void Server::LoadFirst(const std::shared_ptr<Connection>& connection,
                       std::span<const ObjectId> blobs, os::TimePoint deadline, Reply reply,
                       std::function<void(store::Volume&, store::ClientState&, Reply)> then) {
  auto claim = ClaimFor(connection->volume(), blobs);
  if (!claim.ok()) return reply.Fail(claim.status());
  auto waiting = std::make_shared<Reply>(std::move(reply));
  const uint64_t ticket = store_.spiller()->Load(
      blobs, deadline,
      [this, connection, waiting, claim = *claim, then = std::move(then)](const Status& loaded) {
        const Running running(store_.ledger(), connection->client(), waiting->request_id());
        if (connection->closed()) return waiting->Drop();
        if (!loaded.ok()) return waiting->Fail(loaded);
        store::ClientState* client = store_.clients().Find(connection->client());
        store::Volume* volume = store_.FindVolume(connection->volume());
        if (client == nullptr || volume == nullptr) {
          return waiting->Fail(Status::Cancelled("the client or the volume is gone"));
        }
        then(*volume, *client, std::move(*waiting));
      });
  if (store_.IsWaiting(ticket)) TrackWait(*connection, ticket, waiting);
  ArmTimer();
}

// ---- the request

void Server::HandleOpenExtents(Call call, const fb::OpenExtents& open) {
  if (open.blobs() != nullptr && open.blobs()->size() > kMaxExtentsAtOnce) {
    return call.reply.Fail(Status::LimitExceeded("too many blobs are asked for at once"));
  }
  std::vector<ObjectId> blobs;
  if (open.blobs() != nullptr) {
    for (const uint64_t blob : *open.blobs()) {
      const Extent* extent =
          call.volume.Find(ObjectId(blob)) ? store_.FindExtent(ObjectId(blob)) : nullptr;
      if (extent != nullptr && store::IsStored(*extent)) blobs.emplace_back(blob);
    }
  }
  const store::Entry* object =
      open.object() == 0 ? nullptr : call.volume.Find(ObjectId(open.object()));
  std::vector<ObjectId> together;
  if (object != nullptr) {
    const std::vector<ObjectId> all = call.volume.ExtentsOf(*object);
    if (AnyAway(all)) {
      if (Status can = MayBeTogether(ObjectId(open.object()), all); !can.ok()) {
        return call.reply.Fail(can);
      }
      const std::set<ObjectId> asked(blobs.begin(), blobs.end());
      for (const ObjectId blob : all) {
        const bool has = call.client.mapped.contains(blob.value());
        if (!has && !asked.contains(blob)) blobs.push_back(blob);
      }
      blobs = FirstOf(blobs, FdsFromDisk(*call.connection));
      together = blobs;
    }
  } else if (AnyAway(blobs)) {
    together = SomeOf(blobs);
  }
  if (!AnyAway(together)) {
    return SendExtents(call.volume, call.client, blobs, std::move(call.reply));
  }
  LoadFirst(call.connection, together, DeadlineAfter(open.timeout_ms()), std::move(call.reply),
            [this, blobs](store::Volume& volume, store::ClientState& client, Reply reply) {
              SendExtents(volume, client, blobs, std::move(reply));
            });
}

}  // namespace vineyard::daemon
