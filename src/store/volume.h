// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Volume: one isolated space of objects and names: its catalog, arenas, and the tables that are
// derived from them and live in this heap (who refers to whom, names in order, ids in order).
//
// What a request means is here; who may make it, and how it waits, is the daemon's. Every changing
// operation is one Transaction. Owned by the engine's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layout/ledger.h"
#include "layout/stream_state.h"
#include "os/socket.h"
#include "store/arena.h"
#include "store/catalog.h"
#include "store/clients.h"
#include "store/extent.h"
#include "store/transaction.h"
#include "vineyard/ids.h"
#include "vineyard/object.h"
#include "wire/codec.h"

namespace vineyard::store {

/// An object, or a blob with an entry of its own.
struct Entry {
  layout::Ref ref;
  uint32_t parents = 0;  // objects that have it as a member, or a buffer in it
  uint32_t names : 31 = 0;
  uint32_t owned : 1 = 0;  // was put with a name: goes with its last name
};
static_assert(sizeof(Entry) == 16);  // a million of them count

struct NameEntry {
  layout::Ref ref;
  uint64_t id = 0;
  uint64_t version = 0;
  std::optional<os::TimePoint> ends;
  uint64_t client = 0;  // lives with it; 0: with none (any more)
};

struct Stream {
  layout::Ref ref;
  layout::StreamState state;
};

inline constexpr uint64_t kDefaultVolume = 1;

/// Extents of all names that keep some, each as often as a name does: 8 MiB of the engine's own memory.
inline constexpr uint64_t kMostKept = uint64_t{1} << 20;

/// Bytes of a name.
inline constexpr size_t kMaxName = 4096;

/// Of a name that nobody gave and nobody is shown: it gives an object without a name its time to live. No
/// other begins like this.
inline constexpr char kHiddenName = '\0';
inline constexpr size_t kHiddenNameLength = 18;  // then the object's id

/// Who asks, and which of its requests this is.
struct Request {
  const ClientState* client = nullptr;  // null: the instance itself
  uint64_t number = 0;
};

/// Memory that its writer has sealed: a blob to be.
struct SealedExtent {
  Extent* extent = nullptr;
  uint64_t size = 0;  // bytes of the blob
};

struct PutArgs {
  std::span<const std::byte> descriptor;  // verified; empty: a blob alone
  std::span<const std::byte> bytes;       // of a small own blob
  Extent* extent = nullptr;  // sealed, or a reservation without chunks: the caller frees that then
  uint64_t own_size = 0;
  std::vector<SealedExtent> also;  // made with an object that has buffers in each; no two the same
  std::string_view name;
  std::optional<uint64_t> if_version;
  /// Of the name; without one, of the object: it goes at this time …
  std::optional<os::TimePoint> name_ends;
  /// … and so long after the end of the client that asks.
  std::optional<std::chrono::nanoseconds> linger;
  ObjectId stream;  // takes it as its next chunk
  ObjectId id;      // chosen by the store
  /// With all that it refers to. REQUIRES: Volume::CheckDurable, and the extents are secured (Store::Secure).
  bool durable = false;
  /// Of the name: see Volume::Naming. kInvalid without one.
  bool keeps = false;
};

/// What the store does for its volumes.
class VolumeHost {
 public:
  virtual ~VolumeHost() = default;
  virtual layout::Ledger ledger() = 0;
  virtual ClientTable& clients() = 0;
  virtual uint64_t NextSequence() = 0;
  /// Nothing refers to the extent any more.
  virtual void FreeExtent(ObjectId blob) = 0;
  /// The name exists now, or points elsewhere.
  virtual void NameChanged(Volume& volume, const std::string& name) = 0;
  /// A durable record has come, gone, or been replaced: the disk is to be told. The volume is in the midst of it.
  virtual void DurableEntryChanged(Volume& volume, ObjectId id, bool is_durable_now) = 0;
  virtual void DurableNameChanged(Volume& volume, std::string_view name) = 0;
  /// By how many names more, or fewer, keep the extent in memory.
  virtual void KeptChanged(ObjectId blob, int by) = 0;
  /// Something came, went or was read; or the stream is gone.
  virtual void StreamChanged(Volume& volume, ObjectId stream) = 0;
};

class Volume {
 public:
  Volume(uint64_t id, std::string name, uint64_t quota, VolumeHost& host, Budget& budget,
         MemoryKeeper& keeper, RunOnPool pool);
  ~Volume();

  /// Before anything else. The volume owns it.
  void SetCatalog(std::unique_ptr<Catalog> catalog) { catalog_ = std::move(catalog); }

  // ---- changes; each takes effect whole, and once for one request

  Result<layout::Answer> Put(const Request& request, const PutArgs& args);
  struct Naming {
    std::optional<uint64_t> if_version;
    bool owns = false;  // from now on the object goes with its last name
    std::optional<os::TimePoint> ends;
    /// It lives with the client that asks, and so much longer.
    std::optional<std::chrono::nanoseconds> linger;
    /// As PutArgs::durable, with the object.
    bool durable = false;
    /// What it points to stays in memory, with its members, for as long as it points there. kLimitExceeded: too much is
    /// kept already. REQUIRES: it is in memory.
    bool keeps = false;
  };
  Result<layout::Answer> PutName(const Request& request, std::string_view name, ObjectId id,
                                 const Naming& naming);
  Result<layout::Answer> DropName(const Request& request, std::string_view name,
                                  std::optional<uint64_t> if_version);
  /// These clients are gone: the names that live with them are next for DropEnded.
  void EndLeases(const std::function<bool(uint64_t client)>& is_gone, os::TimePoint now);
  /// Drops the names whose time is up, some at a time: NextNameEnd is past where there are more.
  void DropEnded(os::TimePoint now);
  [[nodiscard]] std::optional<os::TimePoint> NextNameEnd() const;
  /// kNotFound for the first that is not there.
  [[nodiscard]] Status CheckThere(std::span<const uint64_t> ids) const;
  Result<layout::Answer> Delete(const Request& request, std::span<const uint64_t> ids, bool deep,
                                bool force);
  Result<layout::Answer> SetLabels(const Request& request, ObjectId id,
                                   const std::vector<Label>& labels);

  // ---- what outlives the machine's power (volume_durable.cc); docs/design/021-durability.md

  /// So is what is put here without a word of it.
  [[nodiscard]] bool durable() const { return catalog_->header().durable == 1; }
  /// Whether something could be durable here: kInvalid where it is to live with a client or goes into a stream,
  /// kFailedPrecondition in a volume that has no place to come back to.
  [[nodiscard]] Status CheckDurable(bool lives_with_client, bool to_stream) const;
  /// Of these, and of all that they refer to, what is not durable yet. kNotFound; kLimitExceeded: too many at once.
  [[nodiscard]] Result<std::vector<uint64_t>> NotDurable(std::span<const uint64_t> ids) const;
  /// Answers with how many became so. REQUIRES: as PutArgs::durable.
  Result<layout::Answer> MakeDurable(const Request& request, std::span<const uint64_t> ids);
  [[nodiscard]] bool IsDurable(layout::Ref ref) const {
    return (layout::FieldsOf(arenas_.At(ref)).flags & layout::kFlagDurable) != 0;
  }
  /// Of a commit; see VolumeHost.
  void NoteDurable(const layout::IntentChange& change);
  void NoteChange() { ++changes_; }
  /// Of entries, since the engine began: while it stays, what is stored does, with its names.
  [[nodiscard]] uint64_t changes() const { return changes_; }
  /// Takes over what lay on the disk, before anybody is served. kOutOfMemory.
  Status RestoreRecord(layout::RecordFields fields, std::span<const std::byte> head,
                       std::span<const std::byte> bytes);

  // ---- what names keep in memory (volume_keeping.cc)

  [[nodiscard]] bool Keeps(layout::Ref name) const {
    return (layout::FieldsOf(arenas_.At(name)).flags & layout::kFlagKeeps) != 0;
  }
  /// Pages of extents that are to stay there.
  [[nodiscard]] uint64_t kept_bytes() const { return kept_bytes_; }
  void NoteKept(uint64_t more, uint64_t fewer) { kept_bytes_ = kept_bytes_ + more - fewer; }
  /// After a start, once objects, names and extents are there: has them counted.
  void DeriveKept();
  [[nodiscard]] bool KeepsAny() const { return !keeping_.empty(); }
  /// For tests: see kMostKept.
  void SetMostKept(uint64_t parts) { most_kept_ = parts; }

  // ---- streams (volume_streams.cc). Each belongs to an object, and goes with it.

  Result<layout::Answer> CreateStream(const Request& request, ObjectId id, uint32_t capacity,
                                      uint32_t readers);
  /// Answers with the reader's number and the chunk it begins with. There is one writer at a time.
  Result<layout::Answer> OpenStream(const Request& request, ObjectId id, bool writes);
  /// Answers with the room that is left. kLimitExceeded: there is none.
  /// `owns`: from now on the chunk goes when nothing refers to it any more.
  Result<layout::Answer> PushChunk(const Request& request, ObjectId id, ObjectId chunk, bool owns);
  /// The reader has no more use for chunks before `position`. Repeated, it changes nothing.
  Status AdvanceReader(ObjectId id, uint64_t reader, uint64_t client, uint64_t position);
  struct StreamEnd {
    bool failed = false;
    std::string_view reason;
  };
  /// The writer has put all there is, or can't.
  Result<layout::Answer> EndStream(const Request& request, ObjectId id, const StreamEnd& end);
  /// The reader wants no more.
  Result<layout::Answer> LeaveStream(const Request& request, ObjectId id, uint64_t reader);
  /// Its object stays.
  Result<layout::Answer> DropStream(const Request& request, ObjectId id);
  /// Streams whose writer is gone fail, and places of readers that are gone are free again.
  void ReleaseStreams(const std::function<bool(uint64_t client)>& is_gone);

  // ---- questions

  [[nodiscard]] const Entry* Find(ObjectId id) const;
  [[nodiscard]] const NameEntry* FindName(std::string_view name) const;
  [[nodiscard]] const std::map<uint64_t, Entry>& entries() const { return entries_; }
  [[nodiscard]] const std::map<std::string, NameEntry, std::less<>>& names() const {
    return names_;
  }
  /// Those that somebody gave.
  [[nodiscard]] uint64_t names_given() const { return names_.size() - hidden_names_; }
  /// How long it stays after its client's end. REQUIRES: it lives with one.
  [[nodiscard]] std::chrono::nanoseconds LingerOf(std::string_view name,
                                                  const NameEntry& entry) const;
  /// Names, and objects without one, that live with a client.
  [[nodiscard]] uint64_t leases() const { return leases_.size(); }
  [[nodiscard]] const Stream* FindStream(ObjectId id) const;
  /// The record, as it lies in the arena; valid until the next change.
  [[nodiscard]] const std::byte* Record(const Entry& entry) const { return arenas_.At(entry.ref); }
  /// Extents that the object's buffers (or the blob itself) lie in.
  [[nodiscard]] std::vector<ObjectId> ExtentsOf(const Entry& entry) const;

  /// Of all these, and of their members. kNotFound; kLimitExceeded where there are more than `most` of either.
  [[nodiscard]] Result<std::vector<ObjectId>> ExtentsBelow(std::span<const uint64_t> ids,
                                                           size_t most) const;

  // ---- recovery (see recovery.cc)
  /// Takes over an entry that lies in an adopted arena. REQUIRES: checked.
  bool AdoptEntry(ObjectId id, layout::Ref ref);
  /// The entry of this key is taken over soon.
  void WillAdopt(uint64_t key) const { catalog_->index().Prefetch(key); }
  bool AdoptName(std::string_view name, layout::Ref ref);
  bool AdoptStream(ObjectId id, layout::Ref ref, layout::StreamState state);
  /// After all entries: who refers to whom.
  void DeriveReferences();
  /// For tests: of what goes with a name or a stream, how much one change takes.
  void SetMostRemovedAtOnce(size_t entries) { most_removed_ = entries; }
  /// Moves a few records out of arenas that are to be emptied. False: nothing left to do.
  bool MoveSome(size_t records);

  void NoteUsage(uint64_t taken, uint64_t given) { usage_ = usage_ + taken - given; }
  /// Bytes that somebody waits for, whose quota is granted already.
  void Promise(uint64_t bytes) { promised_ += bytes; }
  void Unpromise(uint64_t bytes) { promised_ -= bytes; }
  /// Bytes the volume may still take.
  [[nodiscard]] uint64_t QuotaLeft() const;
  /// kOutOfMemory where a change by which the volume grows so much does not fit into its quota.
  [[nodiscard]] Status CheckQuota(uint64_t growth) const;

  [[nodiscard]] uint64_t id() const { return id_; }
  [[nodiscard]] Holder holder() const { return Holder{id_}; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] uint64_t quota() const { return quota_; }
  /// Bytes of live objects and reservations.
  [[nodiscard]] uint64_t usage() const { return usage_ + arenas_.bytes_live(); }
  [[nodiscard]] uint64_t objects() const { return objects_; }
  [[nodiscard]] uint64_t blobs() const { return entries_.size() - objects_; }
  [[nodiscard]] ArenaSet& arenas() { return arenas_; }
  [[nodiscard]] const ArenaSet& arenas() const { return arenas_; }
  [[nodiscard]] Catalog& catalog() { return *catalog_; }
  [[nodiscard]] const Catalog& catalog() const { return *catalog_; }
  uint64_t NextSequence() { return host_.NextSequence(); }

 private:
  /// All that goes in one change, read from the records before these are freed.
  struct Removal {
    std::set<uint64_t> ids;
    std::vector<std::pair<uint64_t, uint64_t>> edges;  // child, parent
    std::vector<ObjectId> extents;
    std::vector<ObjectId> streams;
    uint64_t objects = 0;
    /// What is to go too, in changes that follow, and what is not even then.
    std::vector<uint64_t> rest;
    std::set<uint64_t> keep;
  };

  Status CheckDescriptor(const fb::Descriptor& d, const PutArgs& args) const;
  Result<layout::Ref> StageBlob(Transaction& tx, layout::RecordFields fields, ObjectId blob,
                                const Extent* extent, std::span<const std::byte> bytes) const;
  Status CheckName(std::string_view name, std::optional<uint64_t> if_version) const;
  /// What counts the object among its parents; twice, where it is in both.
  struct Children {
    std::set<uint64_t> parts;   // members, and blobs it has buffers in
    std::set<uint64_t> chunks;  // that wait in its stream
  };
  [[nodiscard]] Children ChildrenOf(uint64_t id, const Entry& entry) const;
  struct RemovalOptions {
    bool deep = true;
    bool force = false;
    std::set<uint64_t> keep;  // what the same change refers to anew
    /// A stream, and what it refers to no more.
    uint64_t released_by = 0;
    std::vector<uint64_t> released;
    size_t most = std::numeric_limits<size_t>::max();  // entries; what is above is its rest
  };
  /// What goes when `roots` go.
  Result<Removal> PlanRemoval(std::span<const uint64_t> roots, const RemovalOptions& options) const;
  /// What goes when the name is taken from the object it points to now.
  [[nodiscard]] Removal PlanUnnaming(const NameEntry& name, std::set<uint64_t> keep) const;
  /// `except`: a name that the same change handles itself.
  void StageRemoval(Transaction& tx, const Removal& removal, std::string_view except) const;
  void ForgetRemoved(const Removal& removal);
  /// After the commit: ForgetRemoved, and the rest, if any. An engine that dies half-way leaves parts that
  /// nothing refers to.
  void FinishRemoval(Removal removal);
  void TakeReservation(Extent& extent, uint64_t size);
  Result<layout::Ref> StageName(Transaction& tx, std::string_view name, ObjectId id,
                                const NameEntry* old, const Naming& naming,
                                const Request& request) const;
  using Names = std::map<std::string, NameEntry, std::less<>>;
  void LinkName(std::string_view name, const NameEntry& entry,
                std::chrono::nanoseconds linger = {});
  void UnlinkName(Names::iterator it);
  /// What stands beside the name.
  void ForgetName(const Names::value_type& name);
  /// Has what it keeps counted, if it does. REQUIRES: it is linked.
  void Keep(std::string_view name);
  void LetGo(std::string_view name);
  [[nodiscard]] Status CheckMayKeep() const;
  Result<layout::Answer> DropFound(const Request& request, Names::iterator it);
  void EndLease(std::string_view name, os::TimePoint client_ended);
  Result<layout::Ref> StageStream(Transaction& tx, ObjectId id, layout::Ref old,
                                  const layout::StreamState& state) const;
  [[nodiscard]] Result<const Stream*> NeedStream(ObjectId id) const;
  Status CheckMayPush(const Request& request, ObjectId id) const;
  struct Pushed {
    uint64_t link = 0;       // the chunk, if the stream did not refer to it yet
    Entry* owned = nullptr;  // of the chunk, if it becomes the stream's
  };
  /// One change of a stream: `next` takes the place of its state, and what it let go of goes.
  Result<layout::Answer> ChangeStream(const Request& request, ObjectId id, layout::StreamState next,
                                      const layout::Answer& answer, const Pushed& pushed);
  /// The same record, with more flags.
  Result<layout::Ref> StageFlagged(Transaction& tx, const Entry& entry, uint8_t flags) const;
  using Restaged = std::vector<std::pair<uint64_t, layout::Ref>>;
  /// Of all that is not durable of these and what they refer to; those of `ids` get `flags` besides.
  Result<Restaged> StageDurable(Transaction& tx, std::span<const uint64_t> ids,
                                uint8_t flags = 0) const;
  void TakeRestaged(const Restaged& restaged);
  /// What goes when the stream lets go of these chunks.
  [[nodiscard]] Removal PlanPassing(ObjectId stream, std::vector<uint64_t> passed) const;
  /// Pairs of parents_ or names_of_ that begin with the id.
  template <typename Pairs>
  static auto Of(const Pairs& pairs, uint64_t id) {
    return std::ranges::subrange(pairs.lower_bound({id, {}}), pairs.lower_bound({id + 1, {}}));
  }
  void LinkChunk(ObjectId stream, uint64_t chunk);
  Entry& AddEntry(ObjectId id, layout::Ref ref, bool owned);
  void AddEdges(uint64_t id, const Entry& entry);
  [[nodiscard]] uint64_t NameKeyOf(std::string_view name) const;

  uint64_t id_;
  std::string name_;
  uint64_t quota_;
  VolumeHost& host_;
  uint64_t changes_ = 0;
  uint64_t usage_ = 0;  // extents' pages; records are counted by the arenas
  uint64_t promised_ = 0;
  ArenaSet arenas_;
  std::unique_ptr<Catalog> catalog_;
  std::map<uint64_t, Entry> entries_;  // objects first, then blobs: their top bit is set
  std::map<uint64_t, Entry>::iterator first_blob_ = entries_.end();
  Names names_;
  size_t hidden_names_ = 0;
  std::set<std::pair<os::TimePoint, std::string_view>> name_ends_;  // keys of names_
  // By client and key of names_: how long it stays after the client's end.
  std::map<std::pair<uint64_t, std::string_view>, std::chrono::nanoseconds> leases_;
  std::map<uint64_t, os::TimePoint> ended_clients_;  // that have leases still
  std::map<uint64_t, Stream> streams_;               // by their objects
  // Ordered by both: one of many parents or names of an object is found at once.
  std::multiset<std::pair<uint64_t, uint64_t>> parents_;      // child, parent
  std::set<std::pair<uint64_t, std::string_view>> names_of_;  // id, key of names_
  // Of names that keep something, keys of names_: the extents.
  std::map<std::string_view, std::vector<ObjectId>> keeping_;
  uint64_t kept_parts_ = 0;  // in all of these together
  uint64_t most_kept_ = kMostKept;
  uint64_t kept_bytes_ = 0;
  uint64_t objects_ = 0;
  // Each takes up to two changes of the ledger's; the rest of these is for what the change is about.
  size_t most_removed_ = layout::kMaxChanges / 4;
};

}  // namespace vineyard::store
