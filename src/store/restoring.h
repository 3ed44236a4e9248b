// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Restoring: what a new engine does with the files of durable records.
//
// After everything has died they are all there is: volumes, blobs, objects and names are made from them, and
// extents stay on the disk as if they had been evicted. Where a keeper has lived on, its memory is the truth:
// files that say something else are marked for the mirror, to be written or removed; what was damaged in memory is
// taken from its file.
//
// What is read is looked at first. What can't be whole is set aside, one line each; what this program does not
// understand, and what there is no memory for, is left where it is.
//
// Runs once, within Recovery, before anybody is served: it may wait for the disk.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/durable_format.h"
#include "store/store.h"

namespace vineyard::store {

struct RestoreReport {
  uint64_t volumes = 0;
  uint64_t objects = 0;
  uint64_t names = 0;
  uint64_t outdated = 0;  // files that are written again, or removed
  uint64_t left =
      0;  // files that stay, and are not served: of another format, or there is no memory
  uint64_t set_aside = 0;
  std::vector<std::string> lines;  // of what was set aside or left, the first of them
};

class Restoring {
 public:
  /// `opened` is called for each volume that comes back, when it is open; see Recovery.
  Restoring(Store& store, std::function<void()> opened)
      : store_(store), opened_(std::move(opened)) {}

  /// Reads the files. To be called first.
  Status Read();
  /// Whose id the file of a durable blob has; 0: it has none, or this instance's.
  [[nodiscard]] uint64_t InstanceOf(uint64_t volume, uint64_t blob) const;

  using Keys = std::set<std::pair<uint64_t, uint64_t>>;  // volume, key
  struct Taken {
    bool cold = false;                // there was nothing to take over
    std::set<uint64_t> lost_volumes;  // of what was, that can't be read
    Keys damaged;                     // of records
  };
  /// After what was in memory has been taken over. How many volumes are being opened: `opened` is called
  /// for each.
  size_t Run(const Taken& taken);
  /// After the extents have been taken over.
  void Finish();
  /// Files that no extent has may be of what is left where it is.
  [[nodiscard]] bool leaves_files() const { return leaves_files_; }
  [[nodiscard]] const RestoreReport& report() const { return report_; }

 private:
  struct File {
    spill::Key key;
    int64_t written_ns = 0;
    std::vector<std::byte> bytes;
    DurableRecord record;  // its spans lie in `bytes`
  };
  using Files = std::map<uint64_t, std::vector<File>>;  // by volume

  void Understand(spill::Found& found);
  void NoteNextId(const spill::Key& key);
  void SetAside(const spill::Key& key, const std::string& why);
  void Leave(const spill::Key& key, const std::string& why);
  bool MakeVolume(uint64_t id);
  void LoseVolume(uint64_t id);
  void KeepOrphans();
  /// `only`: these. Null: all.
  void RestoreRecords(Volume& volume, const Keys* only);
  [[nodiscard]] Status RestoreBlob(Volume& volume, const File& file);
  void RestoreEntry(Volume& volume, const File& file, const Status& restored);
  void RestoreName(Volume& volume, const File& file);
  void DropNameless(Volume& volume);
  void CompareEntries(Volume& volume);
  void CompareNames(Volume& volume);
  [[nodiscard]] std::vector<File>& Of(Files& files, uint64_t volume) { return files[volume]; }

  Store& store_;
  std::function<void()> opened_;
  RestoreReport report_;
  std::map<uint64_t, DurableVolume> volumes_;
  Files entries_;
  Files names_;
  std::map<std::pair<uint64_t, uint64_t>, uint64_t> instances_;  // of files of blobs, by volume
  std::set<uint64_t> damaged_volumes_;
  std::set<uint64_t> left_volumes_;
  Keys left_;                       // of objects and blobs
  Keys gone_;                       // likewise, that were set aside
  std::set<spill::Key> untouched_;  // files that were left or set aside
  bool leaves_files_ = false;
  bool cold_ = false;
};

}  // namespace vineyard::store
