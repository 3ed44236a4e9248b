// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// RawRing: for tests, a client's end of a ring (layout/ring.h) that may do anything to it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>

#include "layout/ring.h"
#include "os/mapping.h"
#include "testing/raw_client.h"

namespace vineyard::testing {

class RawRing {
 public:
  /// Asks `client` for one; fails the test where it is refused. Answers come through the socket, to
  /// client.Receive(), until `answer_here`.
  explicit RawRing(RawClient& client, bool answer_here = false);

  /// What there is room for, in one publication; wakes the engine. How many bytes.
  size_t SendSome(std::span<const std::byte> bytes);
  /// All, waiting for room.
  void Send(std::span<const std::byte> bytes);
  /// The same without waking anybody.
  void Publish(std::span<const std::byte> bytes);
  /// Whether the instance sleeps or not.
  void RingBell(uint64_t count = 1);

  [[nodiscard]] layout::RingPage& page() const {
    return *reinterpret_cast<layout::RingPage*>(mapping_.data());
  }
  [[nodiscard]] std::span<std::byte> bytes() const { return {mapping_.data(), layout::kRingFile}; }
  [[nodiscard]] const os::UniqueFd& file() const { return file_; }
  [[nodiscard]] const os::UniqueFd& bell() const { return bell_; }

 private:
  os::UniqueFd file_;
  os::UniqueFd bell_;
  os::Mapping mapping_;
  uint64_t written_ = 0;
};

Bytes OpenRingFrame(uint64_t id = 1);
/// How many rings a process has mapped.
size_t MappedRings(pid_t pid);

}  // namespace vineyard::testing
