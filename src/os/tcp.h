// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// TCP: an address to listen at, given in numbers, and the socket that does. Connections are accepted, and bytes
// carried, by what socket.h has for any stream socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "os/fd.h"
#include "vineyard/status.h"

namespace vineyard::os {

struct TcpAddress {
  enum class Family : uint8_t { kIp4, kIp6 };
  Family family = Family::kIp4;
  std::string host;   ///< "127.0.0.1", "::1": in numbers, as the kernel writes them
  uint16_t port = 0;  ///< 0, before it is bound: the kernel chooses one

  /// Nobody on another machine can reach it.
  [[nodiscard]] bool IsLoopback() const;
  /// "0.0.0.0" or "::": whatever addresses this machine has.
  [[nodiscard]] bool IsAny() const { return host == "0.0.0.0" || host == "::"; }
  /// "127.0.0.1:8080", "[::1]:8080".
  [[nodiscard]] std::string ToString() const;
};

/// "127.0.0.1:8080", "[::1]:8080" or "localhost:8080". No name but that one is looked up: who listens says where.
Result<TcpAddress> ParseTcpAddress(std::string_view text);
/// Whether it is an address in numbers; one of IPv6 without its brackets.
bool IsIpAddress(std::string_view host);

/// kAlreadyExists when the address is taken. The socket does not block.
Result<UniqueFd> ListenTcp(const TcpAddress& address);
/// Where a socket is bound, with the port that was chosen.
Result<TcpAddress> BoundTcpAddress(const UniqueFd& socket);

}  // namespace vineyard::os
