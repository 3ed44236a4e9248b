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

// Of what each is promised, what one that has so many may still take.
uint64_t Rest(uint64_t each, uint64_t has) { return each > has ? each - has : 0; }

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
  constexpr int kAtOnce = 4;  // then others get their turn: each takes some 14 us
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
  std::set<Door> doors;
  size_t of_door = 0;
  for (const Silent& s : silent_) {
    doors.insert(s.connection->door());
    of_door += s.connection->door() == connection.door() ? 1 : 0;
  }
  if (of_door > shares_.MostSilent(doors.size())) {
    const auto oldest = std::ranges::find(silent_, connection.door(),
                                          [](const Silent& s) { return s.connection->door(); });
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
  ArmTimer();
}

void Server::CloseSilent(os::TimePoint now) {
  while (!silent_.empty() && silent_.front().until <= now) silent_.front().connection->Close();
}

// ---- who is refused

Status Server::MayServe(const Connection& connection) {
  const store::ClientTable& clients = store_.clients();
  const auto count = [&](Door door) {
    return clients.CountOf(door.volume, door.rights == Rights::kRead);
  };
  const uint64_t each = shares_.ClientsOfEach(listeners_.size());
  uint64_t kept = 0;
  for (const auto& [door, listener] : listeners_) {
    if (door != connection.door()) kept += Rest(each, count(door));
  }
  Status may = shares_.MayServe({.of_socket = count(connection.door()),
                                 .of_all = clients.all().size(),
                                 .kept = kept,
                                 .sockets = std::max<size_t>(listeners_.size(), 1)});
  if (may.ok()) return may;
  if (const uint64_t times = refused_.Note()) {
    log::Warning("clients were refused", {{"why", may.message()}, {"times", times}});
  }
  return may;
}

// What is made ready is nobody's yet, so nothing is kept for it: it comes after all that is promised to volumes.
Status Server::MayMakeFiles(store::Holder who, uint64_t files) const {
  const uint64_t each = shares_.FilesOfEach(store_.volumes().size());
  const bool is_ready_made = who == store::Holder{};
  uint64_t kept = 0;
  DescriptorShares::Tables tables{.clients = store_.clients().all().size(),
                                  .silent = silent_.size(),
                                  .sockets = listeners_.size(),
                                  .memory = store_.volumes().size()};
  for (const auto& [id, volume] : store_.volumes()) {
    const store::Holder other = volume->holder();
    if (other != who) kept += Rest(each, store_.budget().HeldBy(other).files);
    tables.memory += volume->arenas().count();
  }
  return shares_.MayMake({.wanted = files,
                          .rest = is_ready_made ? 0 : Rest(each, store_.budget().HeldBy(who).files),
                          .kept = kept,
                          .used = store_.memory_files() + DescriptorShares::Others(tables)});
}

void Server::LogDropped(Connection& connection, std::string_view why) {
  if (const uint64_t times = dropped_.Note()) {
    log::Warning("a client was dropped",
                 {{"pid", connection.peer().pid}, {"why", why}, {"times", times}});
  }
}

}  // namespace vineyard::daemon
