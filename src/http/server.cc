// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/server.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/logging.h"
#include "os/bell.h"

namespace vineyard::http {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kAcceptPause{100};
// For the other side to take the last answer, while what it still sends is thrown away.
constexpr milliseconds kFarewell{1'000};
// Taken in a row before others get their turn.
constexpr int kAcceptsATurn = 64;
constexpr size_t kReadAtOnce = size_t{4} << 10;

int64_t UnixSeconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

}  // namespace

class Server::Connection {
 public:
  enum class State : uint8_t {
    kReading,  // a head, or the pause before one
    kWaiting,  // for the handler's answer
    kWriting,
    kEnding,  // all is said; see End
    kClosed,
  };

  Connection(os::UniqueFd socket, os::TimePoint now, os::TimePoint limit)
      : fd(std::move(socket)), since(now), deadline(limit) {}

  void Close() {
    state = State::kClosed;
    fd.Reset();
    body.reset();
  }
  [[nodiscard]] size_t BytesUnderWay() const { return body ? body->size() : 0; }

  os::UniqueFd fd;
  State state = State::kReading;
  os::TimePoint since;  // that it is in this state
  os::TimePoint deadline;
  std::string in;
  bool heard = false;  // something of the head that is read
  Ticket ticket = 0;
  bool keep_alive = false;
  bool head_only = false;
  size_t requests = 0;
  std::string head;
  Body body;
  size_t sent = 0;
};

Result<std::unique_ptr<Server>> Server::Make(os::UniqueFd listener, Handler handler,
                                             const ServerLimits& limits) {
  VY_ASSIGN_OR_RETURN(os::UniqueFd bell, os::MakeBell());
  return std::unique_ptr<Server>(
      new Server(std::move(listener), std::move(bell), std::move(handler), limits));
}

Server::Server(os::UniqueFd listener, os::UniqueFd bell, Handler handler,
               const ServerLimits& limits)
    : listener_(std::move(listener)), bell_(std::move(bell)), handler_(std::move(handler)),
      limits_(limits) {}

Server::~Server() = default;

void Server::Deliver(Ticket ticket, Answer answer) {
  {
    const std::lock_guard lock(mutex_);
    deliveries_.emplace_back(ticket, std::move(answer));
  }
  os::RingBell(bell_);
}

void Server::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  os::RingBell(bell_);
}

int Server::PollTimeout(os::TimePoint now) const {
  std::optional<os::TimePoint> next;
  const auto consider = [&](os::TimePoint at) {
    if (!next || at < *next) next = at;
  };
  for (const auto& connection : connections_) consider(connection->deadline);
  if (accept_again_ > now) consider(accept_again_);
  if (!next) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*next - now);
  return static_cast<int>(std::clamp(left, milliseconds(0), milliseconds(60'000)).count());
}

Status Server::Run() {
  std::vector<pollfd> entries;
  while (true) {
    const os::TimePoint before = os::Clock::now();
    entries.clear();
    entries.push_back({.fd = bell_.get(), .events = POLLIN, .revents = 0});
    entries.push_back(
        {.fd = accept_again_ > before ? -1 : listener_.get(), .events = POLLIN, .revents = 0});
    for (const auto& connection : connections_) {
      // Of one that waits for its answer only the end is of interest, which needs no asking for.
      const short events = connection->state == Connection::State::kWriting   ? POLLOUT
                           : connection->state == Connection::State::kWaiting ? short{0}
                                                                              : POLLIN;
      entries.push_back({.fd = connection->fd.get(), .events = events, .revents = 0});
    }
    if (::poll(entries.data(), entries.size(), PollTimeout(before)) < 0) continue;  // EINTR
    const os::TimePoint now = os::Clock::now();
    if (entries[0].revents != 0) {
      os::SilenceBell(bell_.get());
      TakeDeliveries(now);
      const std::lock_guard lock(mutex_);
      if (stop_) return {};
    }
    // Those there are, before others come: what has arrived of a request saves its connection.
    for (size_t i = 0; i + 2 < entries.size(); ++i) {
      Connection& connection = *connections_[i];
      const short happened = entries[i + 2].revents;
      if (happened != 0 && (connection.state == Connection::State::kReading ||
                            connection.state == Connection::State::kEnding)) {
        Read(connection, now);
      } else if ((happened & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
        connection.Close();
      } else if (happened != 0 && connection.state == Connection::State::kWriting) {
        Write(connection, now);
        HandleHeads(connection, now);
      }
      if (connection.state != Connection::State::kClosed && now >= connection.deadline)
        HandleLate(connection, now);
    }
    if (entries[1].revents != 0) TakeConnections(now);
    std::erase_if(connections_,
                  [](const auto& c) { return c->state == Connection::State::kClosed; });
  }
}

void Server::TakeConnections(os::TimePoint now) {
  for (int i = 0; i < kAcceptsATurn; ++i) {
    auto socket = os::Accept(listener_);
    if (!socket.ok()) {
      if (!socket.status().Is(StatusCode::kNotFound)) accept_again_ = now + kAcceptPause;
      return;
    }
    if (!MakeRoom()) continue;  // the new one is closed
    connections_.push_back(
        std::make_unique<Connection>(std::move(socket).value(), now, now + limits_.head));
    Read(*connections_.back(), now);  // its request may be there already
  }
}

// Note [Bounds]. False: all of them wait for answers of ours.
bool Server::MakeRoom() {
  const auto open = std::ranges::count_if(
      connections_, [](const auto& c) { return c->state != Connection::State::kClosed; });
  if (static_cast<size_t>(open) < limits_.connections) return true;
  Connection* longest = nullptr;
  for (const auto& connection : connections_) {
    if (connection->state == Connection::State::kWaiting ||
        connection->state == Connection::State::kClosed)
      continue;
    const bool writes = connection->state == Connection::State::kWriting;
    const bool worse =
        longest == nullptr || (writes == (longest->state == Connection::State::kWriting)
                                   ? connection->since < longest->since
                                   : !writes);
    if (worse) longest = connection.get();
  }
  if (longest == nullptr) return false;
  longest->Close();
  return true;
}

void Server::MakeRoomForBytes(size_t bytes, const Connection* keep) {
  while (true) {
    size_t total = bytes;
    Connection* longest = nullptr;
    for (const auto& connection : connections_) {
      if (connection.get() == keep || connection->state != Connection::State::kWriting) continue;
      total += connection->BytesUnderWay();
      if (longest == nullptr || connection->since < longest->since) longest = connection.get();
    }
    if (total <= limits_.bytes_under_way || longest == nullptr) return;
    longest->Close();
  }
}

void Server::TakeDeliveries(os::TimePoint now) {
  std::vector<std::pair<Ticket, Answer>> deliveries;
  {
    const std::lock_guard lock(mutex_);
    deliveries.swap(deliveries_);
  }
  for (auto& [ticket, answer] : deliveries) {
    for (const auto& connection : connections_) {
      if (connection->state != Connection::State::kWaiting || connection->ticket != ticket)
        continue;
      StartAnswer(*connection, std::move(answer), now);
      HandleHeads(*connection, now);
      break;
    }  // none: it has gone meanwhile
  }
}

void Server::Read(Connection& connection, os::TimePoint now) {
  std::array<std::byte, kReadAtOnce> buffer;
  std::vector<os::UniqueFd> none;  // TCP carries no descriptors
  const auto received = os::ReceiveSome(connection.fd, buffer, &none);
  if (!received.ok() || received->closed) return connection.Close();
  if (received->would_block || connection.state == Connection::State::kEnding) return;
  if (!connection.heard) {  // a pause has ended
    connection.heard = true;
    connection.since = now;
    connection.deadline = now + limits_.head;
  }
  connection.in.append(reinterpret_cast<const char*>(buffer.data()), received->bytes);
  HandleHeads(connection, now);
}

// Answers what has arrived, one request after the other, as far as that goes without waiting.
void Server::HandleHeads(Connection& connection, os::TimePoint now) {
  while (connection.state == Connection::State::kReading) {
    const auto end = EndOfHead(connection.in);
    if (!end || *end > kMaxHead) {
      if (!end && connection.in.size() <= kMaxHead) return;
      connection.keep_alive = false;
      return StartAnswer(
          connection, ErrorAnswer(431, "too_long", "the head of a request is at most 16 KiB"), now);
    }
    Request request;
    const auto refused = ParseRequest(std::string_view(connection.in).substr(0, *end), &request);
    connection.in.erase(0, *end);
    std::optional<Answer> answer;
    connection.head_only = false;
    if (refused) {
      connection.keep_alive = false;
      answer = ErrorAnswer(*refused);
    } else {
      connection.keep_alive = request.keep_alive && ++connection.requests < limits_.requests_each;
      connection.head_only = request.head_only;
      connection.ticket = ++last_ticket_;
      answer = handler_(request, connection.ticket);
    }
    if (!answer) {
      connection.state = Connection::State::kWaiting;
      connection.since = now;
      connection.deadline = now + limits_.answer;
      return;
    }
    StartAnswer(connection, std::move(*answer), now);
  }
}

void Server::StartAnswer(Connection& connection, Answer answer, os::TimePoint now) {
  connection.head = HeadOf(answer, connection.keep_alive, UnixSeconds());
  connection.body = connection.head_only ? nullptr : std::move(answer.body);
  connection.sent = 0;
  connection.state = Connection::State::kWriting;
  connection.since = now;
  connection.deadline = now + limits_.answer;
  MakeRoomForBytes(connection.BytesUnderWay(), &connection);
  Write(connection, now);
}

void Server::Write(Connection& connection, os::TimePoint now) {
  const std::string_view body = connection.body ? std::string_view(*connection.body) : "";
  const size_t total = connection.head.size() + body.size();
  while (connection.sent < total) {
    const size_t of_head = std::min(connection.sent, connection.head.size());
    const std::string_view head = std::string_view(connection.head).substr(of_head);
    const std::string_view rest = body.substr(connection.sent - of_head);
    const std::array parts = {iovec{const_cast<char*>(head.data()), head.size()},
                              iovec{const_cast<char*>(rest.data()), rest.size()}};
    const auto sent = os::SendSome(connection.fd, parts, {});
    if (!sent.ok()) return connection.Close();
    if (*sent == 0) return;
    connection.sent += *sent;
  }
  connection.body.reset();
  if (!connection.keep_alive) return End(connection, now);
  connection.state = Connection::State::kReading;
  connection.since = now;
  connection.heard = !connection.in.empty();
  connection.deadline = now + (connection.heard ? limits_.head : limits_.pause);
}

// A socket that is closed while bytes lie unread in it makes the kernel of the other side drop what it has not given to
// its program yet, and that would be our answer. So this side is closed first, and what comes still is read.
void Server::End(Connection& connection, os::TimePoint now) {
  os::FinishSending(connection.fd);
  connection.state = Connection::State::kEnding;
  connection.since = now;
  connection.deadline = now + kFarewell;
}

void Server::HandleLate(Connection& connection, os::TimePoint now) {
  if (connection.state == Connection::State::kReading && connection.heard) {
    connection.keep_alive = false;
    connection.head_only = false;
    return StartAnswer(connection,
                       ErrorAnswer(408, "too_slow", "the request did not arrive in time"), now);
  }
  connection.Close();
}

}  // namespace vineyard::http
