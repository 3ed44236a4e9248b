// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/ring_watch.h"

#include <algorithm>
#include <chrono>

#include "daemon/connection.h"
#include "os/processor.h"

namespace vineyard::daemon {

namespace {

using std::chrono::microseconds;

// A client in a burst asks again within a few microseconds, or as many as it takes to wake if it slept.
constexpr microseconds kWait{50};
// Where that is seldom so.
constexpr microseconds kShortWait{5};
constexpr std::chrono::milliseconds kBetweenMoves{20};
constexpr int kLooksPerTurn = 32;  // then the sockets get theirs
constexpr int kBusyLooksPerTurn = 4;

}  // namespace

void RingWatch::Add(const std::shared_ptr<Connection>& connection) {
  if (std::ranges::find(awake_, connection) != awake_.end()) return;
  MakeWay(*connection);
  connection->RingAwakes();
  awake_.push_back(connection);
}

// The kernel tends to wake a thread where its waker runs. The two of a burst would take turns there while
// another processor is idle, and the balancer sees no reason to part them, as only one of them runs at a
// time. Where the other is busy after all, the next wake-up brings this thread back.
void RingWatch::MakeWay(const Connection& client) {
  client_is_here_ = client.ClientIsHere();
  if (!client_is_here_) return;
  const auto now = os::Clock::now();
  if (now - moved_at_ < kBetweenMoves) return;
  moved_at_ = now;
  os::LeaveProcessor();
  client_is_here_ = client.ClientIsHere();
}

void RingWatch::Run(asio::io_context& io) {
  while (!io.stopped()) {
    if (awake_.empty()) {
      io.run_one();
    } else {
      StayAwake(io);
    }
  }
}

// By index: a request may close connections, and add some.
bool RingWatch::PollAll() {
  bool any = false;
  for (size_t i = 0; i < awake_.size(); ++i) {
    const std::shared_ptr<Connection> connection = awake_[i];
    any = connection->PollRing() || any;
  }
  return any;
}

void RingWatch::StayAwake(asio::io_context& io) {
  const auto wait = client_is_here_                   ? microseconds(0)
                    : awake_is_better_.IsWorthwhile() ? kWait
                                                      : kShortWait;
  auto until = os::Clock::now() + wait;
  for (int requests = -1; !io.stopped();) {
    int busy = 0;
    for (int look = 0; look < kLooksPerTurn && busy < kBusyLooksPerTurn; ++look) {
      if (PollAll()) {
        ++busy;
      } else {
        os::Pause();
      }
    }
    const auto now = os::Clock::now();
    if (busy > 0) {
      until = now + wait;
      if (++requests > 0) awake_is_better_.Note(true);
    }
    io.poll();
    if (now < until || !AllFallAsleep()) continue;
    if (!client_is_here_) awake_is_better_.Note(false);
    return;
  }
}

bool RingWatch::AllFallAsleep() {
  std::erase_if(awake_, [](const auto& connection) {
    return connection->closed() || connection->RingFallsAsleep();
  });
  return awake_.empty();
}

}  // namespace vineyard::daemon
