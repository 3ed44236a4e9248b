// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/ring.h"

#include <algorithm>
#include <chrono>

#include "os/memfd.h"
#include "os/processor.h"

namespace vineyard::client {

namespace {

// Much longer than an engine that is awake takes for a small request.
constexpr std::chrono::microseconds kAwake{50};
// As long as it may take to wake one whose processor sleeps deeply. Falling asleep meanwhile would only
// add this thread's own waking.
constexpr std::chrono::microseconds kAwakeForSleeper{150};
constexpr int kLooksPerClock = 32;

}  // namespace

bool Ring::Helps() {
  static const bool kHelps = os::UsableProcessors() > 1;
  return kHelps;
}

Result<std::shared_ptr<Ring>> Ring::Open(const os::UniqueFd& file, os::UniqueFd bell) {
  VY_ASSIGN_OR_RETURN(const uint64_t size, os::FileSize(file));
  if (size != layout::kRingFile || !os::HasFixedSize(file)) {
    return Status::Protocol("the instance's ring is not one");
  }
  VY_ASSIGN_OR_RETURN(os::Mapping mapping, os::Mapping::Open(file, size, os::Access::kReadWrite));
  mapping.KeepFromChildren();
  return std::shared_ptr<Ring>(new Ring(std::move(mapping), std::move(bell)));
}

Ring::Ring(os::Mapping mapping, os::UniqueFd bell)
    : mapping_(std::move(mapping)), bell_(std::move(bell)),
      requests_(page().requests, layout::kRequestRing),
      replies_(page().replies, layout::kReplyRing) {}

Status Ring::Write(std::span<iovec>& parts) {
  page().client_processor.store(os::CurrentProcessor(), std::memory_order_relaxed);
  const std::span<std::byte> ring = layout::RequestBytes(mapping_.data());
  for (; !parts.empty(); parts = parts.subspan(1)) {
    iovec& part = parts.front();
    while (part.iov_len > 0) {
      const std::optional<uint64_t> room = requests_.Room(part.iov_len);
      if (!room) return Status::Protocol("the instance breaks the rules of rings");
      if (*room == 0) return {};
      const size_t n = std::min<size_t>(part.iov_len, *room);
      auto* from = static_cast<std::byte*>(part.iov_base);
      layout::CopyIn(ring, requests_.position(), {from, n});
      requests_.Append(n);
      part = {from + n, part.iov_len - n};
    }
  }
  return {};
}

void Ring::Publish() {
  if (!requests_.Publish()) return;
  os::RingBell(bell_);
  woken_.store(true, std::memory_order_relaxed);
}

bool Ring::AwaitAwake(bool give_way) {
  const bool woken = woken_.exchange(false, std::memory_order_relaxed);
  const auto end = os::Clock::now() + (woken ? kAwakeForSleeper : kAwake);
  const int looks = give_way ? 1 : kLooksPerClock;
  do {
    if (give_way) awake_.GiveWay();
    for (int i = 0; i < looks; ++i) {
      if (replies_.Available() != 0U ||
          page().by_socket.load(std::memory_order_acquire) != by_socket_) {
        return true;
      }
      os::Pause();
    }
  } while (os::Clock::now() < end);
  return false;
}

Result<Ring::Source> Ring::Await(int socket, os::TimePoint deadline,
                                 const std::function<bool()>& interrupted) {
  using How = os::WaitingAwake::How;
  const bool engine_is_here =
      page().engine_processor.load(std::memory_order_relaxed) == os::CurrentProcessor();
  const auto partners = static_cast<int>(page().partners.load(std::memory_order_relaxed));
  const How how = awake_.Choose(engine_is_here, partners);
  const bool awake = how != How::kAsleep;
  if (awake) awake_.Note(AwaitAwake(how == How::kGivingWay));
  const auto asleep_at = awake ? os::TimePoint() : os::Clock::now();
  const auto note_sleep = [&] {
    if (!awake && os::Clock::now() - asleep_at < kAwake) awake_.Note(true);
  };
  if (replies_.Available() != 0U) {
    note_sleep();
    return Source::kRing;
  }
  const uint64_t by_socket = page().by_socket.load(std::memory_order_acquire);
  if (std::exchange(by_socket_, by_socket) != by_socket) return Source::kSocket;
  if (!replies_.FallAsleep()) return Source::kRing;
  const Status ready = os::WaitReady(socket, os::Readiness::kRead, deadline, interrupted);
  replies_.Awake();
  note_sleep();
  VY_RETURN_IF_ERROR(ready);
  return Source::kSocket;
}

Status Ring::Take() {
  while (true) {
    const std::optional<uint64_t> available = replies_.Available();
    if (!available) return Status::Protocol("the instance breaks the rules of rings");
    if (*available == 0) return {};
    const std::span<std::byte> space = reader_.Space();
    if (space.empty()) return Status::OutOfMemory("no memory for an answer");
    const auto to = space.first(std::min<size_t>(space.size(), *available));
    layout::CopyOut(layout::ReplyBytes(mapping_.data()), replies_.position(), to);
    replies_.Release(to.size());
    reader_.Filled(to.size());
  }
}

}  // namespace vineyard::client
