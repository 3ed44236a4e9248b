// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Directory: a folder that is held open, and whose entries are reached through it alone.
//
// Every name is one component, and no link is followed: whatever somebody puts at a path meanwhile,
// nothing outside this folder is opened, renamed or removed. openat2(RESOLVE_BENEATH) would give no more
// for such names, and is refused in containers whose filters cannot look into its arguments.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "os/disk_file.h"
#include "os/fd.h"
#include "vineyard/status.h"

namespace vineyard::os {

struct DiskSpace {
  uint64_t total = 0;
  uint64_t free = 0;  // for those who are not root
};

class Directory {
 public:
  Directory() = default;

  /// Links in the path are followed: it is the administrator's. kNotFound, kInvalid (no folder).
  static Result<Directory> Open(const std::string& path);
  /// kNotFound; kInvalid if it is no folder, or a link to one.
  Result<Directory> OpenChild(const std::string& name) const;
  /// Makes it, for its owner only, if it is not there, and opens it.
  Result<Directory> MakeChild(const std::string& name) const;

  /// How it is called in messages: the path it was opened by.
  [[nodiscard]] const std::string& path() const { return path_; }

  /// A new file, for its owner only. kAlreadyExists if the name is taken, by whatever it is.
  Result<DiskFile> Create(const std::string& name, Caching caching) const;
  enum class Rights { kRead, kReadWrite };
  /// kNotFound; kInvalid if it is no ordinary file (a link is none).
  Result<DiskFile> OpenFile(const std::string& name, Rights rights, Caching caching) const;

  enum class IfTaken { kRefuse, kReplace };
  /// kAlreadyExists if the new name is taken, where that is to be refused.
  Status Rename(const std::string& from, const Directory& there, const std::string& to,
                IfTaken if_taken) const;
  /// Removes a name that is no folder's; kNotFound.
  Status Remove(const std::string& name) const;

  /// What has that name, itself (not what a link points to); kNotFound.
  Result<FileInfo> Look(const std::string& name) const;
  /// The folder itself.
  Result<FileInfo> Look() const;
  /// Takes all rights from everybody but its owner.
  Status CloseToOthers() const;
  /// Calls `visit` with each name but "." and "..", in any order. Entries that come or go meanwhile may be
  /// missed.
  Status ForEach(const std::function<void(std::string_view name)>& visit) const;
  /// Names that were made, changed or removed are so on the disk when it returns.
  Status Sync() const;
  Result<DiskSpace> Space() const;

  /// Takes the file's lock, which ends with the last descriptor of this opening, however its process
  /// ends. Makes the file if need be. kAlreadyExists while another holds it. Does not wait.
  Result<UniqueFd> Lock(const std::string& name) const;

 private:
  Directory(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  [[nodiscard]] std::string At(std::string_view name) const;

  UniqueFd fd_;
  std::string path_;
};

}  // namespace vineyard::os
