// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Unix stream sockets that carry bytes and descriptors. All sockets made here are non-blocking.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "os/fd.h"
#include "vineyard/status.h"

namespace vineyard::os {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

/// The most descriptors that one message carries (the kernel's SCM_MAX_FD).
inline constexpr size_t kMaxFdsPerMessage = 253;

/// Paths of any length: a long one is reached through a descriptor of its directory. kUnavailable when
/// nobody listens; kDeadlineExceeded when the listener's queue is full: try again a little later.
Result<UniqueFd> ConnectUnix(const std::string& path);
struct SocketFileRights {
  mode_t mode = 0660;
  std::optional<uid_t> owner;  ///< Another than this process's user: root only.
  std::optional<gid_t> group;
};
/// Fails with kAlreadyExists when the path is taken, by a live socket or anything else. Nobody can connect before the
/// file has its rights.
Result<UniqueFd> ListenUnix(const std::string& path, const SocketFileRights& rights);
inline Result<UniqueFd> ListenUnix(const std::string& path, mode_t mode) {
  return ListenUnix(path, SocketFileRights{.mode = mode, .owner = {}, .group = {}});
}

enum class SocketFile {
  kAbsent,     ///< nothing at the path
  kLive,       ///< a socket that somebody listens on
  kDead,       ///< a socket left behind: connections are refused
  kNotSocket,  ///< another kind of file, or a link
};
/// Looks by connecting. Fails where it cannot tell (no permission).
Result<SocketFile> ProbeUnix(const std::string& path);
/// True when the process that made the socket at `path` listen has ended, although another that got
/// the socket from it, and may be ending too, still has it.
bool IsOrphanedListener(const std::string& path);
/// Unlinks the path if it is a dead socket; does nothing otherwise.
void RemoveDeadSocket(const std::string& path);

/// The path a listening socket is bound to; empty if it has none.
std::string BoundPath(const UniqueFd& listener);
bool IsListeningUnixSocket(const UniqueFd& fd);
/// kNotFound without a waiting connection.
Result<UniqueFd> Accept(const UniqueFd& listener);
Result<std::pair<UniqueFd, UniqueFd>> SocketPair();

struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  UniqueFd pidfd;
};
/// Who connected, as the kernel knows it.
Result<Peer> GetPeer(const UniqueFd& socket);

/// Bytes sent now; 0 when the socket's buffer is full. The descriptors go with the first byte, so
/// they have gone when the result is not 0. kUnavailable when the peer is gone; kLimitExceeded while
/// too many descriptors that this user has sent lie untaken in sockets (no event tells the end of it).
Result<size_t> SendSome(const UniqueFd& socket, std::span<const iovec> parts,
                        std::span<const int> fds);

struct Received {
  size_t bytes = 0;
  bool would_block = false;
  bool closed = false;
  bool fds_lost =
      false;  ///< Of those that came with these bytes, as this process may have no more.
};
/// Appends descriptors that came along to `fds`, close-on-exec.
Result<Received> ReceiveSome(const UniqueFd& socket, std::span<std::byte> buffer,
                             std::vector<UniqueFd>* fds);

enum class Readiness { kRead, kWrite };
/// kDeadlineExceeded at the deadline; kCancelled when `interrupted` (asked ten times a second, may be
/// empty) says so.
Status WaitReady(int fd, Readiness readiness, TimePoint deadline,
                 const std::function<bool()>& interrupted);
inline Status WaitReady(const UniqueFd& fd, Readiness readiness, TimePoint deadline,
                        const std::function<bool()>& interrupted) {
  return WaitReady(fd.get(), readiness, deadline, interrupted);
}
/// True when the other side has closed, or is dead. Does not block.
bool HasHungUp(const UniqueFd& socket);
/// True when the other side has read all that was sent here, or is gone.
bool AllIsTaken(const UniqueFd& socket);
/// The other side sees the end once it has read all that was sent here; what it sends may still be read.
void FinishSending(const UniqueFd& socket);
/// Ends the connection for both sides and wakes whoever waits for it; the descriptor stays open.
void Shutdown(const UniqueFd& socket);

}  // namespace vineyard::os
