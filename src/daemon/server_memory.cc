// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Who gets the engine's own memory, and who has to go for that: Note [The engine's own memory] in heap_shares.h.
#include <asio/post.hpp>

#include <algorithm>
#include <chrono>
#include <vector>

#include "daemon/server.h"
#include "os/process.h"

namespace vineyard::daemon {

namespace {

// Within which a frame comes, once there is room for it and while others wait for theirs.
constexpr std::chrono::seconds kFrameTime{5};
constexpr std::chrono::seconds kBetweenChecks{1};
constexpr uint64_t kWorthGivingBack = uint64_t{32} << 20;

}  // namespace

uint64_t Server::HeapBytes() const {
  return frames_room_.bytes() + waits_room_.bytes() + answers_room_.bytes();
}

// A claim may be released from anywhere. What was much malloc keeps, unless told.
void Server::NoteHeapShrinks() {
  const uint64_t now = HeapBytes();
  most_of_heap_ = std::max(most_of_heap_, now);
  const bool is_much_less = most_of_heap_ >= kWorthGivingBack && now <= most_of_heap_ / 4;
  if (stopped_ || (!frames_room_.AnyWaits() && !is_much_less)) return;
  if (std::exchange(heap_is_looked_at_, true)) return;
  asio::post(io_, [this] {
    heap_is_looked_at_ = false;
    if (stopped_) return;
    frames_room_.Grant();
    if (most_of_heap_ < kWorthGivingBack || HeapBytes() > most_of_heap_ / 4) return;
    most_of_heap_ = HeapBytes();
    os::GiveBackFreeMemory();
  });
}

void Server::NoteFrameWaits() {
  if (frames_checked_at_ != os::TimePoint::max()) return;
  frames_checked_at_ = os::Clock::now() + kBetweenChecks;
  ArmTimer();
}

void Server::EndStalledFrames(os::TimePoint now) {
  if (now < frames_checked_at_) return;
  std::vector<std::shared_ptr<Connection>> stalled;
  for (const auto& [raw, connection] : connections_) {
    if (!frames_room_.AnyWaits(connection->volume())) continue;
    if (connection->HasRoomSince() < now - kFrameTime) stalled.push_back(connection);
  }
  for (const auto& connection : stalled) {
    LogDropped(*connection, "a large request of it has not come, and others wait for the memory");
    connection->Close();
  }
  frames_checked_at_ = frames_room_.AnyWaits() ? now + kBetweenChecks : os::TimePoint::max();
}

std::optional<HeapShares::Claim> Server::RoomForAnswer(Connection& connection, uint64_t bytes) {
  if (connection.closed()) return std::nullopt;
  while (true) {
    if (auto claim = answers_room_.TakeNow(connection.volume(), bytes)) return claim;
    Connection* slowest = nullptr;
    for (const auto& [raw, other] : connections_) {
      if (other->volume() != connection.volume() || other->closed() || !other->HasUntaken()) {
        continue;
      }
      if (slowest == nullptr || other->taken_at() < slowest->taken_at()) slowest = other.get();
    }
    if (slowest == nullptr) slowest = &connection;
    LogDropped(*slowest, "it takes no answers, and the memory is needed for those of others");
    slowest->DropAnswers();
    if (slowest == &connection) return std::nullopt;
  }
}

}  // namespace vineyard::daemon
