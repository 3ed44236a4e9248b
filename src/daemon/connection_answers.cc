// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What a connection sends, and what waits to be sent.
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>

#include "daemon/connection.h"
#include "daemon/ring.h"
#include "daemon/server.h"

namespace vineyard::daemon {

namespace {

constexpr std::chrono::milliseconds kDescriptorsPause{20};
constexpr std::chrono::milliseconds kUntakenPause{1};
constexpr size_t kCongested = size_t{8} << 20;

std::vector<int> NumbersOf(std::span<const os::UniqueFd> fds) {
  std::vector<int> numbers;
  numbers.reserve(fds.size());
  for (const os::UniqueFd& fd : fds) numbers.push_back(fd.get());
  return numbers;
}

// Of a frame's parts, in a row.
std::vector<std::byte> BytesOf(std::span<const iovec> parts, size_t begin, size_t end) {
  std::vector<std::byte> bytes;
  bytes.reserve(end - begin);
  size_t at = 0;
  for (const iovec& part : parts) {
    const auto* data = static_cast<const std::byte*>(part.iov_base);
    const size_t from = std::clamp(begin, at, at + part.iov_len) - at;
    const size_t to = std::clamp(end, at, at + part.iov_len) - at;
    bytes.insert(bytes.end(), data + from, data + to);
    at += part.iov_len;
  }
  return bytes;
}

}  // namespace

void Connection::FailToSend() {
  if (std::exchange(failed_, true)) return;
  asio::post(server_.io(), [self = shared_from_this()] { self->Close(); });
}

void Connection::DropAnswers() {
  queue_.clear();
  FailToSend();
}

bool Connection::Congested() const {
  return queued_bytes_ > kCongested || fds_waiting_ > 0 ||
         (queued_bytes_ > 0 && server_.answers_room().IsTight(volume()));
}

void Connection::Send(uint64_t request_id, Outgoing out) {
  if (closed()) return;
  if (server_.KeeperIsUpToDate()) return SendNow(request_id, std::move(out));
  // What this answers may live in memory whose descriptor has not gone to the keeper yet: until it
  // has, a crash would lose what the client believes to be safe.
  struct Held {
    std::vector<std::byte> body;
    std::optional<HeapShares::Claim> claim;  // for the body
    SharedPayload payload;
    std::vector<os::UniqueFd> fds;
    [[nodiscard]] size_t size() const { return body.size() + payload.kept->bytes.size(); }
  };
  auto held = std::make_shared<Held>();
  held->payload.kept = Keep(out);
  held->claim = server_.RoomForAnswer(*this, out.body.size());
  if (held->payload.kept == nullptr || !held->claim) return;
  held->body.assign(out.body.begin(), out.body.end());
  held->fds = std::move(out.fds);
  queued_bytes_ += held->size();
  NoteWaiting(held->fds.size());
  server_.WhenKeeperIsUpToDate([self = shared_from_this(), request_id, held] {
    if (self->closed()) return;
    self->queued_bytes_ -= held->size();
    self->NoteWaitingNoMore(held->fds.size());
    const KeptPayload& payload = *held->payload.kept;
    self->SendNow(request_id, {.body = held->body,
                               .payload = {std::span(payload.bytes).first(payload.length)},
                               .fds = std::move(held->fds),
                               .shared = &held->payload});
    self->Resume();
  });
}

// Null: there is no room for it, and nobody hears of the answer any more.
std::shared_ptr<const KeptPayload> Connection::Keep(const Outgoing& out) {
  if (out.shared != nullptr && out.shared->kept != nullptr) return out.shared->kept;
  auto kept = std::make_shared<KeptPayload>();
  for (const auto& part : out.payload) kept->length += part.size();
  auto claim = server_.RoomForAnswer(*this, wire::Pad8(kept->length));
  if (!claim) return nullptr;
  kept->claim = std::move(*claim);
  kept->bytes.reserve(wire::Pad8(kept->length));
  for (const auto& part : out.payload) {
    kept->bytes.insert(kept->bytes.end(), part.begin(), part.end());
  }
  kept->bytes.resize(wire::Pad8(kept->length));
  if (out.shared != nullptr) out.shared->kept = kept;
  return kept;
}

void Connection::SendFailure(uint64_t request_id, const Status& status) {
  flatbuffers::FlatBufferBuilder builder(256);
  const auto message = builder.CreateString(status.message());
  builder.Finish(fb::CreateReply(builder, static_cast<uint8_t>(status.code()), message));
  const auto* data = reinterpret_cast<const std::byte*>(builder.GetBufferPointer());
  Send(request_id, {.body = {data, builder.GetSize()}, .payload = {}, .fds = {}});
}

void Connection::SendNow(uint64_t request_id, Outgoing out) {
  wire::FrameHeader header;
  header.request_id = request_id;
  header.fd_count = static_cast<uint32_t>(out.fds.size());
  const std::vector<iovec> parts = wire::PartsOf(header, out.body, out.payload);
  size_t total = 0;
  for (const iovec& part : parts) total += part.iov_len;
  if (ring_ != nullptr && out.fds.empty() && SendByRing(parts, total)) return;
  size_t sent = 0;
  if (queue_.empty() && out.fds.size() <= os::kMaxFdsPerMessage && parts.size() < 512 &&
      MaySend(out.fds.size())) {
    auto result = os::SendSome(socket_, parts, NumbersOf(out.fds));
    if (!result.ok() && !result.status().Is(StatusCode::kLimitExceeded)) return FailToSend();
    sent = result.ok() ? *result : 0;
    if (sent > 0) NoteSent(out.fds.size());
    if (sent == total) return NoteSentBySocket();
    if (sent > 0) out.fds.clear();
  }
  Enqueue(parts, sent, std::move(out));
  WaitWritable();
}

// What is left of the frame; a payload that others have too is not copied again.
void Connection::Enqueue(std::span<const iovec> parts, size_t already_sent, Outgoing out) {
  size_t total = 0;
  for (const iovec& part : parts) total += part.iov_len;
  Queued queued;
  size_t begin = already_sent;
  size_t end = total;
  if (out.shared != nullptr) {
    queued.payload = Keep(out);
    if (queued.payload == nullptr) return;
    begin = 0;
    end = total - queued.payload->bytes.size();
    queued.sent = already_sent;
  }
  auto claim = server_.RoomForAnswer(*this, end - begin + sizeof(Queued));
  if (!claim) return;
  queued.claim = std::move(*claim);
  queued.bytes = BytesOf(parts, begin, end);
  queued.fds = std::move(out.fds);
  NoteWaiting(queued.fds.size());
  queued_bytes_ += queued.size() - queued.sent;
  if (queue_.empty()) taken_at_ = os::Clock::now();
  queue_.push_back(std::move(queued));
}

std::array<iovec, 2> Connection::Queued::Left() const {
  const size_t of_bytes = std::min(sent, bytes.size());
  const auto first = std::span(bytes).subspan(of_bytes);
  std::span<const std::byte> second;
  if (payload != nullptr) second = std::span(payload->bytes).subspan(sent - of_bytes);
  const auto part = [](std::span<const std::byte> b) {
    return iovec{const_cast<std::byte*>(b.data()), b.size()};
  };
  return {part(first), part(second)};
}

// Note [Descriptors that nobody takes]
bool Connection::MaySend(size_t fds) {
  if (fds == 0) return true;
  if (fds_under_way_ > 0 && os::AllIsTaken(socket_)) {
    server_.descriptors_under_way().Taken(volume(), std::exchange(fds_under_way_, 0));
  }
  return server_.descriptors_under_way().MayGo(volume(), fds_under_way_, fds);
}

Status Connection::MayAnswerWith(size_t fds) {
  if (queue_.empty() && fds <= os::kMaxFdsPerMessage && MaySend(fds)) return {};
  return server_.descriptors_under_way().MayWait(volume(), fds_waiting_, fds);
}

void Connection::NoteWaiting(size_t fds) {
  if (fds == 0) return;
  fds_waiting_ += fds;
  server_.descriptors_under_way().Waits(volume(), fds);
}

void Connection::NoteWaitingNoMore(size_t fds) {
  if (fds == 0) return;
  fds_waiting_ -= fds;
  server_.descriptors_under_way().WaitsNoMore(volume(), fds);
}

void Connection::NoteSent(size_t fds) {
  if (fds == 0) return;
  fds_under_way_ += fds;
  server_.descriptors_under_way().Sent(volume(), fds);
}

void Connection::WaitWritable() {
  if (closed() || waiting_to_write_) return;
  waiting_to_write_ = true;
  watched_.async_wait(asio::posix::stream_descriptor::wait_write,
                      [self = shared_from_this()](const asio::error_code& error) {
                        self->waiting_to_write_ = false;
                        if (!error) self->Flush();
                      });
}

// The socket has room, and yet takes nothing: waiting for it would spin.
void Connection::PauseSending(std::chrono::milliseconds how_long) {
  waiting_to_write_ = true;
  auto pause = std::make_shared<asio::steady_timer>(server_.io(), how_long);
  pause->async_wait([self = shared_from_this(), pause](const asio::error_code&) {
    self->waiting_to_write_ = false;
    self->Flush();
  });
}

void Connection::Flush() {
  while (!queue_.empty() && !closed() && FlushFirst()) {
  }
  Resume();
}

// False: the rest has to wait.
bool Connection::FlushFirst() {
  Queued& first = queue_.front();
  // More descriptors than one message carries go in several, each with some of the bytes.
  const size_t count = std::min(first.fds.size(), os::kMaxFdsPerMessage);
  const std::vector<int> fds = NumbersOf(std::span(first.fds).first(count));
  if (!MaySend(count)) {
    PauseSending(kUntakenPause);
    return false;
  }
  std::array<iovec, 2> parts = first.Left();
  if (first.fds.size() > count) {
    parts[0].iov_len = 1;
    parts[1].iov_len = 0;
  }
  auto result = os::SendSome(socket_, parts, fds);
  if (result.status().Is(StatusCode::kLimitExceeded)) {
    PauseSending(kDescriptorsPause);
    return false;
  }
  if (!result.ok()) {
    Close();
    return false;
  }
  if (*result == 0) {
    WaitWritable();
    return false;
  }
  taken_at_ = os::Clock::now();
  first.sent += *result;
  queued_bytes_ -= *result;
  NoteSent(count);
  NoteWaitingNoMore(count);
  first.fds.erase(first.fds.begin(), first.fds.begin() + static_cast<ptrdiff_t>(count));
  if (first.sent == first.size()) queue_.pop_front();
  return true;
}

}  // namespace vineyard::daemon
