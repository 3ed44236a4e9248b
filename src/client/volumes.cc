// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Making and removing volumes. The instance opens no path that a client names: whoever asks for a volume
// makes its directory, binds its socket, and passes it listening.
#include <fmt/format.h>

#include "client/impl.h"
#include "os/paths.h"

namespace vineyard {

using client::Answer;
using client::Change;
using client::Connection;
using client::Outgoing;
using client::Question;
using flatbuffers::FlatBufferBuilder;

namespace {

constexpr mode_t kSocketMode = 0660;

// A socket that nobody answers at is left over from an instance that has ended.
Result<os::UniqueFd> BindVolumeSocket(const std::string& path) {
  auto listener = os::ListenUnix(path, kSocketMode);
  if (!listener.status().Is(StatusCode::kAlreadyExists)) return listener;
  VY_ASSIGN_OR_RETURN(const os::SocketFile there, os::ProbeUnix(path));
  if (there == os::SocketFile::kLive) {
    return Status::AlreadyExists(fmt::format("'{}' is in use by an instance", path));
  }
  os::RemoveDeadSocket(path);
  return os::ListenUnix(path, kSocketMode);
}

// The instance may have carried out the request all the same.
bool IsWithoutAnswer(const Status& status) {
  return status.Is(StatusCode::kDeadlineExceeded) || status.Is(StatusCode::kUnavailable) ||
         status.Is(StatusCode::kCancelled);
}

}  // namespace

Result<VolumeInfo> Client::CreateVolume(std::string_view name, std::string_view directory,
                                        uint64_t quota, const CallOptions& options) {
  Connection& connection = impl_->connection();
  const os::TimePoint deadline = connection.Deadline(options.timeout);
  VY_ASSIGN_OR_RETURN(const std::string folder, os::MakeDirectories(std::string(directory)));
  const std::string path = folder + "/vineyard.sock";
  VY_ASSIGN_OR_RETURN(const os::UniqueFd listener, BindVolumeSocket(path));
  Outgoing create =
      Change(fb::RequestBody::CreateVolume, [&](FlatBufferBuilder& b, uint64_t number) {
        const auto text = b.CreateString(name.data(), name.size());
        return fb::CreateCreateVolume(b, number, text, quota).Union();
      });
  create.fd = listener.get();
  auto made = connection.Call(create, deadline);
  if (!made.ok()) {
    // Refused, the socket is ours and nobody serves it. Without an answer somebody may.
    if (!IsWithoutAnswer(made.status())) os::RemoveSocket(path).IgnoreError();
    return made.status();
  }
  VolumeInfo info;
  info.name = name;
  info.socket = path;
  info.quota = quota;
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
    result.push_back({v->name()->str(), wire::ToString(v->socket()), v->quota(), v->memory_usage(),
                      v->objects(), v->names(), v->connections()});
  }
  return result;
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
    if (v.name == name && !v.socket.empty()) os::RemoveSocket(v.socket).IgnoreError();
  }
  return {};
}

}  // namespace vineyard
