// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Server: HTTP/1.1 on one listening socket. One thread in poll() owns all connections; nothing of a client's can make it
// wait, and what all of them together can make it keep is bounded.
//
// Note [Bounds]
//
// A connection costs a descriptor, at most kMaxHead bytes of a head, and a reference to a body that others share. There
// are at most `connections`. When another comes, whoever has been silent the longest goes: one that has not sent a whole
// request, else one that is slow to take its answer. So many connections that say nothing keep nobody out: who asks at
// once is answered at once. Each step has its time: a head, a pause between two requests, an answer. Bodies that are
// being sent keep old versions of a long list alive, so there is a bound on their bytes too.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/answer.h"
#include "http/request.h"
#include "os/fd.h"
#include "os/socket.h"

namespace vineyard::http {

struct ServerLimits {
  size_t connections = 64;
  size_t requests_each = 1000;  ///< on one connection
  size_t bytes_under_way = size_t{192} << 20;
  std::chrono::milliseconds head{5'000};
  std::chrono::milliseconds pause{30'000};
  std::chrono::milliseconds answer{30'000};
};

class Server {
 public:
  /// Names a request whose answer comes later.
  using Ticket = uint64_t;
  /// On the server's thread, which it must not hold up. nullopt: Deliver will be called with the ticket, once.
  using Handler = std::function<std::optional<Answer>(const Request& request, Ticket ticket)>;

  static Result<std::unique_ptr<Server>> Make(os::UniqueFd listener, Handler handler,
                                              const ServerLimits& limits = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// Until Stop.
  Status Run();
  /// From any thread.
  void Deliver(Ticket ticket, Answer answer);
  void Stop();

 private:
  class Connection;

  Server(os::UniqueFd listener, os::UniqueFd bell, Handler handler, const ServerLimits& limits);

  void TakeConnections(os::TimePoint now);
  bool MakeRoom();
  void MakeRoomForBytes(size_t bytes, const Connection* keep);
  void TakeDeliveries(os::TimePoint now);
  void Read(Connection& connection, os::TimePoint now);
  void HandleHeads(Connection& connection, os::TimePoint now);
  void StartAnswer(Connection& connection, Answer answer, os::TimePoint now);
  void Write(Connection& connection, os::TimePoint now);
  void End(Connection& connection, os::TimePoint now);
  void HandleLate(Connection& connection, os::TimePoint now);
  [[nodiscard]] int PollTimeout(os::TimePoint now) const;

  os::UniqueFd listener_;
  os::UniqueFd bell_;
  Handler handler_;
  ServerLimits limits_;
  std::vector<std::unique_ptr<Connection>> connections_;
  Ticket last_ticket_ = 0;
  os::TimePoint accept_again_{};  // after a failure that is not the connection's own

  std::mutex mutex_;
  std::vector<std::pair<Ticket, Answer>> deliveries_;  // under mutex_
  bool stop_ = false;                                  // under mutex_
};

}  // namespace vineyard::http
