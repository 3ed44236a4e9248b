// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Connection: one client's socket in the engine, and Reply: the one answer each request gets.
//
// Owned by the server's list and by the handlers asio runs for it; all on the engine's thread. A reader
// that does not drain its socket fills only its own queue, and is not read from meanwhile; see Note [The engine's own
// memory] in heap_shares.h.
#pragma once

#define ASIO_STANDALONE
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "daemon/door.h"
#include "daemon/heap_shares.h"
#include "messages_generated.h"
#include "os/fd.h"
#include "os/socket.h"
#include "vineyard/status.h"
#include "wire/frame.h"

namespace vineyard::daemon {

class Connection;
class Server;
struct Ring;

/// A payload that is kept, as it has to wait.
struct KeptPayload {
  std::vector<std::byte> bytes;  // padded
  size_t length = 0;
  HeapShares::Claim claim;
};
/// Of several answers with the same payload. The first that has to wait keeps it for all.
struct SharedPayload {
  std::shared_ptr<const KeptPayload> kept;
};

/// What goes out as one frame. `payload` is copied only if the socket has no room for it.
struct Outgoing {
  std::span<const std::byte> body;
  std::vector<std::span<const std::byte>> payload;
  std::vector<os::UniqueFd> fds;    // closed once sent
  SharedPayload* shared = nullptr;  // with others
};

/// What is remembered of a request until it is answered.
struct AskedRequest {
  fb::RequestBody kind{};
  uint64_t bytes = 0;
  os::TimePoint begun{};
  os::TimePoint waits{};  // since when, if it does
};

/// The answer a request is owed. Moved into whatever will give it; destroyed without an answer it
/// says "internal error", and logs that (unless the client is gone).
class Reply {
 public:
  /// Of a request of so many bytes that has just been read.
  Reply(const std::shared_ptr<Connection>& connection, uint64_t request_id, fb::RequestBody kind,
        uint64_t bytes);
  Reply(Reply&& other) noexcept
      : connection_(std::move(other.connection_)), request_id_(std::exchange(other.request_id_, 0)),
        asked_(other.asked_) {}
  Reply& operator=(Reply&&) = delete;
  Reply(const Reply&) = delete;
  ~Reply();

  void Fail(const Status& status);
  /// `body`: of the type, made with `builder`. Payload and descriptors as far as the message has them.
  void Send(flatbuffers::FlatBufferBuilder& builder, fb::ReplyBody type,
            flatbuffers::Offset<void> body, std::vector<std::span<const std::byte>> payload = {},
            std::vector<os::UniqueFd> fds = {}, SharedPayload* shared = nullptr);
  /// The other side is gone, or has asked for no answer.
  void Drop() { request_id_ = 0; }
  [[nodiscard]] std::shared_ptr<Connection> connection() const { return connection_.lock(); }
  [[nodiscard]] uint64_t request_id() const { return request_id_; }
  /// It waits from now on for something other than the engine.
  void NoteWaits() {
    if (asked_.waits == os::TimePoint{}) asked_.waits = os::Clock::now();
  }
  [[nodiscard]] const AskedRequest& asked() const { return asked_; }

 private:
  std::shared_ptr<Connection> TakeConnection();

  std::weak_ptr<Connection> connection_;
  uint64_t request_id_;  // 0: answered, or none wanted
  AskedRequest asked_;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server& server, os::UniqueFd socket, Door door, os::Peer peer);
  ~Connection();

  /// Reads at once what has come already.
  void Start() { OnReadable(); }
  /// Ends it: nothing more is read or sent.
  void Close();
  void Send(uint64_t request_id, Outgoing out);
  /// Answers that wait for its client to take some before; since when that has taken nothing.
  [[nodiscard]] bool HasUntaken() const { return !queue_.empty(); }
  [[nodiscard]] os::TimePoint taken_at() const { return taken_at_; }
  /// Drops them; Close follows.
  void DropAnswers();
  /// Since when there is memory for a large frame of it that has not come yet, or is not carried out yet.
  [[nodiscard]] os::TimePoint HasRoomSince() const {
    return std::min(by_socket_.since, by_ring_.since);
  }
  /// OK: an answer with so many descriptors goes out now, or may wait for that. Else kLimitExceeded; see
  /// Note [Descriptors that nobody takes].
  Status MayAnswerWith(size_t fds);
  void SendFailure(uint64_t request_id, const Status& status);
  void NoteAnswered(uint64_t request_id, const AskedRequest& asked, StatusCode code);

  // ---- the ring (layout/ring.h), watched by RingWatch
  struct RingFiles {
    os::UniqueFd memory;
    os::UniqueFd bell;  ///< by which the client wakes the engine
  };
  /// Openings for the client.
  Result<RingFiles> OpenRing();
  [[nodiscard]] bool has_ring() const { return ring_ != nullptr; }
  /// Carries out requests from it. False: there were none that could be.
  bool PollRing();
  /// True: the client rings the bell from now on. False: there are requests already.
  bool RingFallsAsleep();
  void RingAwakes();
  /// Its client ran on the engine's own processor when it last asked.
  [[nodiscard]] bool ClientIsHere() const;
  /// Tells the client where the engine runs; -1: it is moving.
  void NoteProcessor(int processor);
  /// Tells it how many are in a burst, the engine included.
  void NotePartners(int partners);

  [[nodiscard]] uint64_t volume() const { return door_.volume; }
  [[nodiscard]] Rights rights() const { return door_.rights; }
  [[nodiscard]] Door door() const { return door_; }
  [[nodiscard]] os::Peer& peer() { return peer_; }
  [[nodiscard]] uint64_t client() const { return client_; }
  void set_client(uint64_t key) { client_ = key; }
  [[nodiscard]] bool closed() const { return closed_ || failed_; }

  /// Requests of it that are being carried out, or wait.
  [[nodiscard]] size_t requests() const { return requests_; }
  [[nodiscard]] uint64_t answered() const { return answered_; }

  /// A request that waits for memory: it ends with the connection, or when the client gives it up (see
  /// Store::CancelReserve).
  struct Wait {
    uint64_t ticket;
    std::shared_ptr<Reply> reply;
  };
  std::vector<Wait> waits;

 private:
  friend class Reply;
  struct Queued {
    std::vector<std::byte> bytes;
    std::shared_ptr<const KeptPayload> payload;  // follows them; null: it is among them
    size_t sent = 0;
    std::vector<os::UniqueFd> fds;  // go with the first byte
    HeapShares::Claim claim;        // for `bytes`
    [[nodiscard]] size_t size() const {
      return bytes.size() + (payload == nullptr ? 0 : payload->bytes.size());
    }
    [[nodiscard]] std::array<iovec, 2> Left() const;
  };
  /// A large frame that comes, and the memory for it.
  struct Arrival {
    HeapShares::Claim claim;
    HeapShares::Turn turn;                       // waits for one
    os::TimePoint since = os::TimePoint::max();  // that it has one
  };

  void WaitReadable();
  void OnReadable();
  void Resume();
  bool HandleFrames(wire::FrameReader& reader);
  bool TakeRoom(const wire::FrameReader& reader);
  void GiveRoomBack(wire::FrameReader& reader);
  [[nodiscard]] Arrival& ArrivalOf(const wire::FrameReader& reader) {
    return &reader == &reader_ ? by_socket_ : by_ring_;
  }
  void HaveRoom(Arrival& arrival, HeapShares::Claim claim);
  /// Nothing is read from there now.
  [[nodiscard]] bool Rests(const Arrival& arrival);
  void WaitWritable();
  void PauseSending(std::chrono::milliseconds how_long);
  bool MaySend(size_t fds);
  void NoteSent(size_t fds);
  void Flush();
  bool FlushFirst();
  std::shared_ptr<const KeptPayload> Keep(const Outgoing& out);
  void SendNow(uint64_t request_id, Outgoing out);
  void NoteWaiting(size_t fds);
  void NoteWaitingNoMore(size_t fds);
  void WaitForBell();
  void PublishRing();
  void FinishRing();
  bool SendByRing(std::span<const iovec> parts, size_t total);
  void WakeClient();
  void NoteSentBySocket();
  /// Nothing goes out any more; Close follows. An answer may be what a request causes, even another one of
  /// this very client, and who carries that out goes on using the client.
  void FailToSend();
  void Enqueue(std::span<const iovec> parts, size_t already_sent, Outgoing out);
  [[nodiscard]] bool Congested() const;

  Server& server_;
  os::UniqueFd socket_;
  asio::posix::stream_descriptor watched_;  // a duplicate of it, to wait on
  Door door_;
  os::Peer peer_;
  uint64_t client_ = 0;  // key; 0 before Hello
  wire::FrameReader reader_;
  std::unique_ptr<Ring> ring_;
  Arrival by_socket_;
  Arrival by_ring_;
  std::vector<os::UniqueFd> received_fds_;
  std::deque<Queued> queue_;
  size_t queued_bytes_ = 0;     // there, and waiting for the keeper
  os::TimePoint taken_at_;      // of the queue, or when it began
  bool held_up_ = false;        // requests wait until answers have been taken
  uint64_t fds_under_way_ = 0;  // sent since all was last known to be taken
  uint64_t fds_waiting_ = 0;    // opened, and not sent yet
  size_t requests_ = 0;
  uint64_t answered_ = 0;
  bool waiting_to_read_ = false;
  bool waiting_to_write_ = false;
  bool failed_ = false;  // to send
  bool closed_ = false;
};

}  // namespace vineyard::daemon
