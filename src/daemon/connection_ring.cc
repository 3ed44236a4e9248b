// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A connection's requests and answers through shared memory.
#include <algorithm>

#include "daemon/connection.h"
#include "daemon/ring.h"
#include "daemon/server.h"
#include "os/bell.h"
#include "os/memfd.h"
#include "os/processor.h"

namespace vineyard::daemon {

namespace {
constexpr size_t kUnpublished =
    layout::kReplyRing / 4;                        // the client takes them while more are made
constexpr size_t kBytesInARow = size_t{16} << 10;  // then the other connections get their turn
}  // namespace

Result<Connection::RingFiles> Connection::OpenRing() {
  if (ring_ != nullptr) return Status::AlreadyExists("this connection has a ring");
  VY_ASSIGN_OR_RETURN(os::UniqueFd file, os::CreateMemfd("vineyard-ring", layout::kRingFile));
  VY_ASSIGN_OR_RETURN(os::Mapping mapping,
                      os::Mapping::Open(file, layout::kRingFile, os::Access::kReadWrite));
  VY_RETURN_IF_ERROR(mapping.Populate(os::Access::kReadWrite));
  RingFiles files;
  VY_ASSIGN_OR_RETURN(files.memory, os::Reopen(file, os::Access::kReadWrite));
  VY_ASSIGN_OR_RETURN(files.bell, os::MakeBell());
  VY_ASSIGN_OR_RETURN(os::UniqueFd bell, files.bell.Duplicate());
  auto ring = std::make_unique<Ring>(server_.io(), std::move(mapping));
  asio::error_code error;
  ring->bell.assign(bell.get(), error);
  if (error) return Status::IOError("cannot watch an eventfd: " + error.message());
  [[maybe_unused]] const int watched = bell.Release();
  ring->page.engine_processor = -1;
  ring->page.client_processor = -1;
  ring_ = std::move(ring);
  WaitForBell();
  return files;
}

void Connection::WaitForBell() {
  ring_->bell.async_wait(asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](const asio::error_code& error) {
                           if (error || self->closed()) return;
                           os::SilenceBell(self->ring_->bell.native_handle());
                           self->server_.WatchRing(self);
                           self->WaitForBell();
                         });
}

bool Connection::PollRing() {
  if (Rests(by_ring_)) return false;
  const std::optional<uint64_t> available = ring_->requests.Available();
  if (!available) {
    server_.LogDropped(*this, "its ring holds more than it can");
    Close();
    return false;
  }
  const bool had_some = !ring_->reader.Empty();  // left when answers piled up
  if (*available > 0) {
    ring_->in_use = true;
    server_.NoteActivity(volume());
    const std::span<std::byte> space = ring_->reader.Space();
    if (space.empty()) {
      server_.LogDropped(*this, "there is no memory for its request");
      Close();
      return false;
    }
    const auto to = space.first(std::min({space.size(), size_t{*available}, kBytesInARow}));
    layout::CopyOut(layout::RequestBytes(ring_->mapping.data()), ring_->requests.position(), to);
    ring_->requests.Release(to.size());
    ring_->reader.Filled(to.size());
  } else if (!had_some) {
    return false;
  }
  ring_->more_follow = true;
  const bool sound = HandleFrames(ring_->reader);
  ring_->more_follow = false;
  PublishRing();
  if (!sound) Close();
  return sound && *available > 0;
}

// The client has gone: as with a socket, what it wrote before (its Goodbye, perhaps) counts.
void Connection::FinishRing() {
  if (ring_ == nullptr) return;
  const uint64_t end = ring_->requests.position() + layout::kRequestRing;
  while (ring_->requests.position() < end && PollRing()) {
  }
}

// One that rests is watched again when it goes on: see Resume, HaveRoom.
bool Connection::RingFallsAsleep() { return Rests(by_ring_) || ring_->requests.FallAsleep(); }
void Connection::RingAwakes() { ring_->requests.Awake(); }

bool Connection::ClientIsHere() const {
  return ring_->page.client_processor.load(std::memory_order_relaxed) == os::CurrentProcessor();
}

void Connection::NoteProcessor(int processor) {
  ring_->page.engine_processor.store(processor, std::memory_order_relaxed);
}

void Connection::NotePartners(int partners) {
  ring_->page.partners.store(static_cast<uint32_t>(partners), std::memory_order_relaxed);
}

// False: it has to go through the socket, which also wakes a client that sleeps.
bool Connection::SendByRing(std::span<const iovec> parts, size_t total) {
  layout::RingProducer<>& replies = ring_->replies;
  NoteProcessor(os::CurrentProcessor());
  if (!ring_->in_use || replies.ConsumerSleeps()) return false;
  const std::optional<uint64_t> room = replies.Room(total);
  if (!room) {
    FailToSend();
    return true;
  }
  if (*room < total) return false;
  for (const iovec& part : parts) {
    layout::CopyIn(layout::ReplyBytes(ring_->mapping.data()), replies.position(),
                   {static_cast<const std::byte*>(part.iov_base), part.iov_len});
    replies.Append(part.iov_len);
  }
  ring_->unpublished += total;
  if (!ring_->more_follow || ring_->unpublished >= kUnpublished) PublishRing();
  return true;
}

void Connection::PublishRing() {
  ring_->unpublished = 0;
  if (!closed() && ring_->replies.Publish()) WakeClient();
}

// It fell asleep while the answer was written. Where the socket has no room, it will wake for what is there.
void Connection::WakeClient() {
  flatbuffers::FlatBufferBuilder b(64);
  b.Finish(fb::CreateReply(b));
  wire::FrameHeader header;
  const auto* data = reinterpret_cast<const std::byte*>(b.GetBufferPointer());
  const std::vector<iovec> parts = wire::PartsOf(header, {data, b.GetSize()}, {});
  if (!queue_.empty()) return;
  if (!os::SendSome(socket_, parts, {}).ok()) FailToSend();
}

// A client that waits awake looks at the ring only.
void Connection::NoteSentBySocket() {
  if (ring_ == nullptr || !ring_->in_use || ring_->replies.ConsumerSleeps()) return;
  std::atomic<uint64_t>& count = ring_->page.by_socket;
  count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

}  // namespace vineyard::daemon
