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
constexpr std::chrono::milliseconds kBetweenMoves{2};
constexpr int kLooksPerTurn = 32;  // then the sockets get theirs
constexpr int kBusyLooksPerTurn = 4;
constexpr int kHandlersPerTurn = 16;  // then the rings get theirs, however many sockets are ready
constexpr microseconds kTurn{100};    // or after that time

}  // namespace

void RingWatch::Add(const std::shared_ptr<Connection>& connection) {
  if (std::ranges::find(awake_, connection) != awake_.end()) return;
  if (awake_.empty() && os::Clock::now() - asleep_at_ < kWait) awake_is_better_.Note(true);
  client_is_here_ = connection->ClientIsHere();
  connection->RingAwakes();
  awake_.push_back(connection);
  for (const auto& each : awake_) each->NotePartners(Partners());
}

// The kernel tends to wake a thread where its waker runs. The two of a burst would take turns there while
// another processor is idle, and the balancer sees no reason to part them, as only one of them runs at a
// time. To be called after an answer: it has woken the client here, and it would follow whoever wakes it
// from elsewhere. Where the other processor is busy after all, the next wake-up brings this thread back.
void RingWatch::MakeWay(os::TimePoint now) {
  if (now - moved_at_ < kBetweenMoves) return;
  moved_at_ = now;
  // First, or a client that runs as soon as this one leaves takes it for still here, and sleeps.
  for (const auto& connection : awake_) connection->NoteProcessor(-1);
  os::LeaveProcessor();
  client_is_here_ = false;
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

// By index: a request may close connections, and add some. None is taken out meanwhile.
bool RingWatch::PollAll() {
  bool any = false;
  for (size_t i = 0; i < awake_.size(); ++i) {
    Connection& connection = *awake_[i];
    any = connection.PollRing() || any;
  }
  return any;
}

// True: there was a request.
bool RingWatch::Look(bool give_way) {
  int busy = 0;
  const int looks = give_way ? 1 : kLooksPerTurn;
  for (int look = 0; look < looks && busy < kBusyLooksPerTurn; ++look) {
    if (PollAll()) {
      ++busy;
    } else if (give_way) {
      awake_is_better_.GiveWay();
    } else {
      os::Pause();
    }
  }
  return busy > 0;
}

void RingWatch::StayAwake(asio::io_context& io) {
  using How = os::WaitingAwake::How;
  auto last = os::Clock::now();  // that there was something to do
  for (int requests = -1; !io.stopped();) {
    const How how = awake_is_better_.Choose(client_is_here_, Partners());
    const auto wait = how != How::kAsleep ? kWait : client_is_here_ ? microseconds(0) : kShortWait;
    const bool busy = Look(how == How::kGivingWay);
    const auto now = os::Clock::now();
    if (busy) {
      if (client_is_here_) MakeWay(now);
      last = now;
      if (++requests > 0) awake_is_better_.Note(true);
    }
    for (int i = 0; i < kHandlersPerTurn && io.poll_one() > 0; ++i) {
      if (os::Clock::now() - now > kTurn) break;
    }
    // Not only when all fall asleep, which they may never do: each holds its memory.
    std::erase_if(awake_, [](const auto& connection) { return connection->closed(); });
    if (now < last + wait || !AllFallAsleep()) continue;
    if (how != How::kAsleep) awake_is_better_.Note(false);
    asleep_at_ = now;
    return;
  }
}

bool RingWatch::AllFallAsleep() {
  std::erase_if(awake_, [](const auto& connection) { return connection->RingFallsAsleep(); });
  return awake_.empty();
}

}  // namespace vineyard::daemon
