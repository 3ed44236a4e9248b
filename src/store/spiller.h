// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Spiller: moves extents that nobody maps to the disk when memory is short, and back when they are wanted.
//
// The extents are the store's; here are their states between kSealed and kSpilled, and who waits for that.
// At every instant at least one whole copy of an extent exists:
//
//   evicting  write the file, which counts once it is whole -> ask the kernel again whether anybody has
//             the memory -> have the keeper close it -> close it
//   loading   take the memory from the budget -> make files -> make pages and fill them, block by block ->
//             seal it for good -> give it to the keeper -> serve. The file stays: evicting again is free.
//
// It promises no byte of memory: who wants some waits in the budget (store/budget.h), loads among them. It looks
// how much those who wait are short of, counts what is on its way to be free, and evicts the difference;
// and, above the upper mark, down to the lower one. Evicting takes no memory of its own.
//
// Note [One place in the line]
//
// A load wants several extents together. If it kept those that are in memory while it waits for the others, two
// loads could wait for one another, and one for a put that wants all the memory, until their deadlines. So a
// load asks for all that it lacks at once, in one place of the line for memory, and holds nothing before it
// has that; what is evicted of it meanwhile is added to what it asks for, in the same place. From then on
// it waits for the disk only, which waits for nobody: it holds its extents until it is answered. Besides, what
// the first in the line wants is not evicted, since it would ask for it again. What several loads want, the
// oldest of them asks for; where that gives up, the next one does.
//
// It does a part of its work in a turn of the engine's loop, and the rest in later ones: however many extents
// a request names, others are heard in between.
//
// Owned by the store, on the engine's thread. Callbacks of disk, keeper and pool find extents by their blob:
// these may be gone by then.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "os/socket.h"
#include "store/budget.h"
#include "store/clients.h"
#include "store/disk.h"
#include "store/extent.h"
#include "store/figures.h"
#include "store/memory_keeper.h"
#include "store/spill_requests.h"
#include "store/victims.h"

namespace vineyard::store {

struct SpillMarks {
  double lower = 0.3;
  double upper = 0.8;
};

class Spiller {
 public:
  using Extents = std::unordered_map<uint64_t, std::unique_ptr<Extent>>;
  /// What it shares with its store.
  struct Surroundings {
    Extents& extents;
    Budget& budget;
    ClientTable& clients;
    MemoryKeeper& keeper;
    RunOnPool pool;
    Disk& disk;
    uint64_t instance = 0;              // of spill::Key: ids are this instance's
    std::function<uint64_t()> freeing;  // bytes that are free soon, whatever happens here
    std::function<void(std::unique_ptr<Extent>)> give_back;            // memory of a deleted extent
    std::function<void(bool)> announce;                                // whether memory is short
    std::function<Status(Holder who, uint64_t files)> may_make_files;  // see Store
    std::function<std::string(uint64_t asked)> explain;
    std::function<void()> rearm;  // NextLook may be sooner than it was
  };
  Spiller(Surroundings around, SpillMarks marks) : around_(std::move(around)), marks_(marks) {}
  ~Spiller();
  Spiller(const Spiller&) = delete;
  Spiller& operator=(const Spiller&) = delete;

  // ---- use

  enum class Use : uint8_t { kOpened, kCameIntoMemory };
  void NoteUse(Extent& extent, Use use);
  /// What of these is not in memory.
  std::vector<ObjectId> NotInMemory(std::span<const ObjectId> blobs) const;
  /// Brings them all into memory. `done` is called with OK when they are, and before anything can evict
  /// them again; with kOutOfMemory at once where they can never be in memory together; with that or
  /// kDeadlineExceeded at the deadline, kNotFound when one was deleted, kCorrupted or kIOError when its
  /// file can't be read. Possibly from within. Returns a ticket.
  uint64_t Load(std::span<const ObjectId> blobs, os::TimePoint deadline,
                std::function<void(Status)> done);
  /// Whatever memory there is. `done`: kFailedPrecondition where one is mapped, pinned or kept, or was opened
  /// meanwhile; kOutOfMemory: the disk is full. The others have gone all the same.
  uint64_t Evict(std::span<const ObjectId> blobs, os::TimePoint deadline,
                 std::function<void(Status)> done);
  /// The callback is not called.
  void Cancel(uint64_t ticket);
  [[nodiscard]] bool IsWaiting(uint64_t ticket) const { return requests_.Contains(ticket); }
  /// Who waits for the disk, or for memory for what lies there.
  [[nodiscard]] MemoryWaits Waits() const;

  /// It stays in memory for as long as the client lives, or until Unpin.
  void Pin(ClientState& client, Extent& extent);
  /// False: it was not pinned by that client.
  bool Unpin(ClientState& client, ObjectId blob);
  void UnpinAll(ClientState& client);

  // ---- what the store tells

  /// The extent is deleted, and out of the table. True: it has been taken over.
  bool TakeDeleted(std::unique_ptr<Extent>& extent);
  /// Evicts what is missing to those who wait. To be called when somebody begins to wait, or something
  /// may have become evictable.
  void Balance(os::TimePoint now = os::Clock::now());
  /// Evicts so many bytes, if there are as many, of what needs no writing. Returns what is free soon of it.
  uint64_t EvictClean(uint64_t bytes);
  [[nodiscard]] std::optional<os::TimePoint> NextLook() const;
  void Tick(os::TimePoint now);

  // ---- what is to stay on the disk (extent_securing.h)
  [[nodiscard]] spill::Key KeyOf(const Extent& extent) const {
    return {.volume = extent.volume,
            .id = extent.blob.value(),
            .kind = kExtentFile,
            .instance = extent.file_instance != 0 ? extent.file_instance : around_.instance};
  }
  /// Files are being removed: nothing is written before `then`.
  [[nodiscard]] bool IsMakingRoom() const { return removing_ > 0; }
  void WhenRoomWasMade(std::function<void()> then) { when_room_.push_back(std::move(then)); }
  /// Has copies of what is in memory go. False: there are none that may.
  bool MakeRoomOnDisk(uint64_t bytes);
  /// Of an extent that was being written; it is told once.
  void WhenWritten(uint64_t blob, std::function<void()> then) {
    when_written_[blob].push_back(std::move(then));
  }
  void RemoveFile(const spill::Key& key);
  /// Its file can't be read, now or later. REQUIRES: it is not in memory.
  void NoteDamage(Extent& extent, const Status& status);

  // ---- recovery
  /// A whole copy of it lies on the disk: this instance has written a file of that length for it.
  [[nodiscard]] bool HasFile(const Extent& extent) const;
  /// Files that no extent of the table has are removed, those of other instances among them unless they are to be
  /// left. Returns how many.
  enum class Others : uint8_t { kRemove, kLeave };
  uint64_t RemoveOrphans(Others others);

  // ---- figures
  struct Counts {
    uint64_t loads = 0;
    uint64_t evictions = 0;  // clean ones among them
    uint64_t failed_writes = 0;
    uint64_t damaged = 0;  // extents whose file could not be read
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }
  struct Spilled {
    uint64_t bytes = 0;
    uint64_t extents = 0;
  };
  /// Of one volume.
  [[nodiscard]] Spilled SpilledOf(uint64_t volume) const;
  void CountSpilled(const Extent& extent, int by);
  /// Free soon, and promised to nobody by it.
  [[nodiscard]] uint64_t closing_bytes() const { return closing_bytes_; }
  [[nodiscard]] const Disk& disk() const { return around_.disk; }
  /// What `announce` was told last: new volumes are to be told too.
  [[nodiscard]] bool memory_is_short() const { return short_; }
  /// "; 3 GiB on disk, 1 GiB mapped, …"
  [[nodiscard]] std::string Explain() const;

 private:
  using Kind = SpillRequest::Kind;
  struct LoadJob {
    uint64_t blob = 0;
    spill::Key key;
    uint64_t size = 0;
    uint64_t pages = 0;
    bool deleted = false;
    std::vector<Chunk> chunks;
    spill::Destination destination;
    Status status;
  };
  /// Whether it comes in a later turn of the loop already.
  struct Coming {
    bool balance = false;
    bool asked = false;
    bool tell = false;
    bool pump = false;
  };

  [[nodiscard]] Extent* Find(uint64_t blob) const;
  /// Has `work` done in a turn of its own.
  void Later(bool Coming::* coming, void (Spiller::*work)());
  void PumpBudget() { around_.budget.Pump(); }

  // who waits
  /// What they wait for has happened to that extent, or can't happen. Tell calls their callbacks.
  void Settle(uint64_t blob, Kind kind, const Status& status);
  void Finish(uint64_t ticket, Status status);
  void Tell();
  void Hold(SpillRequest& request);
  void LetGo(SpillRequest& request);
  [[nodiscard]] Status WhyLate(const SpillRequest& request) const;

  // files
  void RemoveLater(const spill::Key& key, const Status& why);
  void RemoveAgain(os::TimePoint now);

  // spiller_evict.cc
  [[nodiscard]] bool MayGo(const Extent& extent) const;
  /// Its memory would be somebody's who waits, and not kept free for its own volume.
  [[nodiscard]] bool Helps(const Extent& extent) const {
    return draining_ || around_.budget.HelpsToEvict(HolderOf(extent));
  }
  [[nodiscard]] std::optional<os::TimePoint> look_again() const;
  [[nodiscard]] uint64_t Missing();
  void BalanceMore() { Balance(); }
  [[nodiscard]] VictimClock Clock() const;
  [[nodiscard]] bool MayWrite() const;
  Extent* NextVictim(uint64_t bytes, int& looks);
  void ChooseMore(uint64_t bytes);
  void Begin(Extent& extent);
  void Written(uint64_t blob, const Status& status);
  void TellWritten(uint64_t blob);
  void Drop(Extent& extent);
  void Close(Holder who, std::shared_ptr<std::vector<Chunk>> chunks, uint64_t pages);
  void WriteFailed(Extent& extent, const Status& status);
  void NoteTrouble(const Status& status);
  void RoomWasMade();

  // spiller_asked.cc
  [[nodiscard]] Status MayEvict(uint64_t blob) const;
  void EvictAsked();
  void EvictOne(uint64_t ticket, SpillRequest& request);

  // spiller_load.cc
  [[nodiscard]] Status CanLoad(std::span<const uint64_t> blobs) const;
  void Ask(uint64_t ticket, Extent& extent);
  void StandInLine(uint64_t ticket);
  void Granted(uint64_t ticket);
  void StopAsking(uint64_t ticket, SpillRequest& request);
  void WentAway(Extent& extent);
  [[nodiscard]] bool IsOfFirst(uint64_t blob) const;
  void BeginLoad(Extent& extent);
  void MakeMemory(const std::shared_ptr<LoadJob>& job);
  void Fill(const std::shared_ptr<LoadJob>& job);
  void Filled(const std::shared_ptr<LoadJob>& job, Status status);
  void Serve(const std::shared_ptr<LoadJob>& job);
  void LoadFailed(const std::shared_ptr<LoadJob>& job, Status status);

  Surroundings around_;
  const SpillMarks marks_;
  Counts counts_;
  std::unordered_map<uint64_t, Spilled> spilled_;                  // by volume
  std::unordered_map<uint64_t, std::unique_ptr<Extent>> deleted_;  // while they are being written
  std::unordered_map<uint64_t, std::shared_ptr<LoadJob>> loads_;   // by blob; shared with the pool
  SpillRequests requests_;
  std::unordered_map<Budget::Id, uint64_t> in_line_;  // tickets, by their place
  std::deque<uint64_t> asked_;  // tickets of evictions that have blobs left to look at
  std::unordered_set<uint64_t> asked_writes_;  // blobs that are being written for them
  uint64_t clock_ = 0;                         // see VictimClock
  std::deque<uint64_t> victims_;               // chosen, and looked at again when their turn comes
  uint64_t chosen_at_ = 0;                     // on the clock
  size_t writing_ = 0;
  uint64_t writing_bytes_ = 0;
  uint64_t closing_bytes_ = 0;
  size_t removing_ = 0;  // files in whose place nothing is to be written before they are gone
  std::vector<std::function<void()>> when_room_;
  std::unordered_map<uint64_t, std::vector<std::function<void()>>> when_written_;  // by blob
  std::deque<spill::Key> unremoved_;  // files that could not be removed, and are to be
  std::optional<os::TimePoint> remove_again_;
  std::optional<os::TimePoint> remove_complained_;
  Coming coming_;
  bool draining_ = false;
  bool balancing_ = false;
  bool telling_ = false;
  bool short_ = false;
  std::optional<os::TimePoint> stuck_since_;       // nothing could go, though something is missing
  std::optional<os::TimePoint> no_writes_before_;  // the disk has refused
  std::optional<os::TimePoint> complained_;
  Status disk_trouble_;
};

}  // namespace vineyard::store
