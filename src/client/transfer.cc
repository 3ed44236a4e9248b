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

Status Connection::SendFrame(const Outgoing& outgoing, uint64_t id, uint64_t number,
                             os::TimePoint deadline) {
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
  Status s = ring_ != nullptr && outgoing.fds.empty() ? SendByRing(parts, deadline)
                                                      : SendParts(parts, outgoing.fds, deadline);
  if (id == 0) told_before_ = next_id_;
  // What was cut off half-way can't be continued by the next frame.
  if (!s.ok()) broken_ = true;
  return s;
}

Status Connection::SendParts(std::span<iovec> parts, std::span<const int> fds,
                             os::TimePoint deadline) {
  constexpr size_t kPartsAtOnce = 512;
  while (!parts.empty()) {
    VY_ASSIGN_OR_RETURN(
        size_t sent, os::SendSome(socket_, parts.first(std::min(kPartsAtOnce, parts.size())), fds));
    if (sent == 0) {
      VY_RETURN_IF_ERROR(
          os::WaitReady(socket_.get(), os::Readiness::kWrite, deadline, options_.interrupted));
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
  VY_ASSIGN_OR_RETURN(const os::Received got,
                      os::ReceiveSome(socket_, reader_.Space(), &received_fds_));
  if (got.closed) return Status::Unavailable("the instance has closed the connection");
  reader_.Filled(got.bytes);
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
  if (count > received_fds_.size()) return Status::Protocol("descriptors are missing");
  const auto end = received_fds_.begin() + static_cast<ptrdiff_t>(count);
  std::move(received_fds_.begin(), end, std::back_inserter(answer.fds));
  received_fds_.erase(received_fds_.begin(), end);
  return Got(std::pair(frame->header.request_id, std::move(answer)));
}

void Connection::Deliver(uint64_t id, Answer answer) {
  if (id >= told_before_) told_before_ = kNothingTold;
  const auto it = std::ranges::find(pending_, id, [](const Pending* p) { return p->id; });
  if (it != pending_.end()) {
    // Noted before anybody can reconnect: what is not claimed then is given back.
    if (const fb::Reserved* reserved = answer.reply().body_as_Reserved()) {
      reservations_.insert(reserved->extent()->blob());
    }
    (*it)->status = wire::ToStatus(answer.reply());
    answer.socket = sockets_;
    (*it)->answer = std::move(answer);
    (*it)->done = true;
    unanswered_.erase((*it)->number);
    return;
  }
  // Whoever asked has given up. Memory that was reserved for it goes back.
  if (const fb::Reserved* reserved = answer.reply().body_as_Reserved()) {
    const uint64_t blob = reserved->extent()->blob();
    const Outgoing abort = Question(fb::RequestBody::Abort, [blob](auto& b, uint64_t) {
      return fb::CreateAbort(b, blob).Union();
    });
    SendFrame(abort, 0, 0, os::Clock::now()).IgnoreError();
  }
}

}  // namespace vineyard::client
