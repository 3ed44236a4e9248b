// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Waiters: requests that wait for something other than memory: a name, a chunk of a stream, room in one.
//
// Those of a volume are apart from all others: a change in one volume costs nothing for what waits in another.
// For the engine's thread; the server owns it.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "daemon/connection.h"
#include "os/socket.h"
#include "vineyard/ids.h"

namespace vineyard::daemon {

/// An object or a blob, by its id or by a name, and how it is wanted.
struct Wanted {
  ObjectId id;
  std::string name;
  bool open_extents;
  os::TimePoint deadline;
  bool loaded = false;  // what was on the disk has come back
};

/// Until the name exists.
struct NameWait {
  Wanted wanted;
};

/// Until there is a chunk at the reader's position; reader 0: until there is room for one.
struct StreamWait {
  ObjectId stream;
  uint64_t reader;
  uint64_t position;
};

struct Waiter {
  uint64_t volume;
  std::variant<NameWait, StreamWait> awaited;
  os::TimePoint deadline;
  Reply reply;
};

class Waiters {
 public:
  using Which = std::function<bool(const Waiter&)>;

  /// Refuses it, with an answer, where too many of the volume wait.
  void Add(Waiter waiter);
  /// Takes those of the volume out that are meant.
  std::list<Waiter> Take(uint64_t volume, const Which& which);
  /// Those whose time is up.
  std::list<Waiter> TakeLate(os::TimePoint now);
  /// Back to where they were taken from, behind the others.
  void Return(std::list<Waiter> waiters);
  /// Nobody is told.
  void Drop();
  /// Of one volume, in the order they came.
  void ForEach(uint64_t volume, const std::function<void(const Waiter&)>& look) const;

  [[nodiscard]] std::optional<os::TimePoint> NextDeadline() const;
  [[nodiscard]] size_t size() const { return deadlines_.size(); }

  static constexpr size_t kMostOfVolume = 16'384;

 private:
  std::map<uint64_t, std::list<Waiter>> of_volume_;  // those that have any
  std::multiset<os::TimePoint> deadlines_;
};

}  // namespace vineyard::daemon
