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

constexpr int kReceivesInARow = 16;  // then the other connections get their turn
// Of one that says what it holds, after an engine's end.
constexpr size_t kLargestHello = size_t{4} << 20;

}  // namespace

// ---- Reply

Reply::Reply(const std::shared_ptr<Connection>& connection, uint64_t request_id,
             fb::RequestBody kind, uint64_t bytes)
    : connection_(connection), request_id_(request_id),
      asked_{.kind = kind, .bytes = bytes, .begun = os::Clock::now()} {
  ++connection->requests_;
}

Reply::~Reply() {
  const uint64_t id = request_id_;
  const std::shared_ptr<Connection> connection = TakeConnection();
  if (connection == nullptr || id == 0 || connection->closed()) return;
  log::Error("a request was left without an answer", {{"request", id}});
  connection->NoteAnswered(id, asked_, StatusCode::kInternal);
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
    connection->NoteAnswered(id, asked_, status.code());
    connection->SendFailure(id, status);
  }
}

void Reply::Send(flatbuffers::FlatBufferBuilder& builder, fb::ReplyBody type,
                 flatbuffers::Offset<void> body, std::vector<std::span<const std::byte>> payload,
                 std::vector<os::UniqueFd> fds, SharedPayload* shared) {
  builder.Finish(fb::CreateReply(builder, 0, 0, type, body));
  const uint64_t id = std::exchange(request_id_, 0);
  if (const auto connection = TakeConnection(); connection && id != 0) {
    connection->NoteAnswered(id, asked_, StatusCode::kOk);
    const auto* data = reinterpret_cast<const std::byte*>(builder.GetBufferPointer());
    connection->Send(id, {.body = {data, builder.GetSize()},
                          .payload = std::move(payload),
                          .fds = std::move(fds),
                          .shared = shared});
  }
}

// ---- Connection

void Connection::NoteAnswered(uint64_t request_id, const AskedRequest& asked, StatusCode code) {
  ++answered_;
  server_.NoteAnswered(*this, request_id, asked, code);
}

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
  by_socket_.turn.Leave();
  by_ring_.turn.Leave();
  NoteWaitingNoMore(fds_waiting_);
  server_.descriptors_under_way().Close(std::move(socket_), volume(), fds_under_way_);
  queue_.clear();
  received_fds_.clear();
  server_.ConnectionClosed(*this);
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

// Whether the requests there have to wait: until answers have been taken, or there is memory for a large one.
bool Connection::Rests(const Arrival& arrival) {
  if (closed()) return true;
  if (Congested()) {
    held_up_ = true;
    return true;
  }
  return arrival.turn.waits();
}

void Connection::OnReadable() {
  server_.NoteActivity(volume());
  for (int i = 0; i < kReceivesInARow && !Rests(by_socket_); ++i) {
    const std::span<std::byte> space = reader_.Space();
    if (space.empty()) {
      server_.LogDropped(*this, "there is no memory for its request");
      return Close();
    }
    auto received = os::ReceiveSome(socket_, space, &received_fds_);
    if (!received.ok() || received->closed || received->fds_lost) {
      FinishRing();
      return Close();
    }
    if (received->would_block) return WaitReadable();
    reader_.Filled(received->bytes);
    if (!HandleFrames(reader_)) return Close();
    // A short read means that the socket was empty a moment ago: asking again would only cost.
    if (received->bytes < space.size() && !Rests(by_socket_)) return WaitReadable();
  }
  if (Rests(by_socket_)) return;
  asio::post(server_.io(), [self = shared_from_this()] {
    if (!self->closed()) self->OnReadable();
  });
}

// False: the client is to be dropped. Stops early where answers pile up; Resume goes on.
bool Connection::HandleFrames(wire::FrameReader& reader) {
  const std::shared_ptr<Connection> self = shared_from_this();
  while (!Rests(ArrivalOf(reader))) {
    auto next = reader.Next();
    if (!next.ok()) {
      server_.LogDropped(*this, next.status().message());
      return false;
    }
    if (!next->has_value()) {
      if (!TakeRoom(reader)) return false;
      break;
    }
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
  if (reader.Empty()) GiveRoomBack(reader);
  // Descriptors come with the first bytes of the frame that names them. Those left when no other frame
  // has begun belong to none: nobody asked for them.
  if (reader_.Empty()) received_fds_.clear();
  return received_fds_.size() <= os::kMaxFdsPerMessage;
}

// For a large frame that has come in part. False: the client is to be dropped.
bool Connection::TakeRoom(const wire::FrameReader& reader) {
  Arrival& arrival = ArrivalOf(reader);
  if (reader.wanted() <= wire::FrameReader::kUsualSpace || arrival.claim.bytes() > 0) return true;
  if (client_ == 0 && reader.wanted() > kLargestHello) {
    server_.LogDropped(*this, "a frame that large comes from clients only");
    return false;
  }
  if (auto claim = server_.frames_room().TakeNow(volume(), reader.wanted())) {
    arrival.claim = std::move(*claim);
    arrival.since = os::Clock::now();
    return true;
  }
  arrival.turn = server_.frames_room().Await(
      volume(), reader.wanted(), [weak = weak_from_this(), &arrival](HeapShares::Claim claim) {
        const auto self = weak.lock();
        if (self != nullptr && !self->closed()) self->HaveRoom(arrival, std::move(claim));
      });
  server_.NoteFrameWaits();
  return true;
}

// Of a large frame that has been carried out. The reader has nothing of a next one then.
void Connection::GiveRoomBack(wire::FrameReader& reader) {
  Arrival& arrival = ArrivalOf(reader);
  if (arrival.claim.bytes() == 0) return;
  reader.Trim();
  arrival = {};
}

void Connection::HaveRoom(Arrival& arrival, HeapShares::Claim claim) {
  arrival.claim = std::move(claim);
  arrival.since = os::Clock::now();
  if (&arrival == &by_socket_) return OnReadable();
  server_.WatchRing(shared_from_this());
}

// Goes on with requests, if they waited for answers to be taken: first with those that had come already.
void Connection::Resume() {
  if (!held_up_ || closed() || Congested()) return;
  held_up_ = false;
  if (!HandleFrames(reader_)) return Close();
  if (ring_ != nullptr) {
    if (!HandleFrames(ring_->reader)) return Close();
    if (!closed()) server_.WatchRing(shared_from_this());
  }
  OnReadable();
}

}  // namespace vineyard::daemon
