// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Client: a program's way into one volume of an instance.
//
// A Client may be used from any thread at once; a call that waits does not hold up the others. After
// a fork the child's calls open a connection of their own. When the instance's engine is replaced
// (a crash, an upgrade) calls reconnect and go on within their deadline. Everything got from a Client
// outlives it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vineyard/allocation.h"
#include "vineyard/allocator.h"
#include "vineyard/blob.h"
#include "vineyard/figures.h"
#include "vineyard/ids.h"
#include "vineyard/object.h"
#include "vineyard/status.h"
#include "vineyard/survey.h"

namespace vineyard {

using Timeout = std::chrono::milliseconds;

struct ConnectOptions {
  /// Path of the volume's socket. REQUIRES: not empty (see FindSocket for the usual look-up).
  std::string socket;
  /// Bound on connecting, and default bound on every later call.
  Timeout timeout{60'000};
  /// How long connecting goes on trying while nothing listens at the socket: 0 = one attempt.
  Timeout wait_for_instance{0};
  /// Asked about ten times a second by a call that waits, on the waiting thread: true ends the call
  /// with kCancelled (Python's Ctrl-C). May be empty.
  std::function<bool()> interrupted;
};

struct CallOptions {
  std::optional<Timeout> timeout;  ///< nullopt: the connection's default.
};

/// What outlives what. In a volume that was created with kDisk all is as kDisk.
enum class Durability : uint8_t {
  kMemory,  ///< The writer and the engine, not the instance.
  /// Everything, a loss of power too: acknowledged once it is on the instance's disk, with all that it refers to, and there
  /// again when an instance begins with the same --spill_path. kNotSupported without one; kOutOfMemory: the disk
  /// is full, and nothing has happened; kIOError: it has happened, and is not on the disk yet, which fails.
  kDisk,
};

struct PutOptions {
  std::optional<Timeout> timeout;
  /// Registered in the same step; the name becomes the object's owner: when it is pointed elsewhere
  /// or dropped, and nothing else refers to the object, the object goes.
  std::string name;
  /// With `name`: the version it must have now (0: it must not exist), else kConflict.
  std::optional<uint64_t> if_version;
  /// The name is dropped after this time, and the object with it if nothing else refers to it. Pointing
  /// the name anywhere before then sets its time anew. Without `name`: of the object itself.
  std::optional<Timeout> ttl;
  /// The same, when this client has ended, and so much later: 0 = at once. It has ended once it is closed, or
  /// its process is gone; a broken connection ends nothing. nullopt: it does not depend on a client.
  std::optional<Timeout> linger;
  /// The object is the next chunk of this stream, which this client has open for writing: without a name.
  /// kLimitExceeded: the stream is full (StreamWriter waits for room instead).
  ObjectId stream;
  /// Of the bytes that this put copies (not of those that lie in the store already). Where it gives up,
  /// the put is kCancelled and nothing is stored. May be empty.
  Progress progress;
  /// Of buffers that lie in allocations.
  Copying copying = Copying::kAuto;
  /// Of the object, with its name. kDisk: not with `linger`, nor to a stream.
  Durability durability = Durability::kMemory;
  /// With `name`: as in NameOptions.
  bool keep = false;
};

struct GetOptions {
  std::optional<Timeout> timeout;
  /// By name: wait until the name exists, for as long as the timeout allows.
  bool wait = false;
  /// False: only the description, no bytes are mapped.
  bool map_buffers = true;
};

struct NameInfo {
  std::string name;
  ObjectId id;
  uint64_t version = 0;        ///< 1 for the first object under this name, then 2, …
  std::optional<Timeout> ttl;  ///< How long it has still; nullopt: it stays.
  /// It lives with a client of this process, and so much longer; nullopt: with none (any more).
  std::optional<Timeout> linger;
  uint64_t client_pid = 0;
  bool durable = false;
  bool keep = false;  ///< What it points to stays in memory.
};

struct NameOptions {
  std::optional<Timeout> timeout;
  std::optional<uint64_t> if_version;
  /// Of PutName: from now on the object goes with its last name, as if it had been put with one.
  bool owns = false;
  /// Of PutName: the name is dropped after this time; nullopt: it stays.
  std::optional<Timeout> ttl;
  /// Of PutName: it lives with this client, and so much longer, as in PutOptions.
  std::optional<Timeout> linger;
  /// Of PutName, and what it points to becomes so too. Each PutName says anew how durable the name is; the object stays
  /// durable.
  Durability durability = Durability::kMemory;
  /// Of PutName: for as long as the name points there the object stays in memory, with its members, as if it were
  /// pinned. What lies on the disk is brought back first: kOutOfMemory at the deadline, and the name is as it was.
  /// Each PutName says it anew.
  bool keep = false;
};

struct ListOptions {
  std::optional<Timeout> timeout;
  /// Glob over typenames ("*", "?", "[…]"), or a regular expression (ECMAScript) with `regex`.
  std::string pattern = "*";
  bool regex = false;
  size_t limit = 5;  ///< At most this many; SIZE_MAX for all.
  /// Also objects that are members of others, and blobs.
  bool include_parts = false;
  /// Only objects that have this one as a member, or buffers in this blob. They may be parts of others themselves.
  ObjectId member;
};

struct ListNamesOptions {
  std::optional<Timeout> timeout;
  /// Glob over names, or a regular expression with `regex`, or a plain prefix with `prefix`.
  std::string pattern = "*";
  bool regex = false;
  bool prefix = false;
  size_t limit = SIZE_MAX;
  ObjectId id;  ///< Only names that point there.
};

struct DeleteOptions {
  std::optional<Timeout> timeout;
  bool deep = true;    ///< Members that nothing else refers to go too.
  bool force = false;  ///< Objects that this one is a member of go too, instead of an error.
};

struct StreamOptions {
  std::optional<Timeout> timeout;
  uint32_t capacity = 16;  ///< Chunks that may wait to be read: 1 to 4096.
  uint32_t readers = 1;    ///< How many must have read a chunk before it goes: 1 to 256.
};

struct StreamInfo {
  bool finished = false;
  bool failed = false;
  std::string reason;  ///< Why it failed.
  uint32_t capacity = 0;
  uint64_t first = 0;   ///< Number of the first chunk that waits.
  uint64_t queued = 0;  ///< Chunks that wait.
  uint32_t readers_wanted = 0;
  uint32_t readers_come = 0;
  uint64_t writer_pid = 0;  ///< 0: none has come, or it is gone.
  struct Reader {
    uint64_t number = 0;
    uint64_t pid = 0;
    uint64_t position = 0;  ///< The chunk it takes next.
  };
  std::vector<Reader> readers;
};

class StreamReader;
class StreamWriter;

struct InstanceStatus {
  std::string instance_uuid;
  uint64_t instance_id = 0;
  std::string version;
  std::string deployment;
  std::string volume;
  bool read_only = false;         ///< This client's socket is for reading only.
  uint64_t generation = 0;        ///< Grows by one with each start of the engine.
  uint64_t memory_usage = 0;      ///< Bytes of this volume's live objects and reservations.
  uint64_t memory_limit = 0;      ///< What memory_usage may reach: the volume's share of the size.
  uint64_t memory_held = 0;       ///< Pages held for what is or was stored, everything counted.
  uint64_t memory_lingering = 0;  ///< Deleted, but still mapped by somebody.
  uint64_t memory_overhead = 0;   ///< Catalogs, arenas' slack, ledger.
  uint64_t memory_ready = 0;    ///< Beside memory_held: pages made ahead, for whoever needs memory.
  uint64_t instance_limit = 0;  ///< --size, which held and ready memory keep to together
  uint64_t objects = 0;
  uint64_t blobs = 0;  ///< Extents, and blobs made alone.
  uint64_t names = 0;
  uint64_t leases = 0;  ///< Names, and objects without one, that live with a client.
  uint64_t connections = 0;
  uint64_t waiting = 0;  ///< Requests that wait for memory or a name.
  /// The program that is installed did not begin to serve, or ended by a fault soon after: the one that served
  /// before it runs.
  bool former_program = false;
  /// Another program has taken over, not long ago: if it ends by a fault, the one before comes back.
  bool on_probation = false;
  uint64_t spilled_bytes = 0;  ///< Of this volume, on the disk only: not in memory_usage.
  uint64_t spilled_blobs = 0;
  uint64_t disk_bytes = 0;  ///< Of all volumes' files; copies of what is in memory are among them.
  uint64_t loads = 0;       ///< Blobs brought back since the engine began.
  uint64_t evictions = 0;
  uint64_t damaged = 0;            ///< Blobs that could not be brought back.
  uint64_t memory_guaranteed = 0;  ///< What other volumes leave to this one.
  uint64_t memory_kept = 0;        ///< Free, and kept for other volumes, to which it is guaranteed.
  uint64_t not_on_disk = 0;        ///< Durable records whose files are not yet what they should be.
  uint64_t set_aside = 0;          ///< Their files that were found damaged when the engine began.
  uint64_t not_restored = 0;   ///< That it left on the disk: no memory for them, or another format.
  uint64_t kept_by_names = 0;  ///< Of this volume, bytes that names keep in memory.
};

struct UpgradeOptions {
  std::optional<Timeout> timeout;
  /// Also wait for the end of the new program's probation: it has served well, or the one before is back.
  /// False: return as soon as an engine of it, or of the one before, serves.
  bool watch = true;
};

struct LoadOptions {
  std::optional<Timeout> timeout;
  /// They stay in memory until Unpin, or the end of this client.
  bool pin = false;
  /// False: only ask for it and return at once, without waiting for an answer. They come back while the caller does
  /// other things, if there is memory by the deadline; a get tells what became of them.
  bool wait = true;
};

/// Where the large parts of an object, or of a blob, lie. What is small is always in memory.
struct Places {
  uint64_t memory_bytes = 0;
  uint64_t spilled_bytes = 0;  ///< On the disk only: a get brings them back.
  bool in_use = false;         ///< A program has some of it mapped.
  bool pinned = false;         ///< A client has some of it pinned.
  bool durable = false;        ///< It outlives the instance, with all that it refers to.
  bool kept = false;           ///< A name keeps some of it in memory.
  /// Clients that have some of it mapped or pinned; their `mapped_bytes` and `pinned_bytes` are of it alone.
  std::vector<ClientInfo> holders;
  std::string damage;       ///< Why some of it can't be brought back; empty: nothing is wrong.
  uint64_t references = 0;  ///< Names that point to it, and objects that refer to it.
};

/// Why an object is there, where it is, and what keeps it there.
struct Explanation {
  ObjectInfo info;  ///< Of a blob: its id and size.
  std::vector<NameInfo> names;
  std::vector<ObjectInfo>
      referrers;  ///< Objects that have it as a member, or buffers in it. At most 100.
  Places places;
  bool evictable = false;  ///< Its memory could be had, if it were needed.
  std::vector<std::string>
      reasons;                      ///< Sentences, for people: why it is stored, and why in memory.
  std::vector<std::string> advice;  ///< What to do to get its memory back.
};

/// Who may open a socket, as far as its own file says it; the folders above it count too.
struct SocketRights {
  uint32_t mode = 0660;
  std::optional<uint32_t> owner;  ///< A user's number; nullopt: who makes it. Others need root.
  std::optional<uint32_t> group;
};

struct VolumeOptions {
  uint64_t quota = 0;  ///< Bytes; 0: only the instance's size bounds it.
  /// Bytes of memory that other volumes always leave to it. They are free when the volume is made: that waits
  /// for them until the deadline.
  uint64_t guaranteed = 0;
  SocketRights rights;
  /// A second socket, at this path: who comes through it can get and list, and change nothing. Empty: none.
  std::string read_only_socket;
  SocketRights read_only_rights;
  /// kDisk: the volume comes back when an instance begins with the same --spill_path, with its options and sockets, and
  /// so does all that was put there, but for streams and what lingers.
  Durability durability = Durability::kMemory;
};

struct VolumeInfo {
  std::string name;
  std::string socket;
  std::string read_only_socket;  ///< Empty: it has none.
  uint64_t quota = 0;            ///< Bytes; 0: only the instance's size bounds it.
  uint64_t memory_usage = 0;
  uint64_t objects = 0;
  uint64_t names = 0;
  uint64_t connections = 0;
  uint64_t guaranteed = 0;  ///< Bytes of memory that other volumes leave to it.
  uint64_t memory_held =
      0;  ///< Memory it has, everything counted: what `guaranteed` is compared with.
  bool durable = false;
};

/// Puts that are sent without waiting for those before: the next object is made while the instance stores the
/// last ones. Each takes effect by itself, in order. Used by one thread.
class PutPipeline {
 public:
  PutPipeline(PutPipeline&& other) noexcept;
  PutPipeline& operator=(PutPipeline&& other) noexcept;
  /// Waits for what was added.
  ~PutPipeline();

  /// The builder, and what it refers to, stay as they are until Finish has returned. Waits only where many
  /// are under way, or for the memory of a large object.
  void Add(const ObjectBuilder& builder, std::string name = {});
  /// Waits until all that was added is stored, or refused: an id or an error for each, in their order.
  std::vector<Result<ObjectId>> Finish();

 private:
  friend class Client;
  class State;
  explicit PutPipeline(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Client {
 public:
  /// kUnavailable when nothing listens there, kProtocol when it is no vineyardd of this version.
  static Result<Client> Connect(const ConnectOptions& options);
  static Result<Client> Connect(std::string_view socket);

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  // ---- blobs

  /// Memory for `size` bytes, all zero, to be filled and sealed. Waits for room until the deadline.
  /// kOutOfMemory: larger than the limit (at once), or no room by the deadline (says who holds it).
  Result<MutableBlob> CreateBlob(uint64_t size, const CallOptions& options = {});
  /// Makes the bytes immutable and the blob visible. On failure the blob is given back.
  Result<Blob> Seal(MutableBlob&& blob, const CallOptions& options = {});
  Result<Blob> GetBlob(ObjectId id, const CallOptions& options = {});

  // ---- memory

  /// Memory whose put copies nothing: see vineyard/allocation.h. Counts as used until it is freed. Waits
  /// for room, and fails, as CreateBlob does. Up to inline_max bytes are ordinary memory.
  Result<Allocation> Allocate(uint64_t size, const CallOptions& options = {});
  /// For programs that allocate with a malloc of their choice: see vineyard/allocator.h. All of one client
  /// share what they keep. kFailedPrecondition: shared memory gets no huge pages here.
  Result<Allocator> MakeAllocator(const AllocatorOptions& options = {});
  /// What a put of these buffers by this client would do with each now. Changes nothing.
  std::vector<Placement> PlacementsOf(std::span<const std::span<const std::byte>> buffers,
                                      Copying copying = Copying::kAuto);

  // ---- objects

  /// Stores the object, in one step with its name. Returns when it is in the catalog.
  Result<ObjectId> Put(const ObjectBuilder& builder, const PutOptions& options = {});
  /// Many at once, without waiting for one before the next is sent: an id or an error for each, in
  /// their order. `names`: none, or one for each (empty: this one without). Not one change: each takes
  /// effect by itself.
  std::vector<Result<ObjectId>> PutMany(std::span<const ObjectBuilder> builders,
                                        std::span<const std::string> names = {},
                                        const CallOptions& options = {});
  /// The same, one by one, for objects that are made meanwhile. `options.timeout`: for all together.
  PutPipeline StartPuts(const CallOptions& options = {});
  Result<Object> Get(ObjectId id, const GetOptions& options = {});
  /// Many at once: an object or an error for each, in their order.
  std::vector<Result<Object>> GetMany(std::span<const ObjectId> ids,
                                      const GetOptions& options = {});
  Result<Object> Get(std::string_view name, const GetOptions& options = {});
  Result<bool> Exists(ObjectId id, const CallOptions& options = {});
  /// Returns how many objects went. Unknown ids are kNotFound, and then nothing is deleted. Up to 256 are
  /// one change; more go some at a time, and where one is a member of what stays, the others may have gone.
  Result<uint64_t> Delete(const std::vector<ObjectId>& ids, const DeleteOptions& options = {});
  Result<std::vector<ObjectInfo>> List(const ListOptions& options = {});
  /// See survey.h. Asks several questions: things may change between them.
  Result<Survey> TakeSurvey(const SurveyOptions& options = {});
  /// Adds or replaces labels of an object.
  Status SetLabels(ObjectId id, const std::vector<Label>& labels, const CallOptions& options = {});

  // ---- names

  /// Points the name at the object, which it refers to and does not own unless told so. Returns the
  /// version.
  Result<uint64_t> PutName(std::string_view name, ObjectId id, const NameOptions& options = {});
  /// kNotFound; with `wait`, waits for the name until the deadline.
  Result<NameInfo> GetName(std::string_view name, const GetOptions& options = {});
  Status DropName(std::string_view name, const NameOptions& options = {});
  Result<std::vector<NameInfo>> ListNames(const ListNamesOptions& options = {});

  // ---- memory and disk

  /// Brings what lies on the disk back to memory, members included, as a get of each would.
  /// kOutOfMemory: there is no room for all of it together; kCorrupted: a file is damaged. What is larger than the
  /// memory is read part by part: Load of the next with `wait = false`, Get of this one, let go of it, and so on.
  Status Load(std::span<const ObjectId> ids, const LoadOptions& options = {});
  /// Takes back this client's pins.
  Status Unpin(std::span<const ObjectId> ids, const CallOptions& options = {});
  /// Moves them to the disk now. kFailedPrecondition where some are mapped, pinned or kept, or the instance has no
  /// disk; kOutOfMemory: the disk is full. The others are gone from memory all the same.
  Status Evict(std::span<const ObjectId> ids, const CallOptions& options = {});
  /// Makes them durable, with all that they refer to: as if they had been put with Durability::kDisk. Names stay as
  /// they are. Those that are it already cost nothing.
  Status MakeDurable(std::span<const ObjectId> ids, const CallOptions& options = {});
  Result<Places> GetPlaces(ObjectId id, const CallOptions& options = {});
  /// Asks several questions: things may change between them.
  Result<Explanation> Explain(ObjectId id, const CallOptions& options = {});

  // ---- streams (stream.h)

  /// Makes a stream of an object, which describes it and whose id is the stream's. Deleting the object
  /// ends the stream and takes its chunks along. kAlreadyExists: it is one.
  Status CreateStream(ObjectId id, const StreamOptions& options = {});
  /// kAlreadyExists: another client writes it.
  Result<StreamWriter> OpenStreamWriter(ObjectId id, const CallOptions& options = {});
  /// Begins with the first chunk that is still there.
  Result<StreamReader> OpenStreamReader(ObjectId id, const CallOptions& options = {});
  /// With the chunks that wait in it; the object stays.
  Status DropStream(ObjectId id, const CallOptions& options = {});
  Result<StreamInfo> GetStream(ObjectId id, const CallOptions& options = {});

  // ---- the instance

  Result<InstanceStatus> GetStatus(const CallOptions& options = {});
  /// See figures.h. Of this volume, or of all.
  Result<Figures> GetFigures(bool all = false, const CallOptions& options = {});
  Result<std::vector<ClientInfo>> ListClients(bool all = false, const CallOptions& options = {});
  Result<std::vector<WaitInfo>> ListWaits(bool all = false, const CallOptions& options = {});
  /// Requests that were answered after that sequence, as far as they are remembered. 0: the oldest there are.
  Result<TracePage> GetTrace(uint64_t after, bool all = false, const CallOptions& options = {});
  /// Only on the instance's first socket, by its owner or root. `directory` gets a `vineyard.sock`;
  /// it is made if absent. `quota` in bytes, 0 = only the instance's size bounds it. kOutOfMemory: what is to be
  /// guaranteed is more than --size leaves (at once), or is not free by the deadline.
  Result<VolumeInfo> CreateVolume(std::string_view name, std::string_view directory, uint64_t quota,
                                  const CallOptions& options = {});
  Result<VolumeInfo> CreateVolume(std::string_view name, std::string_view directory,
                                  const VolumeOptions& volume, const CallOptions& options = {});
  /// Has the instance's engine end and another begin, of the program that lies now where the instance was
  /// started from; all that is stored stays, and other clients notice nothing but a moment's wait. Returns the status
  /// of the new one, or of the one before, where that had to come back. kFailedPrecondition: that program cannot take over, and nothing has changed. Only on the
  /// instance's first socket, by its owner or root.
  Result<InstanceStatus> Upgrade(const UpgradeOptions& options = {});
  Result<std::vector<VolumeInfo>> ListVolumes(const CallOptions& options = {});
  /// Drops all its objects and names; what readers have mapped stays readable for them.
  Status RemoveVolume(std::string_view name, const CallOptions& options = {});

  [[nodiscard]] const std::string& socket() const;
  [[nodiscard]] const std::string& volume() const;
  [[nodiscard]] uint64_t inline_max() const;
  /// False once closed. Does not ask the instance.
  [[nodiscard]] bool connected() const;
  /// Ends the connection; what was got stays readable. Later calls give kFailedPrecondition.
  void Close();

  class Impl;

 private:
  friend class PutPipeline;
  explicit Client(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with unsealed blobs, which must give their memory back
};

/// What a program was told about its instance, if anything.
struct SocketSearch {
  std::optional<std::string> socket;
  std::optional<std::string> config;  ///< As VINEYARD_CONFIG.
  std::string run_directory = "/var/run";
};

/// The socket that Python's connect() and vineyardctl use too. The first that is named counts:
///   1. `socket`
///   2. VINEYARD_IPC_SOCKET
///   3. `config`, or VINEYARD_CONFIG: a YAML file with `Vineyard: {IPCSocket: …}`, or a folder that
///      holds one as vineyard-config.yaml or vineyard/vineyard-config.yaml
///   4. the same two files below `run_directory`; one that names no socket, or one that is not there, is
///      passed
///   5. vineyard.sock or vineyard/vineyard.sock below `run_directory`
///   6. $XDG_RUNTIME_DIR/vineyard/vineyard.sock, ~/.local/vineyard/vineyard.sock
/// What was named in 1 to 3 is used or fails. kUnavailable when nothing is named and nothing found,
/// kInvalid when a named configuration makes no sense, kNeedsCluster when only VINEYARD_RPC_ENDPOINT is
/// set. Whether anybody listens there is not looked at.
Result<std::string> FindSocket(const SocketSearch& search = {});

/// Another key of the section Vineyard in the file that steps 3 and 4 of FindSocket would read, whether a
/// socket was found there or not; nullopt if it is not set. kInvalid when a file was named that can't be
/// read.
Result<std::optional<std::string>> FindSetting(std::string_view key,
                                               const SocketSearch& search = {});

/// "1.0.0"
std::string_view Version();

}  // namespace vineyard
