// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Connection: one client's way to its instance, across engines.
//
// Any thread may call. Each call sends its frame and waits for the answer that carries its id; one of
// the waiting threads reads the socket for all. When the connection breaks, the thread that notices
// connects again, says what this client still holds, and sends again what was not answered; a changing
// request carries a number, so that it takes effect once. A forked child must not use its parent's
// Connection: see Client::Impl.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "client/catalog_reader.h"
#include "client/extents.h"
#include "client/request_trace.h"
#include "client/ring.h"
#include "client/writing_habit.h"
#include "os/socket.h"
#include "vineyard/client.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace vineyard::client {

/// An answer, with all that came along.
struct Answer {
  std::vector<uint64_t> storage;  // body, then payload
  std::span<const std::byte> body;
  std::span<const std::byte> payload;
  std::vector<os::UniqueFd> fds;
  uint64_t socket = 0;    // the number of the one that it belongs to
  bool fds_lost = false;  // this process may have no more of them

  [[nodiscard]] const fb::Reply& reply() const {
    return *flatbuffers::GetRoot<fb::Reply>(body.data());
  }
  [[nodiscard]] Status status() const {
    if (!fds_lost) return wire::ToStatus(reply());
    return Status::LimitExceeded(
        "this process has too many descriptors open to take those of an answer; raise ulimit -n");
  }
};

using BuildBody =
    std::function<flatbuffers::Offset<void>(flatbuffers::FlatBufferBuilder&, uint64_t number)>;

/// One request. Everything it refers to stays valid until Call returns.
struct Outgoing {
  BuildBody body;
  fb::RequestBody type{};
  bool changing = false;  // gets a number
  std::vector<std::span<const std::byte>> payload;
  std::vector<int> fds = {};  // go along
};

/// A request that may take effect twice: it changes nothing, or what nobody claims is freed.
inline Outgoing Question(fb::RequestBody type, BuildBody body) {
  return {.body = std::move(body), .type = type, .payload = {}};
}

/// A request that takes effect once, however often it is sent.
inline Outgoing Change(fb::RequestBody type, BuildBody body) {
  return {.body = std::move(body), .type = type, .changing = true, .payload = {}};
}

class Connection {
 public:
  Connection(ConnectOptions options, std::string pod);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Status Open(os::TimePoint deadline);
  /// Says goodbye; later calls fail.
  void Close();
  /// After a fork, in the child: lets go of the socket without a word.
  void Abandon();

  /// Sends and waits. The Status of a reply that says no is returned as such.
  Result<Answer> Call(const Outgoing& outgoing, os::TimePoint deadline);
  /// Sends without waiting for an answer. Failures are of no consequence.
  void Tell(const Outgoing& outgoing);

  // ---- reading without a call
  /// kHit or kMiss; fails when no engine answers any more.
  Result<Outcome> Read(ObjectId id, layout::RecordCopy* copy, os::TimePoint deadline);
  Result<Outcome> ReadName(std::string_view name, layout::RecordCopy* copy, os::TimePoint deadline);

  // ---- what this client holds
  ExtentCache& extents() { return extents_; }
  /// Sealed and published, or given back. (What is reserved is noted when the answer comes.)
  void RemoveReservation(uint64_t blob);
  /// Gives a reservation back, now or with the next request: also from within a signal's handler that
  /// runs while this connection waits.
  void GiveBack(ObjectId blob);
  /// What it has pinned is told to the next engine.
  void NotePinned(std::span<const ObjectId> ids);
  void NoteUnpinned(std::span<const ObjectId> ids);
  WritingHabit& habit() { return habit_; }
  [[nodiscard]] const WritingHabit& habit() const { return habit_; }

  struct Facts {
    std::string volume;
    std::string instance_uuid;
    uint64_t instance_id = 0;
    std::string version;
    uint64_t generation = 0;
    uint64_t inline_max = 0;
    bool read_only = false;
    bool has_disk = false;
    bool names_keep = false;
    uint64_t client = 0;  // its number there
  };
  [[nodiscard]] Facts facts() const;
  [[nodiscard]] uint64_t inline_max() const { return inline_max_; }
  /// Before the instance has said so itself: a forked child knows it from its parent.
  void ExpectInlineMax(uint64_t bytes) { inline_max_ = bytes; }
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] const ConnectOptions& options() const { return options_; }
  [[nodiscard]] const std::string& pod() const { return pod_; }
  [[nodiscard]] const std::string& program() const { return program_; }
  /// What says to the instance that a request is this client's.
  [[nodiscard]] fb::Token token() const { return {token_[0], token_[1]}; }
  [[nodiscard]] os::TimePoint Deadline(const std::optional<Timeout>& timeout) const {
    return os::Clock::now() + timeout.value_or(options_.timeout);
  }

 private:
  friend class CallStream;
  struct Pending {
    const Outgoing* outgoing;
    uint64_t id = 0;
    uint64_t number = 0;
    os::TimePoint begun{};
    bool done = false;
    Status status;
    Answer answer;
    std::list<Pending*>::iterator place;  // in pending_, once Begin has put it there
    bool listed = false;
  };
  using Lock = std::unique_lock<std::mutex>;
  static constexpr uint64_t kNothingTold = ~uint64_t{0};

  // connecting.cc
  Status Reconnect(Lock& lock, os::TimePoint deadline);
  Status KeepConnecting(Lock& lock, os::TimePoint deadline);
  Status SayHello(Lock& lock, os::TimePoint deadline);
  Status SendPending(os::TimePoint deadline);
  void RetireSocket(bool watched);
  void DropRetired();

  // hot_requests.cc
  [[nodiscard]] bool RingIsDue() const;
  Status ConsiderRing(Lock& lock, os::TimePoint deadline);
  Status SendByRing(Lock* lock, std::span<iovec> parts, os::TimePoint deadline);
  void PublishRing();
  Status WaitForRoom(Lock* lock, int waited, os::TimePoint deadline);

  // transfer.cc
  /// REQUIRES: mutex_ held. By `lock`: it is not while this waits for room, and all others wait for the end of the
  /// frame. Null: waits, if at all, with the lock.
  Status SendFrame(Lock* lock, const Outgoing& outgoing, uint64_t id, uint64_t number,
                   os::TimePoint deadline);
  /// Without waiting; failures are of no consequence.
  void TrySend(const Outgoing& outgoing) {
    SendFrame(nullptr, outgoing, 0, 0, os::Clock::now()).IgnoreError();
  }
  Status SendParts(Lock* lock, std::span<iovec> parts, std::span<const int> fds,
                   os::TimePoint deadline);
  Status WaitToSend(Lock* lock, os::TimePoint deadline);
  Status AwaitEndOfFrame(Lock& lock, os::TimePoint deadline);
  Status ReadOnce(Lock& lock, os::TimePoint deadline);
  Status Receive();
  Status DeliverAll(wire::FrameReader& reader);
  Result<std::optional<std::pair<uint64_t, Answer>>> NextAnswer(wire::FrameReader& reader);
  void Deliver(uint64_t id, Answer answer);
  [[nodiscard]] uint64_t Acknowledged() const;

  // connection.cc
  Status Begin(Lock& lock, Pending& pending, os::TimePoint deadline);
  Status AwaitTurn(Lock& lock, os::TimePoint deadline);
  void List(Pending& pending);
  Result<Answer> Await(Lock& lock, Pending& pending, Status s, os::TimePoint deadline);
  void NoteInTrace(const Pending& pending, StatusCode code) const;
  [[nodiscard]] Status NameRequest(const Status& status, const Pending& pending) const;
  void TellReleased(Lock& lock, os::TimePoint deadline);
  void NoteGivenBack(uint64_t blob);
  void TellGivenBack();
  void SendCancel(uint64_t id);
  Status WaitForChange(Lock& lock, os::TimePoint deadline);
  Result<uint64_t> TakeNumber(Lock& lock, os::TimePoint deadline);
  Status CheckUsable() const;

  // hot_read.cc
  template <typename Reading>
  Result<Outcome> ReadWith(const Reading& read, os::TimePoint deadline);
  bool MayBeStored(ObjectId blob);
  bool MemoryIsShort();
  Status OpenParts(const CatalogReader::Wanted& wanted, os::TimePoint deadline);

  const ConnectOptions options_;
  const std::string pod_;
  const std::string program_;
  RequestTrace* const trace_;  // null: nobody wants one
  uint64_t token_[2];
  std::atomic<uint64_t> inline_max_{0};
  std::atomic<bool> closed_{false};

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  os::UniqueFd socket_;
  uint64_t sockets_ = 0;               // so far
  std::vector<os::UniqueFd> retired_;  // old sockets that a thread may still be waiting for
  bool broken_ = true;
  bool connecting_ = false;  // a thread is at it
  bool reading_ = false;     // a thread waits for the socket
  bool sending_ =
      false;  // a thread is in the midst of a frame, and may wait for room; builder_ is its
  wire::FrameReader reader_;
  bool others_wait_to_send_ = false;
  std::vector<os::UniqueFd> received_fds_;
  bool fds_lost_ = false;       // of the next answer that comes with some
  std::shared_ptr<Ring> ring_;  // of this socket; shared with the thread that reads
  bool more_follow_ = false;    // frames, before anybody waits: the ring need not be published yet
  int unpublished_ = 0;
  std::shared_ptr<Ring> spare_ring_;  // to be used once nothing is under way in the socket
  bool no_ring_ = !Ring::Helps();
  os::TimePoint burst_began_;
  size_t burst_ = 0;               // requests since
  std::list<Pending*> pending_;    // in the order sent
  std::set<uint64_t> unanswered_;  // numbers
  uint64_t next_id_ = 1;
  uint64_t told_before_ =
      kNothingTold;  // an id: the engine has read what was told once it answers one from there on
  uint64_t next_number_ = 1;
  uint32_t window_ = 1;
  std::set<uint64_t> reservations_;
  static constexpr size_t kPinsUnswept = 256;
  std::set<uint64_t> pinned_;  // some of them deleted meanwhile
  size_t next_pin_sweep_ = kPinsUnswept;
  Facts facts_;
  flatbuffers::FlatBufferBuilder builder_{512};

  std::mutex reader_mutex_;  // taken after mutex_, if both
  CatalogReader catalog_;

  std::atomic<bool> any_given_back_ = false;
  std::mutex given_back_mutex_;  // taken after mutex_, if both
  std::vector<uint64_t> given_back_;

  ExtentCache extents_{[this](ObjectId blob) { return MayBeStored(blob); },
                       [this] { return MemoryIsShort(); }};
  WritingHabit habit_;
};

}  // namespace vineyard::client
