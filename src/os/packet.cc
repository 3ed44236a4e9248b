// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/packet.h"

#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "os/fd_passing.h"

namespace vineyard::os {

namespace {

// Room for more than the one descriptor we expect, so that a wrong sender's are closed, not lost.
constexpr size_t kFdsTaken = 4;

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> PacketPair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
    return ErrnoStatus("cannot make a pair of sockets");
  }
  return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

Result<Sent> SendPacket(const UniqueFd& socket, std::span<const std::byte> packet, int fd) {
  iovec part{const_cast<std::byte*>(packet.data()), packet.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ControlPart<1> control;
  if (fd >= 0) AttachFds(std::span(&fd, 1), control.bytes, &message);
  while (::sendmsg(socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    switch (errno) {
      case EINTR: continue;
      case EAGAIN: return Sent::kFull;
      case ENOBUFS:
      case ENOMEM:
      case ETOOMANYREFS: return Sent::kBusy;
      case EPIPE:
      case ECONNRESET:
      case ENOTCONN: return Status::Unavailable("the other process has closed its socket");
      default: return ErrnoStatus("cannot send a packet");
    }
  }
  return Sent::kSent;
}

Result<Packet> ReceivePacket(const UniqueFd& socket, std::span<std::byte> buffer) {
  iovec part{buffer.data(), buffer.size()};
  ControlPart<kFdsTaken> control;
  msghdr message{};
  ssize_t n;
  // A peer that dies with packets of ours unread leaves ECONNRESET in our socket, and the kernel
  // reports that once, before the packets that it had sent. They follow at the next call.
  int resets = 0;
  do {
    message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    n = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT | MSG_TRUNC);
  } while (n < 0 && (errno == EINTR || (errno == ECONNRESET && ++resets < 3)));
  Packet packet;
  if (n < 0) {
    if (errno == EAGAIN) return packet;
    if (errno != ECONNRESET) return ErrnoStatus("cannot receive a packet");
    packet.arrival = Arrival::kClosed;
    return packet;
  }
  std::vector<UniqueFd> fds;
  TakeFds(&message, &fds);
  if (!fds.empty()) packet.fd = std::move(fds.front());
  packet.fd_lost = (message.msg_flags & MSG_CTRUNC) != 0;
  packet.arrival = n == 0 ? Arrival::kClosed : Arrival::kPacket;
  packet.bytes = static_cast<size_t>(n);
  return packet;
}

}  // namespace vineyard::os
