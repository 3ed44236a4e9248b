// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/volume_sockets.h"

#include <filesystem>
#include <string>
#include <system_error>

#include "base/logging.h"
#include "os/socket.h"
#include "os/user.h"
#include "spill/opened_file.h"
#include "store/disk.h"
#include "store/durable_format.h"

namespace vineyard::daemon {

namespace {

namespace fs = std::filesystem;

/// Invalid where somebody listens there already: an engine before this one has made it, or was given it.
Result<os::UniqueFd> MakeSocket(const store::DurableSocket& socket) {
  VY_ASSIGN_OR_RETURN(const os::SocketFile found, os::ProbeUnix(socket.path));
  if (found == os::SocketFile::kLive) return os::UniqueFd();
  if (found == os::SocketFile::kNotSocket) {
    return Status::AlreadyExists("'" + socket.path + "' is there, and is not a socket");
  }
  os::RemoveDeadSocket(socket.path);
  // What is made at each start of the machine, such as a folder below /run, is gone.
  std::error_code ignored;
  fs::create_directories(fs::path(socket.path).parent_path(), ignored);
  os::SocketFileRights rights{.mode = socket.mode, .owner = {}, .group = {}};
  if (os::EffectiveUser() == 0) {
    rights.owner = socket.owner;
    rights.group = socket.group;
  }
  return os::ListenUnix(socket.path, rights);
}

Result<store::DurableVolume> ReadVolume(const std::shared_ptr<spill::Place>& place,
                                        const spill::Key& key) {
  VY_ASSIGN_OR_RETURN(const auto file, spill::OpenedFile::Open(place, key));
  return store::DecodeDurableVolume(file->head().description);
}

}  // namespace

std::map<Door, os::UniqueFd> MakeVolumeSockets(const std::shared_ptr<spill::Place>& place) {
  std::map<Door, os::UniqueFd> made;
  for (const spill::Key& key : place->survey().files) {
    if (key.kind != store::kVolumeFile) continue;
    const auto volume = ReadVolume(place, key);
    if (!volume.ok() || volume->removed) continue;  // who restores it says why
    for (const Rights rights : {Rights::kAll, Rights::kRead}) {
      const store::DurableSocket& socket = volume->sockets[static_cast<size_t>(rights)];
      if (socket.path.empty()) continue;
      auto listener = MakeSocket(socket);
      if (!listener.ok()) {
        log::Error("a socket of a durable volume can't be made",
                   {{"volume", volume->name},
                    {"socket", socket.path},
                    {"why", listener.status().message()}});
      } else if (listener->valid()) {
        made[{key.volume, rights}] = std::move(*listener);
      }
    }
  }
  return made;
}

}  // namespace vineyard::daemon
