// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/tcp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

namespace vineyard::os {

namespace {

// Connections that wait to be accepted. A flood of them fills this queue, and no memory of ours.
constexpr int kBacklog = 128;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress ForKernel(const TcpAddress& address) {
  SocketAddress result;
  if (address.family == TcpAddress::Family::kIp4) {
    sockaddr_in ip4{};
    ip4.sin_family = AF_INET;
    ip4.sin_port = htons(address.port);
    ::inet_pton(AF_INET, address.host.c_str(), &ip4.sin_addr);
    std::memcpy(&result.storage, &ip4, sizeof ip4);
    result.size = sizeof ip4;
  } else {
    sockaddr_in6 ip6{};
    ip6.sin6_family = AF_INET6;
    ip6.sin6_port = htons(address.port);
    ::inet_pton(AF_INET6, address.host.c_str(), &ip6.sin6_addr);
    std::memcpy(&result.storage, &ip6, sizeof ip6);
    result.size = sizeof ip6;
  }
  return result;
}

Result<TcpAddress> FromKernel(const SocketAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.storage.ss_family == AF_INET) {
    sockaddr_in ip4{};
    std::memcpy(&ip4, &address.storage, sizeof ip4);
    ::inet_ntop(AF_INET, &ip4.sin_addr, text.data(), text.size());
    return TcpAddress{TcpAddress::Family::kIp4, text.data(), ntohs(ip4.sin_port)};
  }
  if (address.storage.ss_family == AF_INET6) {
    sockaddr_in6 ip6{};
    std::memcpy(&ip6, &address.storage, sizeof ip6);
    ::inet_ntop(AF_INET6, &ip6.sin6_addr, text.data(), text.size());
    return TcpAddress{TcpAddress::Family::kIp6, text.data(), ntohs(ip6.sin6_port)};
  }
  return Status::Invalid("the socket is not of TCP");
}

// In the one form that an address has several of: "::1" for "0:0:0:0:0:0:0:1".
bool Normalize(std::string* host, TcpAddress::Family family) {
  const int number = family == TcpAddress::Family::kIp4 ? AF_INET : AF_INET6;
  in6_addr address{};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (::inet_pton(number, host->c_str(), &address) != 1) return false;
  if (::inet_ntop(number, &address, text.data(), text.size()) == nullptr) return false;
  *host = text.data();
  return true;
}

}  // namespace

bool TcpAddress::IsLoopback() const {
  return family == Family::kIp4 ? host.starts_with("127.") : host == "::1";
}

std::string TcpAddress::ToString() const {
  return family == Family::kIp4 ? fmt::format("{}:{}", host, port)
                                : fmt::format("[{}]:{}", host, port);
}

bool IsIpAddress(std::string_view host) {
  std::string copy(host);
  return Normalize(&copy, TcpAddress::Family::kIp4) || Normalize(&copy, TcpAddress::Family::kIp6);
}

Result<TcpAddress> ParseTcpAddress(std::string_view text) {
  const Status mistake = Status::Invalid(fmt::format(
      "'{}' is no address and port; write one such as 127.0.0.1:8080 or [::1]:8080", text));
  TcpAddress address;
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return mistake;
  const std::string_view port = text.substr(colon + 1);
  std::string_view host = text.substr(0, colon);
  const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || error != std::errc() || stop != port.data() + port.size()) return mistake;
  if (host.starts_with('[') && host.ends_with(']')) {
    address.family = TcpAddress::Family::kIp6;
    host = host.substr(1, host.size() - 2);
  }
  address.host = host == "localhost" ? "127.0.0.1" : host;
  if (!Normalize(&address.host, address.family)) return mistake;
  return address;
}

Result<UniqueFd> ListenTcp(const TcpAddress& address) {
  const int domain = address.family == TcpAddress::Family::kIp4 ? AF_INET : AF_INET6;
  UniqueFd fd(::socket(domain, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus("cannot make a socket");
  // So that an instance may begin where one has just ended; two cannot listen at once all the same.
  const int yes = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const SocketAddress raw = ForKernel(address);
  if (::bind(fd.get(), raw.get(), raw.size) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    if (errno == EADDRINUSE) {
      return Status::AlreadyExists(fmt::format(
          "another program listens at {}; choose another port, or 0 for any", address.ToString()));
    }
    return ErrnoStatus("cannot listen at " + address.ToString());
  }
  return fd;
}

Result<TcpAddress> BoundTcpAddress(const UniqueFd& socket) {
  SocketAddress raw;
  if (::getsockname(socket.get(), raw.get(), &raw.size) != 0) {
    return ErrnoStatus("cannot tell where a socket is bound");
  }
  return FromKernel(raw);
}

}  // namespace vineyard::os
