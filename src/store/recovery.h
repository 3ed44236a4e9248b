// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Recovery: how a new engine takes over what an older one left with the keeper.
//
// The truth is the newest generation whose ledger says that it served: its catalogs, its ledger, and
// the arenas and chunks these name. An engine that died while taking over has changed nothing of it,
// so its own catalogs and ledger are thrown away. The old memory is only read, and everything read
// from it is checked: what can't be true is set aside and reported, and never a reason to die.
//
// Runs once, on the engine's thread, before anybody is served.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "os/fd.h"
#include "store/memory_keeper.h"
#include "store/store.h"

namespace vineyard::store {

struct HeldMemory {
  HeldItem item;
  os::UniqueFd fd;
};

struct RecoveryReport {
  uint64_t from_generation = 0;  // 0: nothing was there
  uint64_t volumes = 0;
  uint64_t objects = 0;
  uint64_t names = 0;
  uint64_t clients = 0;
  uint64_t reservations = 0;
  uint64_t freed_extents = 0;
  uint64_t spilled = 0;                // extents that are on the disk only
  uint64_t orphaned_files = 0;         // that no record names, and that go
  std::vector<std::string> set_aside;  // damaged records, one line each (at most kMaxReported)
  uint64_t set_aside_count = 0;
};

class Recovery {
 public:
  /// `store` outlives this, and this outlives the call of `done`.
  Recovery(Store& store, std::vector<HeldMemory> held) : store_(store), held_(std::move(held)) {}

  /// Takes everything over. `done` is called when every volume is open.
  Status Run(std::function<void()> done);
  [[nodiscard]] const RecoveryReport& report() const { return report_; }

 private:
  struct OldVolume;

  void FindGeneration();
  void AdoptClients();
  void AdoptFaults(const ClientState& client, const layout::ClientRow& row);
  Status AdoptVolume(uint64_t id);
  void AdoptStream(Volume& volume, ObjectId id, layout::Ref place);
  void CollectEntries(OldVolume& old);
  static void SortEntries(OldVolume& old);
  [[nodiscard]] bool EndsByIntent(uint64_t volume) const;
  void FinishIntent(OldVolume& old);
  bool CheckRecord(OldVolume& old, uint64_t key, layout::Ref ref);
  bool CheckExtent(uint64_t volume, const layout::RecordFields& fields,
                   std::span<const std::byte> head);
  bool CheckInMemory(uint64_t volume, const layout::RecordFields& fields,
                     std::span<const layout::ChunkEntry> chunks);
  bool CheckSpilled(uint64_t volume, const layout::RecordFields& fields,
                    std::span<const layout::ChunkEntry> chunks);
  void AdoptExtents();
  void AdoptExtent(uint64_t blob, std::vector<HeldMemory*> chunks);
  void AdoptSpilled();
  void DropChunks(uint64_t blob, const std::vector<HeldMemory*>& chunks);
  void DropOld();
  void VolumeOpened();
  void SetAside(std::string why);
  [[nodiscard]] const std::vector<HeldMemory*>& Items(HeldKind kind, uint64_t a) const;

  Store& store_;
  std::vector<HeldMemory> held_;
  std::map<std::pair<HeldKind, uint64_t>, std::vector<HeldMemory*>> items_;
  RecoveryReport report_;
  os::Mapping old_ledger_mapping_;
  layout::Ledger old_ledger_;
  std::optional<layout::Ledger::Intent> intent_;
  std::unordered_set<uint64_t> published_extents_;       // blobs that a record names
  std::map<uint64_t, std::unique_ptr<Extent>> spilled_;  // likewise, on the disk only
  size_t opening_ = 0;
  std::function<void()> done_;
};

}  // namespace vineyard::store
