// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// How connections come about: Note [Descriptors are shared out] in descriptor_shares.h.
#include <algorithm>
#include <chrono>
#include <set>

#include "base/logging.h"
#include "daemon/server.h"

namespace vineyard::daemon {

using std::chrono::milliseconds;

namespace {

// Within which a connection says who it is. Clients do so at once.
constexpr std::chrono::seconds kSilence{5};
constexpr milliseconds kNoDescriptorPause{100};

}  // namespace

std::unique_ptr<asio::posix::stream_descriptor> Watch(asio::io_context& io,
                                                      const os::UniqueFd& fd) {
  auto copy = fd.Duplicate();
  if (!copy.ok()) return nullptr;
  return std::make_unique<asio::posix::stream_descriptor>(io, copy->Release());
}

Status Server::Listen(Door door, os::UniqueFd listener) {
  Listener entry;
  entry.watched = Watch(io_, listener);
  if (entry.watched == nullptr) return Status::LimitExceeded("too many descriptors are open");
  entry.fd = std::move(listener);
  listeners_[door] = std::move(entry);
  WaitToAccept(door);
  return {};
}

void Server::WaitToAccept(Door door) {
  const auto it = listeners_.find(door);
  if (it == listeners_.end()) return;
  it->second.watched->async_wait(asio::posix::stream_descriptor::wait_read,
                                 [this, door](const asio::error_code& error) {
                                   if (!error && !stopped_) AcceptAll(door);
                                 });
}

// Out of descriptors: trying again at once would spin.
void Server::WaitToAcceptLater(Door door) {
  auto pause = std::make_shared<asio::steady_timer>(io_, kNoDescriptorPause);
  pause->async_wait([this, door, pause](const asio::error_code& error) {
    if (!error && !stopped_) WaitToAccept(door);
  });
}

void Server::AcceptAll(Door door) {
  constexpr int kAtOnce = 64;
  for (int i = 0; i < kAtOnce; ++i) {
    const auto it = listeners_.find(door);
    if (it == listeners_.end()) return;
    auto socket = os::Accept(it->second.fd);
    if (!socket.ok()) {
      if (socket.status().Is(StatusCode::kNotFound)) break;
      if (const uint64_t times = not_accepted_.Note()) {
        log::Warning("connections could not be accepted",
                     {{"why", socket.status().message()}, {"times", times}});
      }
      return WaitToAcceptLater(door);
    }
    auto peer = os::GetPeer(*socket);
    if (!peer.ok()) continue;  // gone already
    auto connection =
        std::make_shared<Connection>(*this, std::move(*socket), door, std::move(*peer));
    if (connection->closed()) continue;  // no descriptor was left for it
    connections_[connection.get()] = connection;
    NoteSilent(*connection);
    connection->Start();
  }
  WaitToAccept(door);
}

// ---- who has not said who it is

void Server::NoteSilent(Connection& connection) {
  silent_.push_back({&connection, os::Clock::now() + kSilence});
  std::set<uint64_t> volumes;
  size_t of_volume = 0;
  for (const Silent& s : silent_) {
    volumes.insert(s.connection->volume());
    of_volume += s.connection->volume() == connection.volume() ? 1 : 0;
  }
  if (of_volume > shares_.MostSilent(volumes.size())) {
    const auto oldest = std::ranges::find(silent_, connection.volume(),
                                          [](const Silent& s) { return s.connection->volume(); });
    if (const uint64_t times = silent_closed_.Note()) {
      log::Warning("connections that say nothing were closed, as there are many",
                   {{"pid", oldest->connection->peer().pid}, {"times", times}});
    }
    oldest->connection->Close();
  }
  ArmTimer();
}

void Server::ForgetSilent(const Connection& connection) {
  silent_.remove_if([&](const Silent& s) { return s.connection == &connection; });
}

void Server::CloseSilent(os::TimePoint now) {
  while (!silent_.empty() && silent_.front().until <= now) silent_.front().connection->Close();
}

// ---- who is refused

Status Server::MayServe(const Connection& connection) {
  const store::ClientTable& clients = store_.clients();
  const uint64_t own = clients.CountOf(connection.volume());
  Status may = shares_.MayServe({.of_volume = own,
                                 .of_all = clients.all().size(),
                                 .volumes = clients.volumes() + (own == 0 ? 1 : 0)});
  if (may.ok()) return may;
  if (const uint64_t times = refused_.Note()) {
    log::Warning("clients were refused", {{"why", may.message()}, {"times", times}});
  }
  return may;
}

void Server::LogDropped(Connection& connection, std::string_view why) {
  if (const uint64_t times = dropped_.Note()) {
    log::Warning("a client was dropped",
                 {{"pid", connection.peer().pid}, {"why", why}, {"times", times}});
  }
}

}  // namespace vineyard::daemon
