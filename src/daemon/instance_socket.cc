// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/instance_socket.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>

#include "os/socket.h"

namespace vineyard::daemon {

namespace {

namespace fs = std::filesystem;

// Longer than an instance that is asked to end may take.
constexpr std::chrono::seconds kPatience{15};

Status IsRunning(const std::string& path) {
  return Status::AlreadyExists("an instance is running at '" + path + "'");
}

// Returns the folder if this call made it, else nothing.
Result<std::string> MakeFolder(const std::string& socket) {
  const fs::path folder = fs::path(socket).parent_path();
  std::error_code error;
  if (folder.empty() || fs::is_directory(folder, error)) return std::string();
  if (fs::exists(folder, error)) {
    return Status::Invalid("'" + folder.string() + "', where the socket should be, is no folder");
  }
  if (folder.filename() != "vineyard") {
    return Status::NotFound("the folder '" + folder.string() +
                            "' does not exist: make it, or choose another --socket");
  }
  const bool made = fs::create_directory(folder, error);
  if (error)
    return os::ErrnoStatus("cannot make the folder '" + folder.string() + "'", error.value());
  if (!made) return std::string();
  fs::permissions(folder, fs::perms(0755), error);  // whatever the umask
  return folder.string();
}

// Asks again and again until `attempt` gives an answer, or the time is up.
template <typename T>
Result<T> Patiently(const std::function<bool()>& interrupted,
                    const std::function<Result<std::optional<T>>()>& attempt,
                    const Status& too_late) {
  const auto deadline = os::Clock::now() + kPatience;
  while (true) {
    VY_ASSIGN_OR_RETURN(std::optional<T> answer, attempt());
    if (answer) return std::move(*answer);
    if (interrupted()) return Status::Cancelled("called off before it began");
    if (os::Clock::now() >= deadline) return too_late;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// While another has the lock and nobody listens, that one begins or ends.
Result<std::optional<os::LockFile>> TryLock(const std::string& path) {
  auto lock = os::LockFile::TryAcquire(path + ".lock");
  if (lock.ok()) return std::optional(std::move(lock).value());
  if (!lock.status().Is(StatusCode::kAlreadyExists)) return std::move(lock).status();
  VY_ASSIGN_OR_RETURN(const os::SocketFile found, os::ProbeUnix(path));
  if (found == os::SocketFile::kLive) return IsRunning(path);
  return std::optional<os::LockFile>();
}

// REQUIRES: we have the lock. Then a live socket is a stranger's, or that of an instance whose keeper
// was killed: its engine may take seconds to end, as it has much memory mapped.
Result<std::optional<os::UniqueFd>> TryListen(const std::string& path, mode_t mode) {
  VY_ASSIGN_OR_RETURN(const os::SocketFile found, os::ProbeUnix(path));
  switch (found) {
    case os::SocketFile::kAbsent: break;
    case os::SocketFile::kDead: os::RemoveDeadSocket(path); break;
    case os::SocketFile::kLive:
      if (!os::IsOrphanedListener(path)) {
        // It may have died while we asked.
        VY_ASSIGN_OR_RETURN(const os::SocketFile now, os::ProbeUnix(path));
        if (now == os::SocketFile::kLive && !os::IsOrphanedListener(path)) return IsRunning(path);
      }
      return std::optional<os::UniqueFd>();
    case os::SocketFile::kNotSocket:
      return Status::AlreadyExists("'" + path + "' is there already, and is not a socket");
  }
  VY_ASSIGN_OR_RETURN(os::UniqueFd listener, os::ListenUnix(path, mode));
  return std::optional(std::move(listener));
}

}  // namespace

Result<InstanceSocket> InstanceSocket::Open(const std::string& path, mode_t mode,
                                            const std::function<bool()>& interrupted) {
  InstanceSocket socket;
  socket.path_ = path;
  VY_ASSIGN_OR_RETURN(socket.made_folder_, MakeFolder(path));
  const Status stuck = Status::AlreadyExists("an instance that neither serves nor ends has '" +
                                             path + "': look for its process");
  VY_ASSIGN_OR_RETURN(socket.lock_,
                      Patiently<os::LockFile>(interrupted, [&] { return TryLock(path); }, stuck));
  auto listener =
      Patiently<os::UniqueFd>(interrupted, [&] { return TryListen(path, mode); }, stuck);
  if (!listener.ok()) {
    socket.Remove();
    return std::move(listener).status();
  }
  socket.listener_ = std::move(listener).value();
  return socket;
}

void InstanceSocket::Remove() {
  if (path_.empty()) return;
  listener_.Reset();
  os::RemoveDeadSocket(path_);
  lock_.Remove();
  std::error_code not_empty;  // it stays if somebody has put things there
  if (!made_folder_.empty()) fs::remove(made_folder_, not_empty);
}

}  // namespace vineyard::daemon
