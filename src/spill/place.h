// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Place: the folder on a local disk in which one instance keeps what it spills.
//
// Held by one process at a time (a lock on a file in it), open to its owner only, and known by a file
// with a uuid that every file in it repeats. What in it is not ours (another name, another owner, a link,
// a file with another uuid) is reported, and neither read, moved nor removed. A damaged file of ours is
// moved to `damaged/` in the folder and never served.
//
// Any thread may call any function. Those that return a Status or a Result, and SetAside, wait for the disk:
// they are not for the thread that serves requests. Shared: jobs and files that are being read outlive whoever asked for them.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "os/directory.h"
#include "os/disk_file.h"
#include "os/fd.h"
#include "spill/format.h"
#include "vineyard/status.h"

namespace vineyard::spill {

struct Limits {
  uint64_t most = std::numeric_limits<uint64_t>::max();  // bytes of files, damaged ones included
  uint64_t leave_free = 0;  // bytes of the file system not to be touched
};

struct PlaceOptions {
  std::string path;      // made if it is not there
  std::string instance;  // the folder in it: one component
  Limits limits;
};

/// How much must be lost for a file to be lost.
enum class Durability : uint8_t {
  kInstance,  // survives this process and the keeper; a power cut may take the latest files
  kDisk,      // survives a power cut once it has been acknowledged
};

enum class IfThere : uint8_t { kRefuse, kReplace };

/// Whether the limits are looked at when a file is made, or were when its room was promised.
enum class Room : uint8_t { kAskedFor, kPromised };

/// What was in the folder when it was taken.
struct Survey {
  std::vector<Key> files;            // by name and owner ours; their heads are not read yet
  std::vector<std::string> foreign;  // names of the first hundred that are not
  uint64_t foreign_count = 0;
  uint64_t parts_removed = 0;  // files that a process was writing when it ended
};

struct Figures {
  uint64_t files = 0;
  uint64_t bytes = 0;           // of these
  uint64_t making_bytes = 0;    // of files that are being written
  uint64_t promised_bytes = 0;  // of these, what the disk has not reserved yet
  uint64_t room_bytes = 0;      // of files that are still to be made: Place::Promise
  uint64_t damaged_files = 0;   // set aside
  uint64_t damaged_bytes = 0;
};

class Part;

class Place : public std::enable_shared_from_this<Place> {
 public:
  /// kAlreadyExists while another process holds it, kPermissionDenied if it is somebody else's,
  /// kFailedPrecondition if it holds something and is no folder of ours, kCorrupted if the file that says
  /// whose it is can't be read.
  static Result<std::shared_ptr<Place>> Take(PlaceOptions options);

  [[nodiscard]] const Uuid& uuid() const { return uuid_; }
  [[nodiscard]] const std::string& path() const { return folder_.path(); }
  [[nodiscard]] const Survey& survey() const { return survey_; }
  [[nodiscard]] Figures figures() const;
  [[nodiscard]] bool Contains(const Key& key) const;
  /// How long the file is; nullopt: there is none, or it is damaged.
  [[nodiscard]] std::optional<uint64_t> LengthOf(const Key& key) const;
  [[nodiscard]] std::vector<Key> Keys() const;

  /// A file of that length, reserved on the disk, under a name that nobody reads. kAlreadyExists if there
  /// is one of that key, unless it is to be replaced, and if another is being made. kOutOfMemory if the
  /// limits or the disk don't allow it.
  Result<std::unique_ptr<Part>> Make(const Key& key, uint64_t bytes, IfThere if_there,
                                     Room room = Room::kAskedFor);
  /// Keeps so much of what the limits allow for files to be made with Room::kPromised. kOutOfMemory as Make.
  Status Promise(uint64_t bytes);
  /// Does not wait.
  void Unpromise(uint64_t bytes);

  /// kNotFound; kCorrupted if it was found damaged before, or something else lies in its place.
  Result<os::DiskFile> Open(const Key& key);
  /// Its bytes and its name are on the disk when it returns. Errors as Open's.
  Status Sync(const Key& key);
  /// kNotFound. Whoever reads it goes on reading it.
  Status Remove(const Key& key, Durability durability);
  /// One after another, then waits until the disk has that. Those that are not there are no error; of several
  /// the first. The others go all the same.
  Status RemoveAll(const std::vector<Key>& keys);
  /// Moves the file to `damaged/`, says so in the log, and never opens it again. `file`: the identity of
  /// what was found damaged; another file that has taken its place since is left alone.
  void SetAside(const Key& key, std::pair<uint64_t, uint64_t> file, const Status& why);
  /// Whatever lies there now.
  void SetAside(const Key& key, const Status& why);
  /// Not ours after all: it stays where it is, is not counted, and its name is not used.
  void Disown(const Key& key, const Status& why);

 private:
  friend class Part;
  struct Entry {
    uint64_t bytes = 0;
    bool damaged = false;  // and could not be moved away
  };

  Place(PlaceOptions options, os::Directory folder)
      : options_(std::move(options)), folder_(std::move(folder)) {}
  Status CheckOwner();
  Status CheckOurs() const;
  Status TakeIdentity(const os::Directory& outside);
  Status WriteIdentity(const os::Directory& outside);
  Status LookAround();
  Status LookAtEntry(const std::string& name, uint32_t owner);
  void AddForeign(const std::string& name, const char* why);
  class Hold;
  Status Admit(uint64_t bytes) const;
  void Forget(const Key& key);
  void NoteMissing(const Key& key);
  Status MoveAside(const Key& key) const;
  Status Commit(Part& part, Durability durability);
  void Abandon(Part& part);

  const PlaceOptions options_;
  os::Directory folder_;
  os::UniqueFd lock_;
  Uuid uuid_{};
  Survey survey_;

  // Guards all below. Never held around a call that waits for the disk.
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::unordered_set<Key> in_hand_;  // whose name is being given, moved or removed
  std::unordered_map<Key, Entry> entries_;
  std::unordered_set<Key> making_;
  Figures figures_;
};

/// A file that is being written. Removed when it goes, unless committed.
class Part {
 public:
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  ~Part();

  [[nodiscard]] os::DiskFile& file() { return file_; }
  /// Gives it its name: from now on it is found, also after this process. With kDisk its contents and its
  /// name are on the disk when it returns. Where it fails nothing of it is left; where it was to replace
  /// another one, that or the new one is there.
  Status Commit(Durability durability);

 private:
  friend class Place;
  Part(std::shared_ptr<Place> place, Key key, uint64_t bytes, IfThere if_there)
      : place_(std::move(place)), key_(key), bytes_(bytes), if_there_(if_there) {}

  std::shared_ptr<Place> place_;  // shared: see there
  Key key_;
  uint64_t bytes_;
  IfThere if_there_;
  os::DiskFile file_;
  bool reserved_ = false;
  bool done_ = false;
};

}  // namespace vineyard::spill
