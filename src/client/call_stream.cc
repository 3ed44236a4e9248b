// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/call_stream.h"

#include <algorithm>

namespace vineyard::client {

void CallStream::Add(const Outgoing& request) {
  Connection::Lock lock(connection_.mutex_);
  if (connection_.RingIsDue()) LandAll(lock);
  while (MustLand()) LandFirst(lock);
  Flight& flight = flights_.emplace_back(Connection::Pending{.outgoing = &request}, Status());
  flight.begun = connection_.ConsiderRing(lock, deadline_);
  if (!flight.begun.ok()) return;
  connection_.more_follow_ = true;
  flight.begun = connection_.Begin(lock, flight.pending, deadline_);
  connection_.more_follow_ = false;
}

void CallStream::Flush() {
  const Connection::Lock lock(connection_.mutex_);
  connection_.PublishRing();
}

void CallStream::Finish() {
  Connection::Lock lock(connection_.mutex_);
  LandAll(lock);
}

// Of the numbers that a client may have unanswered, half: other threads want some too. Where they have
// them all, what is under way lands first, or each would wait for the others.
bool CallStream::MustLand() const {
  return !flights_.empty() && (flights_.size() >= std::max(1U, connection_.window_ / 2) ||
                               connection_.unanswered_.size() >= connection_.window_);
}

void CallStream::LandFirst(Connection::Lock& lock) {
  Flight& first = flights_.front();
  landed_(connection_.Await(lock, first.pending, std::move(first.begun), deadline_));
  flights_.pop_front();
}

void CallStream::LandAll(Connection::Lock& lock) {
  connection_.PublishRing();
  while (!flights_.empty()) LandFirst(lock);
}

}  // namespace vineyard::client
