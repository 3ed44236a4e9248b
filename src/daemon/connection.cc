// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/connection.h"

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>

#include "base/logging.h"
#include "daemon/ring.h"
#include "daemon/server.h"

namespace vineyard::daemon {

namespace {

constexpr std::chrono::milliseconds kDescriptorsPause{20};
constexpr std::chrono::milliseconds kUntakenPause{1};
constexpr int kReceivesInARow = 16;  // then the other connections get their turn
constexpr size_t kUsualFrame = size_t{1} << 20;
// Of one that says what it holds, after an engine's end.
constexpr size_t kLargestHello = size_t{4} << 20;

std::vector<int> NumbersOf(std::span<const os::UniqueFd> fds) {
  std::vector<int> numbers;
  numbers.reserve(fds.size());
  for (const os::UniqueFd& fd : fds) numbers.push_back(fd.get());
  return numbers;
}

}  // namespace

// ---- Reply

Reply::Reply(const std::shared_ptr<Connection>& connection, uint64_t request_id)
    : connection_(connection), request_id_(request_id) {
  ++connection->requests_;
}

Reply::~Reply() {
  const uint64_t id = request_id_;
  const std::shared_ptr<Connection> connection = TakeConnection();
  if (connection == nullptr || id == 0 || connection->closed()) return;
  log::Error("a request was left without an answer", {{"request", id}});
  connection->SendFailure(id, Status::Internal("the instance lost this request; please report it"));
}

// Null: answered, moved elsewhere, or nobody is left to be told.
std::shared_ptr<Connection> Reply::TakeConnection() {
  std::shared_ptr<Connection> connection = std::exchange(connection_, {}).lock();
  if (connection != nullptr) --connection->requests_;
  return connection;
}

void Reply::Fail(const Status& status) {
  const uint64_t id = std::exchange(request_id_, 0);
  if (const auto connection = TakeConnection(); connection && id != 0) {
    connection->SendFailure(id, status);
  }
}

void Reply::Send(flatbuffers::FlatBufferBuilder& builder, fb::ReplyBody type,
                 flatbuffers::Offset<void> body, std::vector<std::span<const std::byte>> payload,
                 std::vector<os::UniqueFd> fds) {
  builder.Finish(fb::CreateReply(builder, 0, 0, type, body));
  const uint64_t id = std::exchange(request_id_, 0);
  if (const auto connection = TakeConnection(); connection && id != 0) {
    const auto* data = reinterpret_cast<const std::byte*>(builder.GetBufferPointer());
    connection->Send(
        id,
        {.body = {data, builder.GetSize()}, .payload = std::move(payload), .fds = std::move(fds)});
  }
}

// ---- Connection

Connection::Connection(Server& server, os::UniqueFd socket, Door door, os::Peer peer)
    : server_(server), socket_(std::move(socket)), watched_(server.io()), door_(door),
      peer_(std::move(peer)) {
  if (auto copy = socket_.Duplicate(); copy.ok()) {
    watched_.assign(copy->Release());
  } else {
    closed_ = true;
  }
}

Connection::~Connection() = default;

void Connection::Close() {
  if (std::exchange(closed_, true)) return;
  asio::error_code ignored;
  watched_.close(ignored);
  if (ring_ != nullptr) ring_->bell.close(ignored);
  NoteWaitingNoMore(fds_waiting_);
  server_.descriptors_under_way().Close(std::move(socket_), volume(), fds_under_way_);
  queue_.clear();
  received_fds_.clear();
  server_.ConnectionClosed(*this);
}

void Connection::FailToSend() {
  if (std::exchange(failed_, true)) return;
  asio::post(server_.io(), [self = shared_from_this()] { self->Close(); });
}

void Connection::WaitReadable() {
  if (closed() || waiting_to_read_) return;
  waiting_to_read_ = true;
  watched_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const asio::error_code& error) {
                        self->waiting_to_read_ = false;
                        if (!error) self->OnReadable();
                      });
}

void Connection::OnReadable() {
  server_.NoteActivity();
  for (int i = 0; i < kReceivesInARow && !closed() && !Congested(); ++i) {
    const std::span<std::byte> space = reader_.Space();
    auto received = os::ReceiveSome(socket_, space, &received_fds_);
    if (!received.ok() || received->closed) {
      FinishRing();
      return Close();
    }
    if (received->would_block) return WaitReadable();
    reader_.Filled(received->bytes);
    if (!HandleFrames(reader_)) return Close();
    // A short read means that the socket was empty a moment ago: asking again would only cost.
    if (received->bytes < space.size()) return WaitReadable();
  }
  if (closed() || Congested()) return;
  asio::post(server_.io(), [self = shared_from_this()] {
    if (!self->closed()) self->OnReadable();
  });
}

// False: the client is to be dropped. Stops early where answers pile up; Resume goes on.
bool Connection::HandleFrames(wire::FrameReader& reader) {
  const std::shared_ptr<Connection> self = shared_from_this();
  while (!closed() && !Congested()) {
    auto next = reader.Next();
    if (!next.ok()) {
      server_.LogDropped(*this, next.status().message());
      return false;
    }
    if (!MayArrive(reader)) return false;
    if (!next->has_value()) break;
    const wire::Frame& frame = **next;
    std::vector<os::UniqueFd> fds;
    const size_t count = frame.header.fd_count;
    if (count > 0 && &reader != &reader_) return false;  // they come through the socket alone
    if (count > received_fds_.size()) return false;
    std::move(received_fds_.begin(), received_fds_.begin() + static_cast<ptrdiff_t>(count),
              std::back_inserter(fds));
    received_fds_.erase(received_fds_.begin(),
                        received_fds_.begin() + static_cast<ptrdiff_t>(count));
    if (!server_.HandleFrame(self, frame, std::move(fds))) return false;
  }
  // Descriptors come with the first bytes of the frame that names them. Those left when no other frame
  // has begun belong to none: nobody asked for them.
  if (reader_.Empty()) received_fds_.clear();
  return received_fds_.size() <= os::kMaxFdsPerMessage;
}

// What has come of a frame is kept until the rest has.
bool Connection::MayArrive(const wire::FrameReader& reader) {
  HeapShares::Claim& claim = &reader == &reader_ ? arriving_ : arriving_by_ring_;
  if (reader.wanted() <= kUsualFrame) {
    claim.Release();
    return true;
  }
  if (claim.bytes() >= reader.wanted()) return true;
  if (client_ == 0 && reader.wanted() > kLargestHello) {
    server_.LogDropped(*this, "a frame that large comes from clients only");
    return false;
  }
  auto taken = server_.heap_shares().Take(volume(), reader.wanted(), "large requests on their way");
  if (!taken.ok()) {
    server_.LogDropped(*this, taken.status().message());
    return false;
  }
  claim = std::move(*taken);
  return true;
}

void Connection::Send(uint64_t request_id, Outgoing out) {
  if (closed()) return;
  if (server_.KeeperIsUpToDate()) return SendNow(request_id, std::move(out));
  // What this answers may live in memory whose descriptor has not gone to the keeper yet: until it
  // has, a crash would lose what the client believes to be safe.
  std::vector<std::byte> body(out.body.begin(), out.body.end());
  std::vector<std::byte> payload;
  for (const auto& part : out.payload) payload.insert(payload.end(), part.begin(), part.end());
  NoteWaiting(out.fds.size());
  auto fds = std::make_shared<std::vector<os::UniqueFd>>(std::move(out.fds));
  server_.WhenKeeperIsUpToDate([self = shared_from_this(), request_id, body = std::move(body),
                                payload = std::move(payload), fds] {
    if (self->closed()) return;
    const bool was_congested = self->Congested();
    self->NoteWaitingNoMore(fds->size());
    self->SendNow(request_id, {.body = body, .payload = {payload}, .fds = std::move(*fds)});
    if (was_congested && !self->Congested() && !self->closed()) self->Resume();
  });
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
  Enqueue(parts, sent, std::move(out.fds));
  WaitWritable();
}

void Connection::Enqueue(std::span<const iovec> parts, size_t already_sent,
                         std::vector<os::UniqueFd> fds) {
  NoteWaiting(fds.size());
  Queued queued;
  for (const iovec& part : parts) {
    const auto* data = static_cast<const std::byte*>(part.iov_base);
    queued.bytes.insert(queued.bytes.end(), data, data + part.iov_len);
  }
  queued.sent = already_sent;
  queued.fds = std::move(fds);
  queued_bytes_ += queued.bytes.size();
  queue_.push_back(std::move(queued));
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
  const bool was_congested = Congested();
  while (!queue_.empty() && !closed()) {
    Queued& first = queue_.front();
    // More descriptors than one message carries go in several, each with some of the bytes.
    const size_t count = std::min(first.fds.size(), os::kMaxFdsPerMessage);
    const std::vector<int> fds = NumbersOf(std::span(first.fds).first(count));
    if (!MaySend(count)) {
      PauseSending(kUntakenPause);
      break;
    }
    const auto left = std::span(first.bytes).subspan(first.sent);
    const iovec part{left.data(), first.fds.size() > count ? 1 : left.size()};
    auto result = os::SendSome(socket_, std::span(&part, 1), fds);
    if (result.status().Is(StatusCode::kLimitExceeded)) {
      PauseSending(kDescriptorsPause);
      break;
    }
    if (!result.ok()) return Close();
    if (*result == 0) {
      WaitWritable();
      break;
    }
    first.sent += *result;
    NoteSent(count);
    NoteWaitingNoMore(count);
    first.fds.erase(first.fds.begin(), first.fds.begin() + static_cast<ptrdiff_t>(count));
    if (first.sent < first.bytes.size()) continue;
    queued_bytes_ -= first.bytes.size();
    queue_.pop_front();
  }
  if (was_congested && !Congested() && !closed()) Resume();
}

// First the requests that had come already.
void Connection::Resume() {
  if (!HandleFrames(reader_)) return Close();
  if (ring_ != nullptr) {
    if (!HandleFrames(ring_->reader)) return Close();
    if (!closed()) server_.WatchRing(shared_from_this());
  }
  OnReadable();
}

}  // namespace vineyard::daemon
