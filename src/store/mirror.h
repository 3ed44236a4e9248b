// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Mirror: brings the files of durable records to what the records say.
//
// Changes mark what they touch, in the midst of a commit; nothing is read then. What is marked is looked at together, in
// a batch, and only one batch is under way: so requests share it, and what is acknowledged later was never
// written earlier. In a batch
//
//   removed volumes say so -> blobs and objects, parts before wholes -> names -> what is gone: objects, names,
//   extents' bytes, volumes
//
// each step when the one before is on the disk. So whenever power is cut, each name there points to an object that is
// whole there, or to one that is being deleted.
//
// A disk that fails is tried again every second. What is marked by then stays marked.
//
// Owned by the store, on the engine's thread; docs/design/021-durability.md.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "os/socket.h"
#include "store/disk.h"
#include "store/extent.h"
#include "store/memory_keeper.h"
#include "store/volume.h"

namespace vineyard::store {

class Mirror {
 public:
  /// What it shares with its store.
  struct Surroundings {
    Disk& disk;
    RunOnPool pool;
    std::function<Volume*(uint64_t)> find_volume;
    std::function<Extent*(ObjectId)> find_extent;
    std::function<spill::Key(const Extent&)> file_of;
    std::function<void()> rearm;  // NextTry may be sooner than it was
  };
  explicit Mirror(Surroundings around) : around_(std::move(around)) {}
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  // ---- marks: what is there is written, what is not is removed

  /// `extent`: the file of its bytes, which goes with it.
  void MarkEntry(uint64_t volume, uint64_t id, std::optional<spill::Key> extent);
  void MarkName(uint64_t volume, std::string_view name);
  /// It is gone, with all that was in it.
  void MarkRemovedVolume(uint64_t volume);
  /// Grows with each of them.
  [[nodiscard]] uint64_t marks() const { return marks_; }

  /// `done` with OK when the disk says what the records said when this was called; with kIOError or kOutOfMemory when that
  /// was tried and failed: the change stays, and is tried again. Possibly from within.
  void WhenDone(std::function<void(Status)> done);

  [[nodiscard]] std::optional<os::TimePoint> NextTry() const { return next_try_; }
  void Tick(os::TimePoint now);
  /// Records whose files are not yet what they should be.
  [[nodiscard]] uint64_t not_on_disk() const {
    return entries_.size() + names_.size() + volumes_.size();
  }

  // ---- before anybody is served: what was found there
  void NoteNameFile(uint64_t volume, std::string_view name, uint64_t file);
  void NoteUsedNumber(uint64_t file) { next_name_file_ = std::max(next_name_file_, file + 1); }
  /// The description of the record's file.
  [[nodiscard]] std::vector<std::byte> DescribeEntry(const Volume& volume, const Entry& entry,
                                                     bool needs_referrer) const;
  [[nodiscard]] static std::vector<std::byte> DescribeName(const Volume& volume,
                                                           const NameEntry& name);
  /// How large a record's file becomes.
  static uint64_t FileLengthOf(uint64_t head, uint64_t bytes);

 private:
  using Id = std::pair<uint64_t, uint64_t>;       // of a volume, and in it
  using Name = std::pair<uint64_t, std::string>;  // of a volume
  struct Write {
    Id id;
    std::vector<Id> parts;  // that this batch writes too
  };
  struct Batch {
    uint64_t marks = 0;  // all up to this one are in it
    std::map<Id, std::optional<spill::Key>> entries;
    std::set<Name> names;
    std::set<uint64_t> volumes;
    std::vector<Write> writes;  // parts first
    size_t begun = 0;
    std::set<Id> unfinished;
    std::set<Id> parts;  // of what is written after them
    std::set<Id> named;  // names that point to these are written next
    std::vector<std::pair<spill::Key, std::vector<std::byte>>> name_writes;
    std::vector<spill::Key> gone;
    std::vector<Name> gone_names;
    size_t under_way = 0;
    Status status;
  };

  void Mark();
  void Later();
  void Begin();
  void SortOut();
  void AddInOrder(const Id& id, const std::map<Id, std::vector<Id>>& parts, std::set<Id>& added);
  void WriteVolumes();
  void WriteEntries();
  bool WriteEntry(const Write& write);
  void WriteNames();
  void RemoveGone();
  void End();
  [[nodiscard]] const Entry* FindDurable(const Id& id) const;
  [[nodiscard]] std::vector<Id> PartsOf(const Id& id) const;
  [[nodiscard]] static spill::Key FileOf(const Id& id) {
    return {.volume = id.first, .id = id.second, .kind = kEntryFile};
  }

  const Surroundings around_;
  std::map<Id, std::optional<spill::Key>> entries_;
  std::set<Name> names_;
  std::set<uint64_t> volumes_;
  std::map<Name, uint64_t> name_files_;
  uint64_t next_name_file_ = 1;
  uint64_t marks_ = 0;
  bool coming_ = false;   // Begin, in a turn of its own
  bool running_ = false;  // a batch
  Batch batch_;
  struct Waiter {
    uint64_t marks;
    std::function<void(Status)> done;
  };
  std::vector<Waiter> waiters_;  // in the order of their marks
  std::optional<os::TimePoint> next_try_;
  std::optional<os::TimePoint> complained_;
};

}  // namespace vineyard::store
