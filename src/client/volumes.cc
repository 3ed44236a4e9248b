// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Volumes, and another program for the engine. The instance opens no path that a client names: whoever asks for a volume
// makes its directory, binds its socket, and passes it listening.
#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "client/impl.h"
#include "os/paths.h"
#include "os/user.h"

namespace vineyard {

using client::Answer;
using client::Change;
using client::Connection;
using client::Outgoing;
using client::Question;
using flatbuffers::FlatBufferBuilder;

namespace {

os::SocketFileRights ToRights(const SocketRights& rights) {
  return {.mode = rights.mode, .owner = rights.owner, .group = rights.group};
}

fb::SocketFile ToFile(const SocketRights& rights) {
  return {rights.mode, rights.owner.value_or(os::EffectiveUser()),
          rights.group.value_or(os::EffectiveGroup())};
}

// A socket that nobody answers at is left over from an instance that has ended.
Result<os::UniqueFd> BindVolumeSocket(const std::string& path, const SocketRights& rights) {
  constexpr uint32_t kOwners = 0600;
  if (rights.mode > 0777 || (rights.mode & kOwners) != kOwners) {
    return Status::Invalid(fmt::format(
        "{:04o} is no mode of a socket, or shuts out its owner; choose one from 0600 to 0777",
        rights.mode));
  }
  auto listener = os::ListenUnix(path, ToRights(rights));
  if (!listener.status().Is(StatusCode::kAlreadyExists)) return listener;
  VY_ASSIGN_OR_RETURN(const os::SocketFile there, os::ProbeUnix(path));
  if (there == os::SocketFile::kLive) {
    return Status::AlreadyExists(fmt::format("'{}' is in use by an instance", path));
  }
  os::RemoveDeadSocket(path);
  return os::ListenUnix(path, ToRights(rights));
}

// The path without links, in a folder that is there.
Result<std::string> PlaceOfReaders(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (name.empty() || name == "." || name == "..") {
    return Status::Invalid(fmt::format("'{}' is no path of a socket for readers", path));
  }
  VY_ASSIGN_OR_RETURN(
      const std::string folder,
      os::MakeDirectories(slash == std::string::npos ? "." : path.substr(0, slash + 1)));
  return folder + "/" + name;
}

/// The sockets of a volume that is being made: removed again unless it is.
class VolumeSockets {
 public:
  VolumeSockets() = default;
  VolumeSockets(const VolumeSockets&) = delete;
  VolumeSockets& operator=(const VolumeSockets&) = delete;
  ~VolumeSockets() {
    if (kept_) return;
    for (const std::string& path : paths_) os::RemoveSocket(path).IgnoreError();
  }
  Status Bind(const std::string& path, const SocketRights& rights) {
    VY_ASSIGN_OR_RETURN(os::UniqueFd listener, BindVolumeSocket(path, rights));
    fds_.push_back(listener.get());
    listeners_.push_back(std::move(listener));
    paths_.push_back(path);
    return {};
  }
  void Keep() { kept_ = true; }
  [[nodiscard]] const std::vector<int>& fds() const { return fds_; }

 private:
  std::vector<os::UniqueFd> listeners_;
  std::vector<int> fds_;
  std::vector<std::string> paths_;
  bool kept_ = false;
};

// The instance may have carried out the request all the same.
bool IsWithoutAnswer(const Status& status) {
  return status.Is(StatusCode::kDeadlineExceeded) || status.Is(StatusCode::kUnavailable) ||
         status.Is(StatusCode::kCancelled);
}

}  // namespace

Result<VolumeInfo> Client::CreateVolume(std::string_view name, std::string_view directory,
                                        uint64_t quota, const CallOptions& options) {
  VolumeOptions volume;
  volume.quota = quota;
  return CreateVolume(name, directory, volume, options);
}

Result<VolumeInfo> Client::CreateVolume(std::string_view name, std::string_view directory,
                                        const VolumeOptions& volume, const CallOptions& options) {
  Connection& connection = impl_->connection();
  const os::TimePoint deadline = connection.Deadline(options.timeout);
  VolumeInfo info;
  info.name = name;
  info.quota = volume.quota;
  info.guaranteed = volume.guaranteed;
  info.durable = volume.durability == Durability::kDisk;
  VY_RETURN_IF_ERROR(client::CheckDurability(connection, volume.durability));
  VY_ASSIGN_OR_RETURN(const std::string folder, os::MakeDirectories(std::string(directory)));
  info.socket = folder + "/vineyard.sock";
  VolumeSockets sockets;
  VY_RETURN_IF_ERROR(sockets.Bind(info.socket, volume.rights));
  const bool has_readers = !volume.read_only_socket.empty();
  if (has_readers) {
    VY_ASSIGN_OR_RETURN(info.read_only_socket, PlaceOfReaders(volume.read_only_socket));
    if (info.read_only_socket == info.socket) {
      return Status::Invalid(
          fmt::format("'{}' is the volume's socket; choose another path for readers", info.socket));
    }
    VY_RETURN_IF_ERROR(sockets.Bind(info.read_only_socket, volume.read_only_rights));
  }
  Outgoing create =
      Change(fb::RequestBody::CreateVolume, [&](FlatBufferBuilder& b, uint64_t number) {
        const auto text = b.CreateString(name.data(), name.size());
        std::vector<fb::SocketFile> rights{ToFile(volume.rights)};
        if (has_readers) rights.push_back(ToFile(volume.read_only_rights));
        return fb::CreateCreateVolume(b, number, text, volume.quota, has_readers, volume.guaranteed,
                                      client::MillisecondsUntil(deadline), info.durable,
                                      b.CreateVectorOfStructs(rights))
            .Union();
      });
  create.fds = sockets.fds();
  auto made = connection.Call(create, client::WithGrace(deadline));
  // Refused, the sockets are ours and nobody serves them. Without an answer somebody may.
  if (made.ok() || IsWithoutAnswer(made.status())) sockets.Keep();
  VY_RETURN_IF_ERROR(made.status());
  return info;
}

Result<std::vector<VolumeInfo>> Client::ListVolumes(const CallOptions& options) {
  Connection& connection = impl_->connection();
  const Outgoing list = Question(fb::RequestBody::ListVolumes, [](FlatBufferBuilder& b, uint64_t) {
    return fb::CreateListVolumes(b).Union();
  });
  VY_ASSIGN_OR_RETURN(const Answer answer,
                      connection.Call(list, connection.Deadline(options.timeout)));
  const fb::Volumes* volumes = answer.reply().body_as_Volumes();
  if (volumes == nullptr) return Status::Protocol("the instance's list is none");
  std::vector<VolumeInfo> result;
  for (const fb::VolumeEntry* v : *volumes->volumes()) {
    result.push_back({v->name()->str(), wire::ToString(v->socket()),
                      wire::ToString(v->read_only_socket()), v->quota(), v->memory_usage(),
                      v->objects(), v->names(), v->connections(), v->guaranteed(), v->memory_held(),
                      v->durable()});
  }
  return result;
}

Result<InstanceStatus> Client::Upgrade(const UpgradeOptions& options) {
  constexpr std::chrono::milliseconds kPause{5};
  constexpr std::chrono::milliseconds kPauseWhileWatching{50};
  Connection& connection = impl_->connection();
  const os::TimePoint deadline = connection.Deadline(options.timeout);
  const Outgoing upgrade = Change(
      fb::RequestBody::Upgrade,
      [](FlatBufferBuilder& b, uint64_t number) { return fb::CreateUpgrade(b, number).Union(); });
  VY_ASSIGN_OR_RETURN(const Answer answer, connection.Call(upgrade, deadline));
  const fb::Done* done = answer.reply().body_as_Done();
  if (done == nullptr) return Status::Protocol("the instance's answer is none");
  // The engine that has answered may take a moment to end. And our question may be what ends the new one: then it is
  // asked of the one that comes back.
  bool was_fatal = false;
  while (true) {
    const auto left = std::chrono::ceil<Timeout>(deadline - os::Clock::now());
    auto status = GetStatus({.timeout = std::max(left, Timeout(0))});
    if (!status.ok() && (was_fatal || !status.status().Is(StatusCode::kInternal))) return status;
    was_fatal = !status.ok();
    const bool serves = status.ok() && status->generation > done->value();
    if (serves && !(options.watch && status->on_probation)) return status;
    std::this_thread::sleep_for(serves ? kPauseWhileWatching : kPause);
  }
}

Status Client::RemoveVolume(std::string_view name, const CallOptions& options) {
  Connection& connection = impl_->connection();
  const os::TimePoint deadline = connection.Deadline(options.timeout);
  VY_ASSIGN_OR_RETURN(const std::vector<VolumeInfo> volumes, ListVolumes(options));
  const Outgoing remove =
      Change(fb::RequestBody::RemoveVolume, [&](FlatBufferBuilder& b, uint64_t number) {
        const auto text = b.CreateString(name.data(), name.size());
        return fb::CreateRemoveVolume(b, number, text).Union();
      });
  VY_RETURN_IF_ERROR(connection.Call(remove, deadline).status());
  for (const VolumeInfo& v : volumes) {
    if (v.name != name) continue;
    for (const std::string& path : {v.socket, v.read_only_socket}) {
      if (!path.empty()) os::RemoveSocket(path).IgnoreError();
    }
  }
  return {};
}

}  // namespace vineyard
