// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Volume: one isolated space of objects and names: its catalog, arenas, and the tables that are
// derived from them and live in this heap (who refers to whom, names in order, ids in order).
//
// What a request means is here; who may make it, and how it waits, is the daemon's. Every changing
// operation is one Transaction. Owned by the engine's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

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
  uint32_t names = 0;
  bool owned = false;  // was put with a name: goes with its last name
};

struct NameEntry {
  layout::Ref ref;
  uint64_t id = 0;
  uint64_t version = 0;
};

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
  ObjectId id;  // chosen by the store
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
  };
  Result<layout::Answer> PutName(const Request& request, std::string_view name, ObjectId id,
                                 const Naming& naming);
  Result<layout::Answer> DropName(const Request& request, std::string_view name,
                                  std::optional<uint64_t> if_version);
  Result<layout::Answer> Delete(const Request& request, std::span<const uint64_t> ids, bool deep,
                                bool force);
  Result<layout::Answer> SetLabels(const Request& request, ObjectId id,
                                   const std::vector<Label>& labels);

  // ---- questions

  [[nodiscard]] const Entry* Find(ObjectId id) const;
  [[nodiscard]] const NameEntry* FindName(std::string_view name) const;
  [[nodiscard]] const std::map<uint64_t, Entry>& entries() const { return entries_; }
  [[nodiscard]] const std::map<std::string, NameEntry, std::less<>>& names() const {
    return names_;
  }
  /// The record, as it lies in the arena; valid until the next change.
  [[nodiscard]] const std::byte* Record(const Entry& entry) const { return arenas_.At(entry.ref); }
  /// Extents that the object's buffers (or the blob itself) lie in.
  [[nodiscard]] std::vector<ObjectId> ExtentsOf(const Entry& entry) const;

  // ---- recovery (see recovery.cc)
  /// Takes over an entry that lies in an adopted arena. REQUIRES: checked.
  bool AdoptEntry(ObjectId id, layout::Ref ref);
  bool AdoptName(std::string_view name, layout::Ref ref);
  /// After all entries: who refers to whom.
  void DeriveReferences();
  /// Moves a few records out of arenas that are to be emptied. False: nothing left to do.
  bool MoveSome(size_t records);

  void NoteUsage(uint64_t taken, uint64_t given) { usage_ = usage_ + taken - given; }
  /// Bytes the volume may still take.
  [[nodiscard]] uint64_t QuotaLeft() const;

  [[nodiscard]] uint64_t id() const { return id_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] uint64_t quota() const { return quota_; }
  /// Bytes of live objects and reservations.
  [[nodiscard]] uint64_t usage() const { return usage_ + arenas_.bytes_live(); }
  [[nodiscard]] uint64_t objects() const { return objects_; }
  [[nodiscard]] uint64_t blobs() const { return entries_.size() - objects_; }
  [[nodiscard]] ArenaSet& arenas() { return arenas_; }
  [[nodiscard]] const ArenaSet& arenas() const { return arenas_; }
  [[nodiscard]] Catalog& catalog() { return *catalog_; }
  uint64_t NextSequence() { return host_.NextSequence(); }

 private:
  /// All that goes in one change, read from the records before these are freed.
  struct Removal {
    std::set<uint64_t> ids;
    std::vector<std::pair<uint64_t, uint64_t>> edges;  // child, parent
    std::vector<ObjectId> extents;
    uint64_t objects = 0;
  };

  Status CheckDescriptor(const fb::Descriptor& d, const PutArgs& args) const;
  Result<layout::Ref> StageBlob(Transaction& tx, layout::RecordFields fields, ObjectId blob,
                                const Extent* extent, std::span<const std::byte> bytes) const;
  Status CheckName(std::string_view name, std::optional<uint64_t> if_version) const;
  [[nodiscard]] std::set<uint64_t> Children(uint64_t id, const Entry& entry) const;
  struct RemovalOptions {
    bool deep = true;
    bool force = false;
    std::set<uint64_t> keep;  // what the same change refers to anew
  };
  /// What goes when `roots` go.
  Result<Removal> PlanRemoval(std::span<const uint64_t> roots, const RemovalOptions& options) const;
  /// What goes when the name is taken from the object it points to now.
  [[nodiscard]] Removal PlanUnnaming(const NameEntry& name, std::set<uint64_t> keep) const;
  /// `except`: a name that the same change handles itself.
  void StageRemoval(Transaction& tx, const Removal& removal, std::string_view except) const;
  void ForgetRemoved(const Removal& removal);
  void TakeReservation(Extent& extent, uint64_t size);
  Result<layout::Ref> StageName(Transaction& tx, std::string_view name, ObjectId id,
                                const NameEntry* old, bool owns, const Request& request) const;
  void LinkName(std::string_view name, ObjectId id, layout::Ref ref, uint64_t version);
  void UnlinkName(std::map<std::string, NameEntry, std::less<>>::iterator it);
  void AddEntry(ObjectId id, layout::Ref ref, bool owned);
  void AddEdges(uint64_t id, const Entry& entry);
  [[nodiscard]] uint64_t NameKeyOf(std::string_view name) const;

  uint64_t id_;
  std::string name_;
  uint64_t quota_;
  VolumeHost& host_;
  uint64_t usage_ = 0;  // extents' pages; records are counted by the arenas
  ArenaSet arenas_;
  std::unique_ptr<Catalog> catalog_;
  std::map<uint64_t, Entry> entries_;  // objects first, then blobs: their top bit is set
  std::map<std::string, NameEntry, std::less<>> names_;
  std::unordered_multimap<uint64_t, uint64_t> parents_;           // child → parent
  std::unordered_multimap<uint64_t, std::string_view> names_of_;  // id → key of names_
  uint64_t objects_ = 0;
};

}  // namespace vineyard::store
