// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A Connection's frames, out and in.
#include <algorithm>

#include <fmt/format.h>

#include "client/connection.h"

namespace vineyard::client {

// ---- out

uint64_t Connection::Acknowledged() const {
  return unanswered_.empty() ? next_number_ - 1 : *unanswered_.begin() - 1;
}

Status Connection::SendFrame(Lock* lock, const Outgoing& outgoing, uint64_t id, uint64_t number,
                             os::TimePoint deadline) {
  if (sending_) return Status::Unavailable("another request is half-way");
  builder_.Clear();
  const auto body = outgoing.body(builder_, number);
  builder_.Finish(fb::CreateRequest(builder_, outgoing.type, body));
  wire::FrameHeader header;
  header.request_id = id;
  header.acknowledged = Acknowledged();
  header.fd_count = static_cast<uint32_t>(outgoing.fds.size());
  const auto* data = reinterpret_cast<const std::byte*>(builder_.GetBufferPointer());
  std::vector<iovec> parts = wire::PartsOf(header, {data, builder_.GetSize()}, outgoing.payload);
  if (header.body_length > wire::kMaxBody || header.payload_length > wire::kMaxPayload) {
    return Status::LimitExceeded(
        fmt::format("a request of {} + {} bytes is too large (at most {} + {})", header.body_length,
                    header.payload_length, wire::kMaxBody, wire::kMaxPayload));
  }
  sending_ = true;
  Status s = ring_ != nullptr && outgoing.fds.empty()
                 ? SendByRing(lock, parts, deadline)
                 : SendParts(lock, parts, outgoing.fds, deadline);
  sending_ = false;
  if (std::exchange(others_wait_to_send_, false)) changed_.notify_all();
  DropRetired();
  if (id == 0) told_before_ = next_id_;
  // What was cut off half-way can't be continued by the next frame.
  if (!s.ok()) broken_ = true;
  return s;
}

Status Connection::SendParts(Lock* lock, std::span<iovec> parts, std::span<const int> fds,
                             os::TimePoint deadline) {
  constexpr size_t kPartsAtOnce = 512;
  while (!parts.empty()) {
    VY_ASSIGN_OR_RETURN(
        size_t sent, os::SendSome(socket_, parts.first(std::min(kPartsAtOnce, parts.size())), fds));
    if (sent == 0) {
      VY_RETURN_IF_ERROR(WaitToSend(lock, deadline));
      continue;
    }
    fds = {};
    while (!parts.empty() && sent >= parts.front().iov_len) {
      sent -= parts.front().iov_len;
      parts = parts.subspan(1);
    }
    if (sent > 0) {
      parts.front().iov_base = static_cast<std::byte*>(parts.front().iov_base) + sent;
      parts.front().iov_len -= sent;
    }
  }
  return {};
}

// Until the socket has room. OK: it is still the one that it was, which another thread may have shut down.
Status Connection::WaitToSend(Lock* lock, os::TimePoint deadline) {
  const int fd = socket_.get();
  const auto give_up = [this, lock] {
    return closed_ || (lock != nullptr && options_.interrupted && options_.interrupted());
  };
  if (lock != nullptr) lock->unlock();
  Status s = os::WaitReady(fd, os::Readiness::kWrite, deadline, give_up);
  if (lock != nullptr) lock->lock();
  if (closed_) return Status::Cancelled("this client was closed meanwhile");
  return s;
}

// REQUIRES: mutex_ held by `lock`; it is not while this waits.
Status Connection::AwaitEndOfFrame(Lock& lock, os::TimePoint deadline) {
  while (sending_) {
    others_wait_to_send_ = true;
    VY_RETURN_IF_ERROR(WaitForChange(lock, deadline));
  }
  return {};
}

// ---- in

// Waits and takes what comes, for all who wait. REQUIRES: mutex_ held by `lock`, nobody reads.
Status Connection::ReadOnce(Lock& lock, os::TimePoint deadline) {
  PublishRing();
  reading_ = true;
  const int fd = socket_.get();
  const std::shared_ptr<Ring> ring = ring_;
  auto source = Ring::Source::kSocket;
  Status s;
  lock.unlock();
  if (ring == nullptr) {
    s = os::WaitReady(fd, os::Readiness::kRead, deadline, options_.interrupted);
  } else if (auto awaited = ring->Await(fd, deadline, options_.interrupted); awaited.ok()) {
    source = *awaited;
  } else {
    s = awaited.status();
  }
  lock.lock();
  reading_ = false;
  DropRetired();
  // What an engine has written to the ring counts, also when it has died since.
  if (ring != nullptr && ring == ring_) {
    if (s.ok()) s = ring->Take();
    if (s.ok()) s = DeliverAll(ring->reader());
  }
  if (s.ok() && source == Ring::Source::kSocket && socket_.get() == fd) {
    s = Receive();
    if (s.ok()) s = DeliverAll(reader_);
  }
  changed_.notify_all();
  return s;
}

Status Connection::DeliverAll(wire::FrameReader& reader) {
  while (true) {
    VY_ASSIGN_OR_RETURN(auto got, NextAnswer(reader));
    if (!got) return {};
    Deliver(got->first, std::move(got->second));
  }
}

// kUnavailable when the other side has closed.
Status Connection::Receive() {
  const std::span<std::byte> space = reader_.Space();
  if (space.empty()) return Status::OutOfMemory("no memory for an answer");
  VY_ASSIGN_OR_RETURN(const os::Received got, os::ReceiveSome(socket_, space, &received_fds_));
  if (got.closed) return Status::Unavailable("the instance has closed the connection");
  reader_.Filled(got.bytes);
  fds_lost_ = fds_lost_ || got.fds_lost;
  return {};
}

Result<std::optional<std::pair<uint64_t, Answer>>> Connection::NextAnswer(
    wire::FrameReader& reader) {
  using Got = std::optional<std::pair<uint64_t, Answer>>;
  VY_ASSIGN_OR_RETURN(const std::optional<wire::Frame> frame, reader.Next());
  if (!frame) return Got();
  Answer answer;
  const size_t body = wire::Pad8(frame->body.size());
  answer.storage.resize((body + frame->payload.size() + 7) / 8);
  auto* bytes = reinterpret_cast<std::byte*>(answer.storage.data());
  std::ranges::copy(frame->body, bytes);
  std::ranges::copy(frame->payload, bytes + body);
  answer.body = {bytes, frame->body.size()};
  answer.payload = {bytes + body, frame->payload.size()};
  VY_RETURN_IF_ERROR(wire::DecodeReply(answer.body).status());
  // Descriptors come through the socket alone.
  const size_t count = frame->header.fd_count;
  if (count > 0 && &reader != &reader_)
    return Status::Protocol("an answer in the ring has descriptors");
  if (count > received_fds_.size()) {
    if (!std::exchange(fds_lost_, false)) return Status::Protocol("descriptors are missing");
    received_fds_.clear();
    answer.fds_lost = true;
    return Got(std::pair(frame->header.request_id, std::move(answer)));
  }
  const auto end = received_fds_.begin() + static_cast<ptrdiff_t>(count);
  std::move(received_fds_.begin(), end, std::back_inserter(answer.fds));
  received_fds_.erase(received_fds_.begin(), end);
  return Got(std::pair(frame->header.request_id, std::move(answer)));
}

void Connection::Deliver(uint64_t id, Answer answer) {
  if (id >= told_before_) told_before_ = kNothingTold;
  const fb::Reserved* reserved = answer.reply().body_as_Reserved();
  const auto it = std::ranges::find(pending_, id, [](const Pending* p) { return p->id; });
  // Noted before anybody can reconnect: what is not claimed then is given back. So it is here, if whoever asked has
  // given up, or can't have it.
  if (reserved != nullptr) {
    reservations_.insert(reserved->extent()->blob());
    if (it == pending_.end() || answer.fds_lost) {
      NoteGivenBack(reserved->extent()->blob());
      TellGivenBack();
    }
  }
  if (it == pending_.end()) return;
  (*it)->status = answer.status();
  answer.socket = sockets_;
  (*it)->answer = std::move(answer);
  (*it)->done = true;
  unanswered_.erase((*it)->number);
}

}  // namespace vineyard::client
