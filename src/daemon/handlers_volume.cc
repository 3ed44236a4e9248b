// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Requests about volumes: only on the instance's first socket, from its owner or root.
#include <algorithm>
#include <random>

#include <fmt/format.h>

#include "base/logging.h"
#include "daemon/server.h"
#include "os/user.h"

namespace vineyard::daemon {

namespace {

bool IsGoodVolumeName(std::string_view name) {
  if (name.empty() || name.size() > layout::kMaxVolumeName) return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
}

}  // namespace

Status Server::CheckMayManageVolumes(const Connection& connection, const os::Peer& peer) const {
  if (connection.volume() != 1) {
    return Status::PermissionDenied("volumes are managed on the instance's first socket only");
  }
  if (peer.uid != 0 && peer.uid != os::EffectiveUser()) {
    return Status::PermissionDenied(
        "only the user who runs the instance, or root, manages volumes");
  }
  return {};
}

void Server::HandleCreateVolume(Call call, const fb::CreateVolume& create) {
  if (Status may = CheckMayManageVolumes(*call.connection, call.connection->peer()); !may.ok()) {
    return call.reply.Fail(may);
  }
  if (SendRecalled(call, create.number())) return;
  const std::string name = create.name()->str();
  if (!IsGoodVolumeName(name)) {
    return call.reply.Fail(Status::Invalid(fmt::format(
        "a volume's name has 1 to {} letters, digits, '-', '_' or '.'", layout::kMaxVolumeName)));
  }
  if (call.fds.size() != 1 || !os::IsListeningUnixSocket(call.fds[0])) {
    return call.reply.Fail(Status::Invalid("a volume is created with its listening socket"));
  }
  auto listener = std::make_shared<os::UniqueFd>(std::move(call.fds[0]));
  std::random_device random;
  store::CatalogSpec spec;
  spec.volume = store_.NextVolumeId();
  spec.name = name;
  spec.quota = create.quota();
  spec.hash_seed = uint64_t{random()} << 32 | random();
  spec.creator = call.client.token;
  spec.creator_number = create.number();
  const uint64_t id = spec.volume;
  // Repeated after a crash: this client's own volume, which listens already, is its first answer.
  if (store::Volume* same = store_.FindVolume(name)) {
    const layout::CatalogHeader& h = same->catalog().header();
    if (h.creator_token[0] == spec.creator.high && h.creator_token[1] == spec.creator.low &&
        h.creator_number == spec.creator_number && listeners_.contains(same->id())) {
      return SendDone(std::move(call.reply), layout::Answer{create.number(), 0, same->id(), 0});
    }
  }
  auto held = link_.Hold({.kind = KeptKind::kListener, .a = id}, listener->get());
  if (!held.ok()) return call.reply.Fail(held.status());
  auto reply = std::make_shared<Reply>(std::move(call.reply));
  const layout::Answer answer{create.number(), 0, id, 0};
  Status begun = store_.CreateVolume(spec, [this, reply, listener, id, answer,
                                            key = call.client.key](Result<store::Volume*> made) {
    Status listening = made.ok() ? Listen(id, std::move(*listener)) : made.status();
    if (!listening.ok()) return reply->Fail(listening);
    if (store::ClientState* client = store_.clients().Find(key)) {
      store_.clients().Note(*client, answer);
    }
    log::Info("a volume was created", {{"volume", (*made)->name()}});
    SendDone(std::move(*reply), answer);
  });
  if (!begun.ok()) {
    link_.Drop(KeptKind::kListener, id, 0);
    reply->Fail(begun);
  }
}

void Server::HandleListVolumes(Call call) {
  if (Status may = CheckMayManageVolumes(*call.connection, call.connection->peer()); !may.ok()) {
    return call.reply.Fail(may);
  }
  flatbuffers::FlatBufferBuilder b(1024);
  std::vector<flatbuffers::Offset<fb::VolumeEntry>> list;
  for (const auto& [id, volume] : store_.volumes()) {
    const auto listener = listeners_.find(id);
    const std::string path =
        listener == listeners_.end() ? std::string() : os::BoundPath(listener->second.fd);
    uint64_t connections = 0;
    for (const auto& [raw, connection] : connections_) connections += connection->volume() == id;
    const auto name = b.CreateString(volume->name());
    const auto socket = b.CreateString(path);
    list.push_back(fb::CreateVolumeEntry(
        b, name, socket, volume->quota(),
        volume->usage() - store_.IdleBytes(*volume) - store_.SpilledOf(*volume).bytes,
        volume->objects(), volume->names().size(), connections));
  }
  const auto volumes = fb::CreateVolumes(b, b.CreateVector(list));
  call.reply.Send(b, fb::ReplyBody::Volumes, volumes.Union());
}

void Server::HandleRemoveVolume(Call call, const fb::RemoveVolume& remove) {
  if (Status may = CheckMayManageVolumes(*call.connection, call.connection->peer()); !may.ok()) {
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
  listeners_.erase(id);
  std::vector<std::shared_ptr<Connection>> of_it;
  for (const auto& [raw, connection] : connections_) {
    if (connection->volume() == id) of_it.push_back(connection);
  }
  for (const auto& connection : of_it) connection->Close();
  const layout::Answer answer{remove.number(), 0, id, 0};
  Status removed = store_.RemoveVolume(id, &call.client, answer);
  if (!removed.ok()) return call.reply.Fail(removed);
  log::Info("a volume was removed", {{"volume", remove.name()->string_view()}});
  SendDone(std::move(call.reply), answer);
  AfterChange();
}

}  // namespace vineyard::daemon
