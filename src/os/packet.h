// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Packets: what two processes of ours say to each other over a SOCK_SEQPACKET pair. A packet arrives
// whole or not at all, and carries at most one descriptor. Nothing here blocks.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "os/fd.h"
#include "vineyard/status.h"

namespace vineyard::os {

Result<std::pair<UniqueFd, UniqueFd>> PacketPair();

enum class Sent {
  kSent,
  kFull,  ///< the other side has not read: wait until the socket is writable
  kBusy,  ///< the kernel is short of memory, or of descriptors on their way: wait some milliseconds
};

/// REQUIRES: `packet` is not empty (an empty one looks like the end). `fd` may be -1. Once this has returned kSent the descriptor is safe in the socket, whatever happens
/// to the sender. kUnavailable when the other side is gone.
Result<Sent> SendPacket(const UniqueFd& socket, std::span<const std::byte> packet, int fd);

enum class Arrival { kPacket, kNothing, kClosed };

struct Packet {
  Arrival arrival = Arrival::kNothing;
  size_t bytes = 0;      ///< its length, also where that is more than the buffer took
  UniqueFd fd;           ///< close-on-exec
  bool fd_lost = false;  ///< one was sent, but this process has too many open
};

/// kClosed only after everything that the other side sent has been read, however it ended.
Result<Packet> ReceivePacket(const UniqueFd& socket, std::span<std::byte> buffer);

}  // namespace vineyard::os
