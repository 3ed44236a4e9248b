// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// How a Connection comes about, and comes back after its engine has died.
#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "client/connection.h"

namespace vineyard::client {

namespace {

constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{50};

}  // namespace

Status Connection::Open(os::TimePoint deadline) {
  VY_RETURN_IF_ERROR(RequestTrace::OfProcess().status());
  const auto give_up = std::min(deadline, os::Clock::now() + options_.wait_for_instance);
  auto pause = kFirstPause;
  while (true) {
    Status s;
    {
      Lock lock(mutex_);
      s = Reconnect(lock, deadline);
    }
    if (!s.Is(StatusCode::kUnavailable) || os::Clock::now() + pause >= give_up) return s;
    if (options_.interrupted && options_.interrupted()) return Status::Cancelled("interrupted");
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, kLongestPause);
  }
}

// Leaves the connection working, or says why it can't. One thread connects; others wait for it, each to
// its own deadline. REQUIRES: mutex_ held by `lock`; it is not while this waits.
Status Connection::Reconnect(Lock& lock, os::TimePoint deadline) {
  while (connecting_) VY_RETURN_IF_ERROR(WaitForChange(lock, deadline));
  VY_RETURN_IF_ERROR(CheckUsable());
  if (!broken_) return {};
  connecting_ = true;
  // Whoever is half-way through a frame hears that it has no end there.
  if (sending_) os::Shutdown(socket_);
  Status s = AwaitEndOfFrame(lock, deadline);
  if (s.ok()) s = KeepConnecting(lock, deadline);
  if (s.ok()) broken_ = false;
  connecting_ = false;
  DropRetired();
  changed_.notify_all();
  return s;
}

Status Connection::KeepConnecting(Lock& lock, os::TimePoint deadline) {
  auto pause = kFirstPause;
  while (true) {
    VY_RETURN_IF_ERROR(CheckUsable());
    auto socket = os::ConnectUnix(options_.socket);
    const bool queue_is_full = socket.status().Is(StatusCode::kDeadlineExceeded);
    // Nobody listens: the keeper is gone too, and with it everything.
    if (!socket.ok() && !queue_is_full) return socket.status();
    if (socket.ok()) {
      RetireSocket(reading_);
      socket_ = std::move(*socket);
      ++sockets_;
      ring_.reset();
      spare_ring_.reset();
      burst_ = 0;
      told_before_ = kNothingTold;
      reader_ = {};
      received_fds_.clear();
      fds_lost_ = false;
      Status s = SayHello(lock, deadline);
      if (s.ok()) s = SendPending(deadline);
      // An engine that died under us is replaced; any other refusal is final.
      if (!s.Is(StatusCode::kUnavailable)) return s;
    }
    lock.unlock();
    const bool interrupted = options_.interrupted && options_.interrupted();
    const bool late = os::Clock::now() + pause >= deadline;
    if (!interrupted && !late) std::this_thread::sleep_for(pause);
    lock.lock();
    if (interrupted) return Status::Cancelled("interrupted");
    if (late) {
      return Status::DeadlineExceeded(
          fmt::format("the instance at '{}' did not come back in the time given", options_.socket));
    }
    pause = std::min(pause * 2, kLongestPause);
  }
}

// A thread that watches the socket is woken; the descriptor's number must not be used
// again before it has noticed.
void Connection::RetireSocket(bool watched) {
  if (!socket_.valid()) return;
  os::Shutdown(socket_);
  if (watched) retired_.push_back(std::move(socket_));
  socket_.Reset();
}

void Connection::DropRetired() {
  if (!reading_ && !connecting_ && !sending_) retired_.clear();
}

Status Connection::SayHello(Lock& lock, os::TimePoint deadline) {
  const Outgoing hello =
      Question(fb::RequestBody::Hello, [&](flatbuffers::FlatBufferBuilder& b, uint64_t) {
        const fb::Token token(token_[0], token_[1]);
        const std::vector<uint64_t> reserved(reservations_.begin(), reservations_.end());
        const auto reservations = b.CreateVector(reserved);
        const auto mapped = b.CreateVector(extents_.mapped());
        const auto pinned = b.CreateVector(std::vector<uint64_t>(pinned_.begin(), pinned_.end()));
        const auto program = b.CreateString(program_);
        const auto pod = b.CreateString(pod_);
        return fb::CreateHello(b, wire::kProtocolVersion, &token, Acknowledged() + 1, reservations,
                               mapped, pinned, program, pod)
            .Union();
      });
  const uint64_t id = next_id_++;
  VY_RETURN_IF_ERROR(SendFrame(&lock, hello, id, 0, deadline));
  std::optional<std::pair<uint64_t, Answer>> got;
  while (!got) {
    const int fd = socket_.get();
    lock.unlock();
    Status ready = os::WaitReady(fd, os::Readiness::kRead, deadline, options_.interrupted);
    lock.lock();
    VY_RETURN_IF_ERROR(CheckUsable());
    VY_RETURN_IF_ERROR(ready);
    VY_RETURN_IF_ERROR(Receive());
    VY_ASSIGN_OR_RETURN(got, NextAnswer(reader_));
  }
  Answer& answer = got->second;
  VY_RETURN_IF_ERROR(answer.status());
  const fb::Welcome* welcome = answer.reply().body_as_Welcome();
  const size_t segments = welcome && welcome->segments() ? welcome->segments()->size() : 0;
  if (welcome == nullptr || got->first != id || answer.fds.size() != segments + 1) {
    return Status::Protocol(fmt::format("what answers at '{}' is no vineyardd", options_.socket));
  }
  if (!facts_.instance_uuid.empty() &&
      facts_.instance_uuid != wire::ToString(welcome->instance_uuid())) {
    // Another instance began at this socket: its ids may be the same, what they mean is not.
    extents_.Forget();
    reservations_.clear();
    pinned_.clear();
  }
  facts_ = {wire::ToString(welcome->volume()),
            wire::ToString(welcome->instance_uuid()),
            welcome->instance_id(),
            wire::ToString(welcome->version()),
            welcome->generation(),
            welcome->inline_max(),
            welcome->read_only(),
            welcome->has_disk(),
            welcome->names_keep(),
            welcome->client()};
  inline_max_ = welcome->inline_max();
  window_ = std::max<uint32_t>(1, welcome->window());
  const std::lock_guard reader_lock(reader_mutex_);
  VY_RETURN_IF_ERROR(catalog_.Open(answer.fds[0]));
  for (size_t i = 0; i < segments; ++i) {
    const auto n = static_cast<flatbuffers::uoffset_t>(i);
    VY_RETURN_IF_ERROR(catalog_.AddSegment(welcome->segments()->Get(n), answer.fds[i + 1]));
  }
  return {};
}

// With the lock: what they send is other threads'.
Status Connection::SendPending(os::TimePoint deadline) {
  for (const Pending* p : pending_) {
    if (p->done) continue;
    VY_RETURN_IF_ERROR(SendFrame(nullptr, *p->outgoing, p->id, p->number, deadline));
  }
  return {};
}

}  // namespace vineyard::client
