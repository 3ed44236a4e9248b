// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Ring: a client's end of the rings that it shares with the engine (layout/ring.h).
//
// A Connection makes one when it has sent many requests in a row, and from then on sends all requests
// through it but those with descriptors; answers come both ways. Requests: used by the thread that holds
// the Connection's lock. Answers: by the one that reads for all.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "layout/ring.h"
#include "os/bell.h"
#include "os/mapping.h"
#include "os/processor.h"
#include "os/socket.h"
#include "wire/frame.h"

namespace vineyard::client {

class Ring {
 public:
  /// Whether waiting awake can help on this machine: it can't with one processor.
  static bool Helps();
  static Result<std::shared_ptr<Ring>> Open(const os::UniqueFd& file, os::UniqueFd bell);

  // ---- requests
  /// Writes what there is room for, and takes it off `parts`.
  Status Write(std::span<iovec>& parts);
  /// The engine sees what was written, and is woken if it sleeps.
  void Publish();

  // ---- answers
  enum class Source { kRing, kSocket };
  /// Waits for an answer: awake for a while, if that has helped lately, then asleep. Where it comes from.
  Result<Source> Await(int socket, os::TimePoint deadline,
                       const std::function<bool()>& interrupted);
  /// What has come is in reader() now.
  Status Take();
  wire::FrameReader& reader() { return reader_; }

 private:
  Ring(os::Mapping mapping, os::UniqueFd bell);
  bool AwaitAwake(bool give_way);
  [[nodiscard]] layout::RingPage& page() const {
    return *reinterpret_cast<layout::RingPage*>(mapping_.data());
  }

  os::Mapping mapping_;
  const os::UniqueFd bell_;  // the engine's
  layout::RingProducer<> requests_;
  layout::RingConsumer<> replies_;
  wire::FrameReader reader_;
  uint64_t by_socket_ = 0;  // seen
  os::WaitingAwake awake_;
  std::atomic<bool> woken_ = false;  // the engine slept when the last request was sent
};

}  // namespace vineyard::client
