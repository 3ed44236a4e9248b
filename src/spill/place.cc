// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "spill/place.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/logging.h"
#include "base/size.h"
#include "os/crash_point.h"
#include "spill/place_names.h"

namespace vineyard::spill {

namespace {

// More files of one key than this are not set aside: somebody should have looked by then.
constexpr int kMostDamagedOfOne = 1000;

}  // namespace

Figures Place::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

bool Place::Contains(const Key& key) const {
  const std::lock_guard lock(mutex_);
  return entries_.contains(key);
}

std::optional<uint64_t> Place::LengthOf(const Key& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end() || found->second.damaged) return std::nullopt;
  return found->second.bytes;
}

std::vector<Key> Place::Keys() const {
  const std::lock_guard lock(mutex_);
  std::vector<Key> keys;
  keys.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) keys.push_back(key);
  return keys;
}

// One thread at a time gives, moves or removes the name of a key.
class Place::Hold {
 public:
  Hold(Place& place, const Key& key) : place_(place), key_(key) {
    std::unique_lock lock(place_.mutex_);
    place_.freed_.wait(lock, [&] { return !place_.in_hand_.contains(key_); });
    place_.in_hand_.insert(key_);
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  ~Hold() {
    {
      const std::lock_guard lock(place_.mutex_);
      place_.in_hand_.erase(key_);
    }
    place_.freed_.notify_all();
  }

 private:
  Place& place_;
  const Key key_;
};

// REQUIRES: mutex_ held.
Status Place::Admit(uint64_t bytes) const {
  const uint64_t used =
      figures_.bytes + figures_.making_bytes + figures_.room_bytes + figures_.damaged_bytes;
  const uint64_t most = options_.limits.most;
  if (used > most || bytes > most - used) {
    return Status::OutOfMemory(fmt::format(
        "disk full: {} more are to be spilled to '{}', which may hold {} and holds {} ({} of them "
        "damaged files); delete objects or damaged files, or raise the limit",
        FormatSize(bytes), path(), FormatSize(most), FormatSize(used),
        FormatSize(figures_.damaged_bytes)));
  }
  VY_ASSIGN_OR_RETURN(const os::DiskSpace space, folder_.Space());
  const uint64_t leave = options_.limits.leave_free;
  const uint64_t left = space.free - std::min(space.free, leave);
  const uint64_t promised = figures_.promised_bytes + figures_.room_bytes;
  if (left < promised || bytes > left - promised) {
    return Status::OutOfMemory(fmt::format(
        "disk full: {} more are to be spilled to '{}', where {} of {} are free, of which {} are to "
        "stay free; delete objects or other files there, or name another disk",
        FormatSize(bytes), path(), FormatSize(space.free), FormatSize(space.total),
        FormatSize(leave)));
  }
  return {};
}

Status Place::Promise(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  VY_RETURN_IF_ERROR(Admit(bytes));
  figures_.room_bytes += bytes;
  return {};
}

void Place::Unpromise(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  figures_.room_bytes -= bytes;
}

Result<std::unique_ptr<Part>> Place::Make(const Key& key, uint64_t bytes, IfThere if_there,
                                          Room room) {
  std::unique_ptr<Part> part(new Part(shared_from_this(), key, bytes, if_there));
  {
    const std::lock_guard lock(mutex_);
    part->done_ = true;  // nothing to take back
    if (if_there == IfThere::kRefuse && entries_.contains(key)) {
      return Status::AlreadyExists(fmt::format("'{}/{}' is there already", path(), FileName(key)));
    }
    if (making_.contains(key)) {
      return Status::AlreadyExists(fmt::format("'{}/{}' is being written", path(), FileName(key)));
    }
    if (room == Room::kAskedFor) VY_RETURN_IF_ERROR(Admit(bytes));
    making_.insert(key);
    figures_.making_bytes += bytes;
    figures_.promised_bytes += bytes;
    part->done_ = false;
  }
  VY_ASSIGN_OR_RETURN(part->file_, folder_.Create(PartName(key), os::Caching::kAround));
  if (Status s = part->file_.Reserve(bytes); !s.ok()) {
    const char* what = s.Is(StatusCode::kOutOfMemory) ? "disk full" : "cannot make a file";
    return s.WithContext(fmt::format("{}: spilling {} to '{}'", what, FormatSize(bytes), path()));
  }
  {
    const std::lock_guard lock(mutex_);
    figures_.promised_bytes -= bytes;
    part->reserved_ = true;
  }
  os::CrashPoint("spill.made");
  return part;
}

// REQUIRES: mutex_ held.
void Place::Forget(const Key& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  figures_.bytes -= found->second.bytes;
  --figures_.files;
  entries_.erase(found);
}

Status Place::Commit(Part& part, Durability durability) {
  if (durability == Durability::kDisk) {
    VY_RETURN_IF_ERROR(part.file_.SyncData());
    os::CrashPoint("spill.synced");
  }
  bool replace = false;
  {
    const Hold hold(*this, part.key_);
    // What was ours is replaced; what has come there by itself is not.
    replace = part.if_there_ == IfThere::kReplace && Contains(part.key_);
    VY_RETURN_IF_ERROR(folder_.Rename(
        PartName(part.key_), folder_, FileName(part.key_),
        replace ? os::Directory::IfTaken::kReplace : os::Directory::IfTaken::kRefuse));
    const std::lock_guard lock(mutex_);
    Forget(part.key_);
    entries_[part.key_] = {.bytes = part.bytes_};
    figures_.bytes += part.bytes_;
    ++figures_.files;
    figures_.making_bytes -= part.bytes_;
    making_.erase(part.key_);
    part.done_ = true;
  }
  os::CrashPoint("spill.named");
  if (durability == Durability::kInstance) return {};
  Status synced = folder_.Sync();
  if (!synced.ok()) {
    // Whoever asked is told that it is not kept, so it must not come back; but where it has replaced another
    // one, it is all there is.
    if (!replace) Remove(part.key_, Durability::kInstance).IgnoreError();
    return synced;
  }
  os::CrashPoint("spill.kept");
  return {};
}

void Place::Abandon(Part& part) {
  // Where it can't be removed the next to take the folder does it.
  if (part.file_.valid()) folder_.Remove(PartName(part.key_)).IgnoreError();
  const std::lock_guard lock(mutex_);
  figures_.making_bytes -= part.bytes_;
  if (!part.reserved_) figures_.promised_bytes -= part.bytes_;
  making_.erase(part.key_);
}

Result<os::DiskFile> Place::Open(const Key& key) {
  const std::string name = FileName(key);
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) {
      return Status::NotFound(fmt::format("'{}' holds no file '{}'", path(), name));
    }
    if (found->second.damaged) {
      return Status::Corrupted(fmt::format("'{}/{}' is damaged", path(), name));
    }
  }
  auto file = folder_.OpenFile(name, os::Directory::Rights::kRead, os::Caching::kAround);
  if (file.status().Is(StatusCode::kInvalid)) {
    Disown(key, file.status());
    return Status::Corrupted(
        fmt::format("{}; the file that was there is gone", file.status().message()));
  }
  if (file.status().Is(StatusCode::kNotFound)) NoteMissing(key);
  return file;
}

// Somebody has removed it; unless it was moved aside since we asked.
void Place::NoteMissing(const Key& key) {
  const Hold hold(*this, key);
  if (!folder_.Look(FileName(key)).status().Is(StatusCode::kNotFound)) return;
  const std::lock_guard lock(mutex_);
  if (!entries_.contains(key)) return;
  Forget(key);
  log::Warning("spill file was removed by somebody else",
               {{"file", FileName(key)}, {"folder", path()}});
}

Status Place::Remove(const Key& key, Durability durability) {
  {
    const Hold hold(*this, key);
    if (!Contains(key)) {
      return Status::NotFound(fmt::format("'{}' holds no file '{}'", path(), FileName(key)));
    }
    Status removed = folder_.Remove(FileName(key));
    // Somebody else's hand was faster: it is not there, as it should be.
    if (!removed.ok() && !removed.Is(StatusCode::kNotFound)) return removed;
    const std::lock_guard lock(mutex_);
    Forget(key);
  }
  os::CrashPoint("spill.removed");
  return durability == Durability::kDisk ? folder_.Sync() : Status();
}

Status Place::RemoveAll(const std::vector<Key>& keys) {
  Status first;
  for (const Key& key : keys) {
    Status removed = Remove(key, Durability::kInstance);
    if (!removed.ok() && !removed.Is(StatusCode::kNotFound) && first.ok()) first = removed;
  }
  Status synced = folder_.Sync();
  return first.ok() ? synced : first;
}

Status Place::Sync(const Key& key) {
  VY_ASSIGN_OR_RETURN(os::DiskFile file, Open(key));
  VY_RETURN_IF_ERROR(file.SyncData());
  os::CrashPoint("spill.synced_again");
  return folder_.Sync();
}

Status Place::MoveAside(const Key& key) const {
  VY_ASSIGN_OR_RETURN(const os::Directory damaged, folder_.MakeChild(kDamagedName));
  const std::string name = FileName(key);
  for (int n = 0; n < kMostDamagedOfOne; ++n) {
    const std::string there = n == 0 ? name : fmt::format("{}.{}", name, n);
    Status moved = folder_.Rename(name, damaged, there, os::Directory::IfTaken::kRefuse);
    if (!moved.Is(StatusCode::kAlreadyExists)) return moved;
  }
  return Status::LimitExceeded(
      fmt::format("'{}' holds {} files of that name already", damaged.path(), kMostDamagedOfOne));
}

void Place::SetAside(const Key& key, std::pair<uint64_t, uint64_t> file, const Status& why) {
  const Hold hold(*this, key);
  const std::string name = FileName(key);
  const auto there = folder_.Look(name);
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end() || found->second.damaged) return;
    if (there.ok() && there->identity != file) return;
  }
  const Status moved = MoveAside(key);
  os::CrashPoint("spill.set_aside");
  const std::lock_guard lock(mutex_);
  if (!moved.ok()) {
    entries_[key].damaged = true;
    log::Error("damaged spill file could not be set aside, and is not served",
               {{"file", name},
                {"folder", path()},
                {"damage", why.message()},
                {"because", moved.message()}});
    return;
  }
  figures_.damaged_bytes += entries_[key].bytes;
  ++figures_.damaged_files;
  Forget(key);
  log::Error("damaged spill file set aside",
             {{"file", name}, {"folder", path()}, {"damage", why.message()}});
}

void Place::SetAside(const Key& key, const Status& why) {
  const auto there = folder_.Look(FileName(key));
  if (there.ok()) SetAside(key, there->identity, why);
}

void Place::Disown(const Key& key, const Status& why) {
  const Hold hold(*this, key);
  const std::lock_guard lock(mutex_);
  Forget(key);
  log::Warning("spill file of somebody else's left alone",
               {{"file", FileName(key)}, {"folder", path()}, {"because", why.message()}});
}

Part::~Part() {
  if (!done_) place_->Abandon(*this);
}

Status Part::Commit(Durability durability) { return place_->Commit(*this, durability); }

}  // namespace vineyard::spill
