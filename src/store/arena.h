// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// ArenaSet: the arenas of one volume, and which slots of them are free.
//
// An arena is one memory file that only this engine's mapping can write; clients map it read-only. Its
// allocator's state lives in this heap and dies with the engine: of an older generation's arenas the
// next engine only counts what still lives in them. Owned by the engine's thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "layout/index.h"
#include "os/fd.h"
#include "os/mapping.h"
#include "store/budget.h"
#include "store/memory_keeper.h"
#include "vineyard/status.h"

namespace vineyard::store {

class ArenaSet {
 public:
  /// `budget` and `keeper` outlive this. `closed` is called when readers should forget an arena.
  ArenaSet(uint64_t volume, Budget& budget, MemoryKeeper& keeper, RunOnPool pool,
           std::function<void()> closed);
  ~ArenaSet();
  ArenaSet(const ArenaSet&) = delete;
  ArenaSet& operator=(const ArenaSet&) = delete;

  /// A slot of at least `bytes`. kOutOfMemory when a new arena would be needed and does not fit.
  Result<layout::Ref> Allocate(layout::RecordKind kind, uint64_t bytes);
  /// What Allocate would take from the budget for a record of that size, at most.
  static uint64_t ArenaSizeFor(uint64_t bytes, size_t arenas);
  /// Gives a slot back; readers that are in it give up. The arena is closed when it was the last.
  void Free(layout::Ref ref);

  /// While this lives, Allocate takes what it needs without regard to the limit. For moving records
  /// out of arenas that then go: without it, a full instance could never empty them.
  class Overdraft {
   public:
    explicit Overdraft(ArenaSet& set) : set_(set) { set_.overdraft_ = true; }
    Overdraft(const Overdraft&) = delete;
    Overdraft& operator=(const Overdraft&) = delete;
    ~Overdraft() { set_.overdraft_ = false; }

   private:
    ArenaSet& set_;
  };

  /// REQUIRES: a ref of this set. Writable only in arenas of this generation.
  [[nodiscard]] std::byte* At(layout::Ref ref) const;
  /// Bytes of the slot.
  [[nodiscard]] uint64_t SlotSize(layout::Ref ref) const;

  // ---- of an older generation
  Status Adopt(uint32_t number, os::UniqueFd fd, uint64_t size);
  /// The mapped bytes from the ref on; empty when the ref lies in no arena of this set.
  [[nodiscard]] std::span<const std::byte> Peek(layout::Ref ref) const;
  /// Counts a record found in an adopted arena as living.
  void CountLive(layout::Ref ref, uint64_t size);
  /// Closes adopted arenas in which nothing lives.
  void CloseEmptyAdopted();
  /// Refs of records in the arena that should be emptied next (at most `most`): an adopted one, or one
  /// of this generation that is nearly empty.
  [[nodiscard]] std::vector<layout::Ref> NextToMove(size_t most);

  struct ForReader {
    const os::UniqueFd* fd;
    uint64_t size;
  };
  [[nodiscard]] std::optional<ForReader> Find(uint32_t number) const;

  [[nodiscard]] uint64_t bytes_held() const { return held_; }
  [[nodiscard]] uint64_t bytes_live() const { return live_; }
  [[nodiscard]] size_t count() const { return arenas_.size(); }
  /// Closes everything and gives the memory back.
  void Clear();

  /// Slots come in classes: the smallest that holds `bytes`, and its size.
  static size_t ClassOf(uint64_t bytes);
  static uint64_t ClassSize(size_t size_class);

 private:
  struct Arena {
    os::UniqueFd fd;
    os::Mapping mapping;
    uint64_t size = 0;
    uint64_t filled = 0;                         // where slots never used begin
    uint64_t live_bytes = 0;                     // of slots in use
    bool adopted = false;                        // of an older generation: never written
    bool draining = false;                       // being emptied: takes nothing new
    std::map<uint64_t, uint64_t> adopted_slots;  // offset → size; only of adopted ones
  };
  static constexpr size_t kClasses = 64 + 8 * 20;

  [[nodiscard]] bool IsSparse(uint32_t number, const Arena& arena) const;
  Status Open(uint64_t size);
  void Close(uint32_t number);

  uint64_t volume_;
  Budget& budget_;
  MemoryKeeper& keeper_;
  RunOnPool pool_;
  std::function<void()> closed_;
  std::map<uint32_t, Arena> arenas_;
  size_t own_ = 0;  // how many of them are of this generation
  bool overdraft_ = false;
  uint32_t next_number_ = 1;
  uint32_t current_ = 0;                        // takes new slots; 0: none
  std::vector<std::vector<layout::Ref>> free_;  // by class; refs of closed arenas are skipped
  uint64_t held_ = 0;
  uint64_t live_ = 0;
  size_t to_empty_ = 0;            // arenas adopted or draining
  uint64_t freed_since_look_ = 0;  // bytes: only what is freed makes arenas sparse
};

}  // namespace vineyard::store
