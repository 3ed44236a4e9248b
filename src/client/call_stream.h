// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// CallStream: requests that are sent without waiting for the answers of those before.
//
// The caller makes the next request while the engine serves the last ones, so that many cost what the
// slower of the two takes. Used by one thread; the connection's other threads go on calling meanwhile.
#pragma once

#include <deque>
#include <functional>

#include "client/connection.h"

namespace vineyard::client {

class CallStream {
 public:
  /// `landed` is called with the answer of each request, in the order they were added, with the connection's
  /// lock held: it must not call.
  using Landed = std::function<void(Result<Answer>)>;

  CallStream(Connection& connection, os::TimePoint deadline, Landed landed)
      : connection_(connection), deadline_(deadline), landed_(std::move(landed)) {}
  CallStream(const CallStream&) = delete;
  CallStream& operator=(const CallStream&) = delete;
  /// REQUIRES: finished.
  ~CallStream() = default;

  /// Sends it; where too many are unanswered, waits for the first. The request stays valid until it has landed.
  void Add(const Outgoing& request);
  /// Has what was added begin, where nothing is added or awaited for a while.
  void Flush();
  /// Waits for all answers.
  void Finish();

 private:
  struct Flight {
    Connection::Pending pending;
    Status begun;
  };
  void LandFirst(Connection::Lock& lock);
  void LandAll(Connection::Lock& lock);
  [[nodiscard]] bool MustLand() const;

  Connection& connection_;
  const os::TimePoint deadline_;
  const Landed landed_;
  std::deque<Flight> flights_;
};

}  // namespace vineyard::client
