// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/socket.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "os/fd_passing.h"
#include "os/process.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

namespace vineyard::os {

namespace {

// An address that fits: the path itself, or /proc/self/fd/N/name through a descriptor of its
// directory, which must stay open until the address has been used.
struct Address {
  sockaddr_un address{};
  UniqueFd directory;
};

Result<Address> MakeAddress(const std::string& path) {
  Address result;
  result.address.sun_family = AF_UNIX;
  std::string text = path;
  if (text.size() >= sizeof result.address.sun_path) {
    const size_t slash = text.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : text.substr(0, slash + 1);
    result.directory = UniqueFd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!result.directory.valid()) {
      const bool absent = errno == ENOENT || errno == ENOTDIR;
      Status failure = ErrnoStatus("cannot open the folder of '" + path + "'");
      return absent ? Status::NotFound(failure.message()) : std::move(failure);
    }
    text = "/proc/self/fd/" + std::to_string(result.directory.get()) + "/" +
           (slash == std::string::npos ? path : path.substr(slash + 1));
    if (text.size() >= sizeof result.address.sun_path) {
      return Status::Invalid("the name of the socket '" + path + "' is too long");
    }
  }
  std::memcpy(result.address.sun_path, text.c_str(), text.size() + 1);
  return result;
}

Result<UniqueFd> NewSocket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus("cannot make a socket");
  return fd;
}

}  // namespace

Result<UniqueFd> ConnectUnix(const std::string& path) {
  const Result<Address> address = MakeAddress(path);
  if (!address.ok()) {
    const Status& failure = address.status();
    return failure.Is(StatusCode::kNotFound) ? Status::Unavailable(failure.message()) : failure;
  }
  VY_ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  const auto* raw = reinterpret_cast<const sockaddr*>(&address->address);
  while (::connect(fd.get(), raw, sizeof address->address) != 0) {
    if (errno == EINTR) continue;
    if (errno == EACCES || errno == EPERM) {
      return Status::PermissionDenied("may not connect to '" + path + "': " + std::strerror(errno));
    }
    if (errno == EAGAIN) {
      return Status::DeadlineExceeded("too many connections wait at '" + path + "'");
    }
    return Status::Unavailable("no instance answers at '" + path + "': " + std::strerror(errno));
  }
  return fd;
}

Result<UniqueFd> ListenUnix(const std::string& path, const SocketFileRights& rights) {
  VY_ASSIGN_OR_RETURN(Address address, MakeAddress(path));
  VY_ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  // The rights are set before anyone can connect: between bind and listen connections are refused.
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.address),
             sizeof address.address) != 0) {
    if (errno == EADDRINUSE) return Status::AlreadyExists("'" + path + "' is taken");
    return ErrnoStatus("cannot bind '" + path + "'");
  }
  const bool given =
      (!rights.owner && !rights.group) || ::lchown(path.c_str(), rights.owner.value_or(uid_t(-1)),
                                                   rights.group.value_or(gid_t(-1))) == 0;
  if (!given || ::chmod(path.c_str(), rights.mode) != 0 || ::listen(fd.get(), 1024) != 0) {
    Status failure = ErrnoStatus("cannot listen at '" + path + "'");
    ::unlink(path.c_str());
    return failure;
  }
  return fd;
}

Result<SocketFile> ProbeUnix(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return SocketFile::kAbsent;
    return ErrnoStatus("cannot look at '" + path + "'");
  }
  if (!S_ISSOCK(info.st_mode)) return SocketFile::kNotSocket;
  VY_ASSIGN_OR_RETURN(Address address, MakeAddress(path));
  VY_ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  const auto* raw = reinterpret_cast<const sockaddr*>(&address.address);
  while (::connect(fd.get(), raw, sizeof address.address) != 0) {
    switch (errno) {
      case EINTR: continue;
      case ECONNREFUSED: return SocketFile::kDead;
      case ENOENT: return SocketFile::kAbsent;
      case EAGAIN:      // its queue is full
      case EPROTOTYPE:  // a socket of another type
        return SocketFile::kLive;
      default: return ErrnoStatus("cannot tell whether somebody listens at '" + path + "'");
    }
  }
  return SocketFile::kLive;
}

bool IsOrphanedListener(const std::string& path) {
  auto socket = ConnectUnix(path);
  if (!socket.ok()) return false;
  // The peer of a connection is whoever called listen().
  auto peer = GetPeer(*socket);
  if (peer.ok()) return HasEnded(peer->pidfd);
  return peer.status().Is(StatusCode::kIOError);  // no such process
}

void RemoveDeadSocket(const std::string& path) {
  auto found = ProbeUnix(path);
  if (found.ok() && *found == SocketFile::kDead) ::unlink(path.c_str());
}

std::string BoundPath(const UniqueFd& listener) {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  if (::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  if (address.sun_family != AF_UNIX || length <= sizeof(sa_family_t)) return {};
  return std::string(address.sun_path,
                     ::strnlen(address.sun_path, length - offsetof(sockaddr_un, sun_path)));
}

bool IsListeningUnixSocket(const UniqueFd& fd) {
  int domain = 0;
  int type = 0;
  int listening = 0;
  socklen_t size = sizeof(int);
  return ::getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
         ::getsockopt(fd.get(), SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
         ::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 &&
         listening != 0;
}

Result<UniqueFd> Accept(const UniqueFd& listener) {
  UniqueFd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd.valid()) return fd;
  if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) {
    return Status::NotFound("no connection waits");
  }
  return ErrnoStatus("cannot accept a connection");
}

Result<std::pair<UniqueFd, UniqueFd>> SocketPair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
    return ErrnoStatus("cannot make a pair of sockets");
  }
  return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

Result<Peer> GetPeer(const UniqueFd& socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return ErrnoStatus("cannot tell who connected");
  }
  Peer peer{credentials.pid, credentials.uid, credentials.gid, {}};
  int pidfd = -1;
  size = sizeof pidfd;
  // Linux 6.5 and newer give the very process that connected; before, a pid that was reused in
  // between would be taken for it, which only delays the freeing of what the first one held.
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0) {
    peer.pidfd = UniqueFd(pidfd);
  } else {
    VY_ASSIGN_OR_RETURN(peer.pidfd, OpenPidFd(credentials.pid));
  }
  return peer;
}

Result<size_t> SendSome(const UniqueFd& socket, std::span<const iovec> parts,
                        std::span<const int> fds) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  VY_CHECK(fds.size() <= kMaxFdsPerMessage);
  ControlPart<kMaxFdsPerMessage> control;
  if (!fds.empty()) AttachFds(fds, control.bytes, &message);
  while (true) {
    const ssize_t n = ::sendmsg(socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == ENOBUFS) return size_t{0};
    if (errno == ETOOMANYREFS) {
      return Status::LimitExceeded("too many descriptors lie in sockets whose readers do not read");
    }
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) {
      return Status::Unavailable("the other side has closed the connection");
    }
    return ErrnoStatus("cannot send");
  }
}

Result<Received> ReceiveSome(const UniqueFd& socket, std::span<std::byte> buffer,
                             std::vector<UniqueFd>* fds) {
  iovec part{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ControlPart<kMaxFdsPerMessage> control;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t n;
  do {
    n = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    if (errno == EAGAIN) return Received{.would_block = true};
    if (errno == ECONNRESET) return Received{.closed = true};
    return ErrnoStatus("cannot receive");
  }
  TakeFds(&message, fds);
  if (n == 0) return Received{.closed = true};
  return Received{.bytes = static_cast<size_t>(n),
                  .fds_lost = (message.msg_flags & MSG_CTRUNC) != 0};
}

bool HasHungUp(const UniqueFd& socket) {
  pollfd entry{.fd = socket.get(), .events = 0, .revents = 0};
  return ::poll(&entry, 1, 0) > 0;
}

bool AllIsTaken(const UniqueFd& socket) {
  int unread = 0;
  return ::ioctl(socket.get(), SIOCOUTQ, &unread) != 0 || unread == 0;
}

void FinishSending(const UniqueFd& socket) { ::shutdown(socket.get(), SHUT_WR); }

void Shutdown(const UniqueFd& socket) { ::shutdown(socket.get(), SHUT_RDWR); }

Status WaitReady(int fd, Readiness readiness, TimePoint deadline,
                 const std::function<bool()>& interrupted) {
  using std::chrono::milliseconds;
  constexpr milliseconds kSlice{100};
  pollfd p{fd, static_cast<short>(readiness == Readiness::kRead ? POLLIN : POLLOUT), 0};
  const bool forever = deadline == TimePoint::max() && !interrupted;
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    const auto slice =
        std::clamp(left, milliseconds(0), interrupted ? kSlice : milliseconds(60'000));
    const int n = ::poll(&p, 1, forever ? -1 : static_cast<int>(slice.count()));
    if (n > 0) return {};
    if (n < 0 && errno != EINTR) return ErrnoStatus("cannot wait for a socket");
    if (interrupted && interrupted()) return Status::Cancelled("interrupted");
    if (Clock::now() >= deadline) return Status::DeadlineExceeded("no answer in the time given");
  }
}

}  // namespace vineyard::os
