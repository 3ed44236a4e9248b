// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Requests about volumes: only on the instance's first socket, from its owner or root.
#include <algorithm>
#include <random>

#include <fmt/format.h>

#include "base/logging.h"
#include "daemon/request_values.h"
#include "daemon/server.h"

namespace vineyard::daemon {

namespace {

constexpr std::string_view kVolumesAreManaged = "volumes are managed";

bool IsGoodVolumeName(std::string_view name) {
  if (name.empty() || name.size() > layout::kMaxVolumeName) return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

// How it is to be made again, its sockets included: their paths are what they are bound to.
store::DurableVolume Describe(const fb::CreateVolume& create, const store::CatalogSpec& spec,
                              const std::vector<os::UniqueFd>& listeners) {
  store::DurableVolume volume{.name = spec.name,
                              .quota = spec.quota,
                              .guaranteed = spec.guaranteed,
                              .hash_seed = spec.hash_seed,
                              .removed = false,
                              .sockets = {}};
  for (size_t i = 0; i < listeners.size(); ++i) {
    volume.sockets[i] = {.path = os::BoundPath(listeners[i]), .mode = 0660};
    if (create.rights() == nullptr || i >= create.rights()->size()) continue;
    const fb::SocketFile& file = *create.rights()->Get(static_cast<flatbuffers::uoffset_t>(i));
    volume.sockets[i].mode = file.mode();
    volume.sockets[i].owner = file.owner();
    volume.sockets[i].group = file.group();
  }
  return volume;
}

}  // namespace

void Server::HandleCreateVolume(Call call, const fb::CreateVolume& create) {
  if (Status may = CheckMayManage(*call.connection, kVolumesAreManaged); !may.ok()) {
    return call.reply.Fail(may);
  }
  if (SendRecalled(call, create.number())) return;
  const std::string name = create.name()->str();
  if (!IsGoodVolumeName(name)) {
    return call.reply.Fail(Status::Invalid(fmt::format(
        "a volume's name has 1 to {} letters, digits, '-', '_' or '.'", layout::kMaxVolumeName)));
  }
  const size_t sockets = create.has_readers() ? 2 : 1;
  if (call.fds.size() != sockets || !std::ranges::all_of(call.fds, os::IsListeningUnixSocket)) {
    return call.reply.Fail(Status::Invalid("a volume is created with its listening sockets"));
  }
  auto listeners = std::make_shared<std::vector<os::UniqueFd>>(std::move(call.fds));
  std::random_device random;
  store::CatalogSpec spec;
  spec.volume = store_.NextVolumeId();
  spec.name = name;
  spec.quota = create.quota();
  spec.guaranteed = create.guaranteed();
  spec.durable = create.durable();
  spec.hash_seed = uint64_t{random()} << 32 | random();
  spec.creator = call.client.token;
  spec.creator_number = create.number();
  const uint64_t id = spec.volume;
  // Repeated after a crash: this client's own volume, which listens already, is its first answer.
  if (store::Volume* same = store_.FindVolume(name)) {
    const layout::CatalogHeader& h = same->catalog().header();
    if (h.creator_token[0] == spec.creator.high && h.creator_token[1] == spec.creator.low &&
        h.creator_number == spec.creator_number &&
        listeners_.contains({same->id(), Rights::kAll})) {
      return SendDone(std::move(call.reply), layout::Answer{create.number(), 0, same->id(), 0});
    }
    return call.reply.Fail(Status::AlreadyExists(fmt::format("volume '{}' exists", name)));
  }
  store::DurableVolume described;
  if (spec.durable) {
    if (Status may = store_.CheckDurable(); !may.ok()) return call.reply.Fail(may);
    described = Describe(create, spec, *listeners);
  }
  constexpr uint64_t kFilesOfVolume = 8;  // its catalog, its first arena, its socket
  Status may = MayMakeFiles(store::Holder{id}, kFilesOfVolume);
  if (!may.ok()) return call.reply.Fail(may);
  if (Status fits = store_.CheckGuarantee(spec); !fits.ok()) return call.reply.Fail(fits);
  auto reply = std::make_shared<Reply>(std::move(call.reply));
  if (spec.guaranteed == 0) {
    return KeepThenBegin(spec, described, call.client.key, listeners, reply);
  }
  const uint64_t ticket = store_.WaitForGuarantee(
      spec, DeadlineAfter(create.timeout_ms()),
      [this, spec, described, connection = call.connection, listeners, reply](Status granted) {
        const Running running(store_.ledger(), connection->client(), reply->request_id());
        if (connection->closed()) return reply->Drop();
        if (!granted.ok()) {
          return reply->Fail(granted.WithContext(
              fmt::format("the memory to be guaranteed to volume '{}' is not free", spec.name)));
        }
        KeepThenBegin(spec, described, connection->client(), listeners, reply);
      });
  if (store_.IsWaiting(ticket)) TrackWait(*call.connection, ticket, reply);
  ArmTimer();
}

// Its file first: once it is there it has a place to come back to.
void Server::KeepThenBegin(const store::CatalogSpec& spec, const store::DurableVolume& described,
                           uint64_t client,
                           const std::shared_ptr<std::vector<os::UniqueFd>>& listeners,
                           const std::shared_ptr<Reply>& reply) {
  if (!spec.durable) return BeginVolume(spec, client, listeners, reply);
  store_.KeepVolume(spec.volume, described,
                    [this, spec, client, listeners, reply](const Status& kept) {
                      const Running running(store_.ledger(), client, reply->request_id());
                      if (!kept.ok()) return reply->Fail(kept);
                      BeginVolume(spec, client, listeners, reply);
                    });
}

void Server::BeginVolume(const store::CatalogSpec& spec, uint64_t client,
                         const std::shared_ptr<std::vector<os::UniqueFd>>& listeners,
                         const std::shared_ptr<Reply>& reply) {
  const uint64_t id = spec.volume;
  for (uint64_t which = 0; which < listeners->size(); ++which) {
    auto held =
        link_.Hold({.kind = KeptKind::kListener, .a = id, .b = which}, listeners->at(which).get());
    if (held.ok()) continue;
    DropListeners(id);
    if (spec.durable) store_.UnkeepVolume(id);
    return reply->Fail(held.status());
  }
  const layout::Answer answer{spec.creator_number, 0, id, 0};
  Status begun = store_.CreateVolume(spec, [this, reply, listeners, id, answer,
                                            client](Result<store::Volume*> made) {
    if (!made.ok()) return reply->Fail(made.status());
    for (size_t which = 0; which < listeners->size(); ++which) {
      Status listening = Listen({id, static_cast<Rights>(which)}, std::move(listeners->at(which)));
      if (!listening.ok()) return reply->Fail(listening);
    }
    if (const store::ClientState* creator = store_.clients().Find(client)) {
      store_.clients().Note(*creator, answer);
    }
    log::Info("a volume was created", {{"volume", (*made)->name()}});
    SendDone(std::move(*reply), answer);
  });
  if (!begun.ok()) {
    DropListeners(id);
    if (spec.durable) store_.UnkeepVolume(id);
    reply->Fail(begun);
  }
}

void Server::DropListeners(uint64_t volume) {
  for (const Rights rights : {Rights::kAll, Rights::kRead}) {
    link_.Drop(KeptKind::kListener, volume, static_cast<uint64_t>(rights));
  }
}

std::string Server::SocketOf(Door door) const {
  const auto listener = listeners_.find(door);
  return listener == listeners_.end() ? std::string() : os::BoundPath(listener->second.fd);
}

void Server::HandleListVolumes(Call call) {
  if (Status may = CheckMayManage(*call.connection, kVolumesAreManaged); !may.ok()) {
    return call.reply.Fail(may);
  }
  flatbuffers::FlatBufferBuilder b(1024);
  std::vector<flatbuffers::Offset<fb::VolumeEntry>> list;
  for (const auto& [id, volume] : store_.volumes()) {
    uint64_t connections = 0;
    for (const auto& [raw, connection] : connections_) connections += connection->volume() == id;
    const auto name = b.CreateString(volume->name());
    const auto socket = b.CreateString(SocketOf({id, Rights::kAll}));
    const auto readers = b.CreateString(SocketOf({id, Rights::kRead}));
    list.push_back(fb::CreateVolumeEntry(
        b, name, socket, volume->quota(),
        volume->usage() - store_.IdleBytes(*volume) - store_.SpilledOf(*volume).bytes,
        volume->objects(), volume->names_given(), connections, readers,
        store_.budget().GuaranteedTo(volume->holder()),
        store_.budget().HeldBy(volume->holder()).bytes, volume->durable()));
  }
  const auto volumes = fb::CreateVolumes(b, b.CreateVector(list));
  call.reply.Send(b, fb::ReplyBody::Volumes, volumes.Union());
}

void Server::HandleRemoveVolume(Call call, const fb::RemoveVolume& remove) {
  if (Status may = CheckMayManage(*call.connection, kVolumesAreManaged); !may.ok()) {
    return call.reply.Fail(may);
  }
  if (SendRecalled(call, remove.number())) return;
  store::Volume* volume = store_.FindVolume(remove.name()->string_view());
  if (volume == nullptr) {
    return call.reply.Fail(
        Status::NotFound(fmt::format("no volume '{}'", remove.name()->string_view())));
  }
  if (volume->id() == 1) {
    return call.reply.Fail(Status::Invalid("the default volume ends with the instance only"));
  }
  const uint64_t id = volume->id();
  listeners_.erase({id, Rights::kAll});
  listeners_.erase({id, Rights::kRead});
  std::vector<std::shared_ptr<Connection>> of_it;
  for (const auto& [raw, connection] : connections_) {
    if (connection->volume() == id) of_it.push_back(connection);
  }
  for (const auto& connection : of_it) connection->Close();
  const layout::Answer answer{remove.number(), 0, id, 0};
  const uint64_t marks = Marks();
  counts_.erase(id);
  Status removed = store_.RemoveVolume(id, &call.client, answer);
  if (!removed.ok()) return call.reply.Fail(removed);
  log::Info("a volume was removed", {{"volume", remove.name()->string_view()}});
  SendWhenKept(std::move(call.reply), answer, marks);
  AfterChange();
}

}  // namespace vineyard::daemon
