// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Requests through shared memory, for clients that send many in a row.
#include <chrono>
#include <thread>

#include "client/connection.h"
#include "os/processor.h"

namespace vineyard::client {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// So many requests in so short a time are a burst: the memory, and the call for it, will pay.
constexpr size_t kBurst = 16;
constexpr milliseconds kBurstTime{20};

// Each publication moves a cache line between two processors, there and back.
constexpr int kFramesAtOnce = 8;

constexpr int kAwakeLooks = 20'000;
constexpr microseconds kPause{50};
constexpr int kPausesPerQuestion = 64;

}  // namespace

// Whether the next call is to open one.
bool Connection::RingIsDue() const {
  if (ring_ != nullptr || no_ring_ || broken_) return false;
  return spare_ring_ != nullptr || burst_ + 1 >= kBurst;
}

// Requests of one connection take effect in the order sent, so the ring is used from a moment on when
// nothing is under way in the socket. REQUIRES: mutex_ held by `lock`; it is not while this waits.
Status Connection::ConsiderRing(Lock& lock, os::TimePoint deadline) {
  if (ring_ != nullptr || no_ring_) return {};
  if (spare_ring_ == nullptr) {
    const auto now = os::Clock::now();
    if (now - burst_began_ > kBurstTime) {
      burst_began_ = now;
      burst_ = 0;
    }
    if (++burst_ < kBurst || broken_ || !pending_.empty()) return {};
    no_ring_ = true;  // nobody else asks meanwhile, nor again if this fails
    const Outgoing open = Question(fb::RequestBody::OpenRing,
                                   [](auto& b, uint64_t) { return fb::CreateOpenRing(b).Union(); });
    Pending pending{.outgoing = &open, .status = {}, .answer = {}};
    auto answer = Await(lock, pending, Begin(lock, pending, deadline), deadline);
    // Whoever calls off, or has no time left, means the call that this was to serve.
    if (answer.status().Is(StatusCode::kCancelled) ||
        answer.status().Is(StatusCode::kDeadlineExceeded)) {
      no_ring_ = false;
      return answer.status();
    }
    if (!answer.ok() || answer->fds.size() != 2) return {};
    auto ring = Ring::Open(answer->fds[0], std::move(answer->fds[1]));
    if (!ring.ok()) return {};
    no_ring_ = false;
    if (answer->socket != sockets_) return {};  // another thread has reconnected since
    spare_ring_ = std::move(*ring);
  }
  if (pending_.empty() && told_before_ == kNothingTold && !broken_) {
    ring_ = std::exchange(spare_ring_, nullptr);
  }
  return {};
}

Status Connection::SendByRing(Lock* lock, std::span<iovec> parts, os::TimePoint deadline) {
  for (int waited = 0;; ++waited) {
    VY_RETURN_IF_ERROR(ring_->Write(parts));
    if (!parts.empty() || !more_follow_ || ++unpublished_ == kFramesAtOnce) PublishRing();
    if (parts.empty()) return {};
    VY_RETURN_IF_ERROR(WaitForRoom(lock, waited, deadline));
  }
}

void Connection::PublishRing() {
  unpublished_ = 0;
  if (ring_ != nullptr) ring_->Publish();
}

// The engine is at it. OK: the ring is still the one that it was.
Status Connection::WaitForRoom(Lock* lock, int waited, os::TimePoint deadline) {
  if (waited < kAwakeLooks) {
    os::Pause();
    return {};
  }
  const bool ask = waited % kPausesPerQuestion == 0;
  if (lock != nullptr) lock->unlock();
  std::this_thread::sleep_for(kPause);
  const bool interrupted = ask && lock != nullptr && options_.interrupted && options_.interrupted();
  if (lock != nullptr) lock->lock();
  if (closed_) return Status::Cancelled("this client was closed meanwhile");
  if (interrupted) return Status::Cancelled("interrupted");
  if (!ask) return {};
  if (os::HasHungUp(socket_)) return Status::Unavailable("the instance has closed the connection");
  if (os::Clock::now() >= deadline) {
    return Status::DeadlineExceeded("the instance took no request in the time given");
  }
  return {};
}

}  // namespace vineyard::client
