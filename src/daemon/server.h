// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Server: the engine's sockets and the requests that come through them.
//
// It accepts on each volume's listener, knows which client is behind which connection, carries out
// requests on the store (handlers_*.cc), and keeps those that wait. Owned by the engine's thread.
#pragma once

#define ASIO_STANDALONE
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/connection.h"
#include "daemon/descriptor_shares.h"
#include "daemon/descriptors_under_way.h"
#include "daemon/heap_shares.h"
#include "daemon/keeper_link.h"
#include "daemon/request_counts.h"
#include "daemon/request_log.h"
#include "daemon/ring_watch.h"
#include "daemon/seldom.h"
#include "daemon/waiters.h"
#include "os/timer.h"
#include "store/store.h"

namespace vineyard::daemon {

struct ServerOptions {
  std::string deployment;
  std::string instance_uuid;
  uint64_t generation = 0;
  bool former_program = false;       // Inventory::former_program
  bool on_probation = false;         // Inventory::on_probation; until the keeper says otherwise
  std::function<void()> give_way{};  // ends this engine: another program takes over
  uint64_t descriptors = 1024;       // that this process and its keeper may each have
};

/// Waits for what happens to `fd`, through a descriptor of its own. Null: there is none left.
std::unique_ptr<asio::posix::stream_descriptor> Watch(asio::io_context& io, const os::UniqueFd& fd);

/// How many requests a client has made.
struct AskedByClient {
  uint64_t waiting = 0;
  uint64_t answered = 0;
};

class Server {
 public:
  Server(asio::io_context& io, RingWatch& rings, store::Store& store, KeeperLink& link,
         ServerOptions options);
  ~Server();

  /// Begins to watch the time and the clients there are. To be called first.
  Status Start();

  /// Begins to accept there. The socket listens already.
  Status Listen(Door door, os::UniqueFd listener);
  /// Ends all connections.
  void Stop();

  // ---- for connections

  /// False: the client broke the protocol and is to be dropped.
  bool HandleFrame(const std::shared_ptr<Connection>& connection, const wire::Frame& frame,
                   std::vector<os::UniqueFd> fds);
  void ConnectionClosed(Connection& connection);
  [[nodiscard]] bool KeeperIsUpToDate() const { return link_.Flushed(); }
  void WhenKeeperIsUpToDate(std::function<void()> then) { link_.WhenFlushed(std::move(then)); }
  asio::io_context& io() { return io_; }
  DescriptorsUnderWay& descriptors_under_way() { return descriptors_under_way_; }
  HeapShares& frames_room() { return frames_room_; }
  const HeapShares& answers_room() const { return answers_room_; }
  /// For an answer that waits here. Nullopt: the connection has been given up instead.
  std::optional<HeapShares::Claim> RoomForAnswer(Connection& connection, uint64_t bytes);
  /// Sees that those who have room and do not use it are found.
  void NoteFrameWaits();
  /// The line is written once a second at most.
  void LogDropped(Connection& connection, std::string_view why);
  void NoteActivity(uint64_t volume) { store_.NoteActivity(volume); }
  void WatchRing(const std::shared_ptr<Connection>& connection) { rings_.Add(connection); }

  void NoteAnswered(Connection& connection, uint64_t request_id, const AskedRequest& asked,
                    StatusCode code);

  /// Ends a client whose process has ended.
  void WatchClient(const store::ClientState& client);

 private:
  struct Listener {
    os::UniqueFd fd;
    std::unique_ptr<asio::posix::stream_descriptor> watched;
  };
  /// A request as its handler sees it.
  struct Call {
    const std::shared_ptr<Connection>& connection;
    store::Volume& volume;
    store::ClientState& client;
    const wire::Frame& frame;
    std::vector<os::UniqueFd>& fds;
    Reply reply;
  };

  /// A connection that has not said who it is.
  struct Silent {
    Connection* connection;
    os::TimePoint until;
  };
  /// A put that waits, and its bytes.
  struct KeptFrame {
    wire::Frame frame;
    std::vector<uint64_t> bytes;
    HeapShares::Claim claim;
    store::Store::RoomPromise room{};  // on the disk
  };

  // server_accept.cc
  void WaitToAccept(Door door);
  void WaitToAcceptLater(Door door);
  void AcceptAll(Door door);
  void NoteSilent(Connection& connection);
  void ForgetSilent(const Connection& connection);
  void CloseSilent(os::TimePoint now);
  [[nodiscard]] Status MayServe(const Connection& connection);
  /// For a volume; one that is still to be has none of its own.
  [[nodiscard]] Status MayMakeFiles(store::Holder who, uint64_t files) const;

  // server_memory.cc
  [[nodiscard]] uint64_t HeapBytes() const;
  void NoteHeapShrinks();
  void EndStalledFrames(os::TimePoint now);

  void ForgetClient(uint64_t key);
  /// Sees that the next deadline is noticed: to be called when one came to be, or the last one went.
  void ArmTimer();
  void WaitForTimer();
  void OnTimer();
  void AfterChange();
  void KeepMoving();

  // handlers_session.cc
  void HandleHello(const std::shared_ptr<Connection>& connection, const fb::Hello& hello,
                   Reply reply);
  Result<store::ClientState*> IdentifyClient(Connection& connection, const fb::Hello& hello);
  void ReconcileClaims(store::ClientState& client, const fb::Hello& hello);
  void Dispatch(Call call, const fb::Request& request);
  void HandleOpenRing(Call call);
  void HandleShareIdle(Call call);

  // handlers_object.cc
  void HandlePut(Call call, const fb::Put& put);
  void TryPut(const std::shared_ptr<Connection>& connection, std::shared_ptr<KeptFrame> copy,
              const wire::Frame& frame, os::TimePoint deadline, Reply reply);
  [[nodiscard]] Result<std::shared_ptr<KeptFrame>> Keep(const Connection& connection,
                                                        const wire::Frame& frame);
  void TrackWait(Connection& connection, uint64_t ticket, std::shared_ptr<Reply> reply);
  void HandleCancel(Call call, const fb::Cancel& cancel);
  void HandleReserve(Call call, const fb::Reserve& reserve);
  void HandleAbort(Call call, const fb::Abort& abort);
  void HandleGet(Call call, const fb::Get& get);
  void HandleOpenCatalog(Call call, const fb::OpenCatalog& open);
  void HandleReleased(Call call, const fb::Released& released);
  void HandleDelete(Call call, const fb::Delete& del);
  void HandleSetLabels(Call call, const fb::SetLabels& set);
  void SendObject(store::Volume& volume, store::ClientState& client, const Wanted& wanted,
                  Reply reply, SharedPayload* shared = nullptr);
  void SendExtents(store::Volume& volume, store::ClientState& client,
                   std::span<const ObjectId> blobs, Reply reply);

  // handlers_open.cc
  /// Of an object's extents, so many descriptors go with it; clients ask for the others, in requests as small.
  static constexpr size_t kFdsWithObject = 32;
  void HandleOpenExtents(Call call, const fb::OpenExtents& open);
  [[nodiscard]] std::vector<ObjectId> FirstOf(std::span<const ObjectId> blobs, size_t fds);
  [[nodiscard]] std::vector<ObjectId> SomeOf(std::span<const ObjectId> blobs);
  [[nodiscard]] static size_t FdsFromDisk(Connection& connection);
  [[nodiscard]] Status MayBeTogether(ObjectId object, std::span<const ObjectId> blobs);
  [[nodiscard]] bool AnyAway(std::span<const ObjectId> blobs);
  Result<std::shared_ptr<HeapShares::Claim>> ClaimFor(uint64_t volume,
                                                      std::span<const ObjectId> blobs);
  void LoadFirst(const std::shared_ptr<Connection>& connection, std::span<const ObjectId> blobs,
                 os::TimePoint deadline, Reply reply,
                 std::function<void(store::Volume&, store::ClientState&, Reply)> then);

  // handlers_place.cc
  void HandlePlaceObjects(Call call, const fb::PlaceObjects& place);
  void HandleGetPlaces(Call call, const fb::GetPlaces& get);
  void LoadObjects(Call call, const std::vector<ObjectId>& blobs, bool pin, os::TimePoint deadline);
  void EvictObjects(Call call, const std::vector<ObjectId>& blobs, os::TimePoint deadline);
  struct AskedPlaces;
  void LookAtPlaces(const std::shared_ptr<AskedPlaces>& asked);
  void RestorePins(store::ClientState& client, const store::Volume& volume, const fb::Hello& hello);
  void RestoreMorePins(uint64_t client);
  void PinAll(store::ClientState& client, std::span<const ObjectId> blobs);

  // handlers_durable.cc
  /// Answers once the disk has what was changed since the mirror had `marks`. `room` is kept until then.
  void SendWhenKept(Reply reply, const Result<layout::Answer>& answer, uint64_t marks,
                    store::Store::RoomPromise room = nullptr);
  /// To be asked before a change, for SendWhenKept.
  [[nodiscard]] uint64_t Marks() {
    return store_.mirror() != nullptr ? store_.mirror()->marks() : 0;
  }
  [[nodiscard]] Status CheckDurable(const store::Volume& volume, bool lives_with_client,
                                    bool to_stream) const;
  using DurableChange =
      std::function<Result<layout::Answer>(store::Volume& volume, const store::Request& request)>;
  /// Once `needs` are met, if need be in a later turn. REQUIRES: CheckDurable.
  void ChangeDurably(Call call, uint64_t number, const store::Store::DurableNeeds& needs,
                     DurableChange change);
  void CarryOut(store::Volume& volume, const store::Request& request, const DurableChange& change,
                store::Store::RoomPromise room, Reply reply);
  void KeepObjects(Call call, const std::vector<uint64_t>& ids);
  /// Of a put with what it brings along.
  [[nodiscard]] Result<store::Store::DurableNeeds> NeedsOf(const store::Volume& volume,
                                                           const store::PutArgs& args);
  void SecureThenPut(const std::shared_ptr<Connection>& connection, std::shared_ptr<KeptFrame> copy,
                     os::TimePoint deadline, Reply reply, const std::vector<ObjectId>& extents);

  // handlers_keep.cc
  struct KeepingName {
    uint64_t number = 0;
    std::string name;
    uint64_t id = 0;
    store::Volume::Naming naming;
    os::TimePoint deadline;
  };
  void PutKeepingName(const std::shared_ptr<Connection>& connection, const KeepingName& wanted,
                      Reply reply);
  /// What of a put's parts is to be in memory before its name keeps it there.
  [[nodiscard]] static Result<std::vector<ObjectId>> ToKeep(const store::Volume& volume,
                                                            const store::PutArgs& args);
  void LoadThenPut(const std::shared_ptr<Connection>& connection, std::shared_ptr<KeptFrame> copy,
                   os::TimePoint deadline, Reply reply, const std::vector<ObjectId>& extents);

  // handlers_list.cc
  void HandleListObjects(Call call, const fb::ListObjects& list);

  // handlers_name.cc
  void HandlePutName(Call call, const fb::PutName& put);
  void HandleDropName(Call call, const fb::DropName& drop);
  void HandleListNames(Call call, const fb::ListNames& list);
  struct NameLease {
    uint64_t pid = 0;  // of the client that it lives with; 0: with none
    uint64_t linger_ms = 0;
  };
  NameLease LeaseOf(const store::Volume& volume, std::string_view name,
                    const store::NameEntry& entry);
  void WaitForName(Call call, Wanted wanted);
  void NameChanged(store::Volume& volume, const std::string& name);

  // handlers_stream.cc
  void HandleCreateStream(Call call, const fb::CreateStream& create);
  void HandleOpenStream(Call call, const fb::OpenStream& open);
  void HandlePushChunk(Call call, const fb::PushChunk& push);
  void HandleNextChunk(Call call, const fb::NextChunk& next);
  void HandleAwaitRoom(Call call, const fb::AwaitRoom& await);
  void HandleEndStream(Call call, const fb::EndStream& end);
  void HandleLeaveStream(Call call, const fb::LeaveStream& leave);
  void HandleDropStream(Call call, const fb::DropStream& drop);
  void HandleGetStream(Call call, const fb::GetStream& get);
  void WaitForStream(Call call, const StreamWait& wait, uint64_t timeout_ms);
  /// False: it has to wait.
  bool AnswerStream(const store::Volume& volume, const StreamWait& wait, Reply& reply);
  void StreamChanged(store::Volume& volume, ObjectId stream);
  [[nodiscard]] std::string ExplainStream(uint64_t volume, const StreamWait& wait);

  // handlers_volume.cc
  void HandleCreateVolume(Call call, const fb::CreateVolume& create);
  void KeepThenBegin(const store::CatalogSpec& spec, const store::DurableVolume& described,
                     uint64_t client, const std::shared_ptr<std::vector<os::UniqueFd>>& listeners,
                     const std::shared_ptr<Reply>& reply);
  void BeginVolume(const store::CatalogSpec& spec, uint64_t client,
                   const std::shared_ptr<std::vector<os::UniqueFd>>& listeners,
                   const std::shared_ptr<Reply>& reply);
  void HandleListVolumes(Call call);
  void HandleRemoveVolume(Call call, const fb::RemoveVolume& remove);
  void DropListeners(uint64_t volume);
  [[nodiscard]] std::string SocketOf(Door door) const;
  // handlers_instance.cc
  void HandleStatus(Call call);
  void HandleUpgrade(Call call, const fb::Upgrade& upgrade);
  /// Only on the instance's first socket, from its owner or root. `what` begins the refusal: "volumes are managed".
  [[nodiscard]] Status CheckMayManage(Connection& connection, std::string_view what) const;

  // handlers_figures.cc
  /// The volume of the caller, or all. Nullopt: it may not see them, and has been told so.
  [[nodiscard]] std::optional<std::vector<store::Volume*>> Seen(Call& call, bool all);
  [[nodiscard]] std::unordered_map<uint64_t, AskedByClient> CountAsked() const;
  flatbuffers::Offset<fb::ClientEntry> DescribeClient(flatbuffers::FlatBufferBuilder& b,
                                                      const store::ClientState& client,
                                                      const store::ClientMemory& memory,
                                                      AskedByClient asked = {});
  /// Clients of the volume that have some of these extents mapped or pinned.
  std::vector<flatbuffers::Offset<fb::ClientEntry>> DescribeHolders(
      flatbuffers::FlatBufferBuilder& b, uint64_t volume, const std::vector<ObjectId>& blobs);
  flatbuffers::Offset<fb::VolumeFigures> DescribeVolume(flatbuffers::FlatBufferBuilder& b,
                                                        const store::Volume& volume);
  void HandleListClients(Call call, const fb::ListClients& list);
  void HandleListWaits(Call call, const fb::ListWaits& list);
  void HandleGetFigures(Call call, const fb::GetFigures& get);
  void HandleGetTrace(Call call, const fb::GetTrace& get);

  /// The answer it got before, if it did; sends it. Sends the error for a number outside the window.
  bool SendRecalled(Call& call, uint64_t number);
  void SendDone(Reply reply, const Result<layout::Answer>& answer);

  asio::io_context& io_;
  RingWatch& rings_;
  store::Store& store_;
  KeeperLink& link_;
  ServerOptions options_;
  DescriptorsUnderWay descriptors_under_way_;
  DescriptorShares shares_;
  // Note [The engine's own memory]
  HeapShares frames_room_;
  HeapShares waits_room_;
  HeapShares answers_room_;
  uint64_t most_of_heap_ = 0;  // since free memory was given back
  bool heap_is_looked_at_ = false;
  os::TimePoint frames_checked_at_ = os::TimePoint::max();  // next; max: nobody waits
  std::map<Door, Listener> listeners_;
  std::map<const Connection*, std::shared_ptr<Connection>> connections_;
  std::map<uint64_t, std::unique_ptr<asio::posix::stream_descriptor>> pidfds_;  // by client key
  std::list<Silent> silent_;  // those that came first in front
  Seldom silent_closed_, refused_, not_accepted_, dropped_;
  Waiters waiters_;
  /// What a client has pinned, and this engine does not know yet.
  struct PinsToRestore {
    std::vector<uint64_t> ids;
    size_t at_once = 4096;
    HeapShares::Claim claim;
  };
  std::map<uint64_t, PinsToRestore> pins_to_restore_;  // by client key
  std::optional<os::Timer> timer_;
  std::unique_ptr<asio::posix::stream_descriptor> timer_watched_;
  os::TimePoint timer_at_ = os::TimePoint::max();  // max: it is stopped
  std::map<uint64_t, RequestCounts> counts_;       // by volume
  RequestLog log_;
  Seldom access_refused_;
  const os::TimePoint begun_ = os::Clock::now();
  bool moving_ = false;
  bool stopped_ = false;
};

/// While this lives the ledger says that the engine's thread is at a client's request, or until the
/// request's change is committed: repeated, it would only be told. To be made wherever one goes on.
class Running {
 public:
  Running(layout::Ledger ledger, uint64_t client, uint64_t request) : ledger_(ledger) {
    if (client != 0) ledger_.BeginRequest(client, request);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() { ledger_.EndRequest(); }

 private:
  layout::Ledger ledger_;
};

/// What one answer gives the client openings of.
class Openings {
 public:
  /// `fd` stays open until Open.
  void Add(const os::UniqueFd& fd, os::Access access) { wanted_.push_back({&fd, access}); }
  [[nodiscard]] size_t size() const { return wanted_.size(); }
  /// kLimitExceeded: too many are open, here or in answers that clients do not take.
  Result<std::vector<os::UniqueFd>> Open(Connection& connection) const {
    VY_RETURN_IF_ERROR(connection.MayAnswerWith(wanted_.size()));
    std::vector<os::UniqueFd> fds;
    fds.reserve(wanted_.size());
    for (const Wanted& wanted : wanted_) {
      VY_ASSIGN_OR_RETURN(os::UniqueFd fresh, os::Reopen(*wanted.fd, wanted.access));
      fds.push_back(std::move(fresh));
    }
    return fds;
  }

 private:
  struct Wanted {
    const os::UniqueFd* fd;
    os::Access access;
  };
  std::vector<Wanted> wanted_;
};

}  // namespace vineyard::daemon
