// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "os/disk_fault.h"
#include "os/file_info.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1 << 0)
#endif

namespace vineyard::os {

namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

Status PathStatus(std::string_view what, const std::string& path, int error) {
  std::string message = fmt::format("cannot {} '{}'", what, path);
  switch (error) {
    case ENOENT: return Status::NotFound(fmt::format("{}: it is not there", message));
    case EEXIST: return Status::AlreadyExists(fmt::format("{}: the name is taken", message));
    case ENOTDIR: return Status::Invalid(fmt::format("{}: it is no folder", message));
    case ELOOP: return Status::Invalid(fmt::format("{}: it is a link", message));
    default: return ErrnoStatus(message, error);
  }
}

Status CheckName(std::string_view name) {
  const bool one = !name.empty() && name != "." && name != ".." &&
                   name.find('/') == std::string_view::npos &&
                   name.find('\0') == std::string_view::npos;
  if (one) return {};
  return Status::Invalid(fmt::format("'{}' is no name of an entry of a folder", name));
}

}  // namespace

std::string Directory::At(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

Result<Directory> Directory::Open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), kFolder));
  if (!fd.valid()) return PathStatus("open the folder", path, errno);
  return Directory(std::move(fd), path);
}

Result<Directory> Directory::OpenChild(const std::string& name) const {
  VY_RETURN_IF_ERROR(CheckName(name));
  UniqueFd fd(::openat(fd_.get(), name.c_str(), kFolder | O_NOFOLLOW));
  if (!fd.valid()) return PathStatus("open the folder", At(name), errno);
  return Directory(std::move(fd), At(name));
}

Result<Directory> Directory::MakeChild(const std::string& name) const {
  VY_RETURN_IF_ERROR(CheckName(name));
  int error = DiskFault(DiskCall::kCreate);
  if (error == 0 && ::mkdirat(fd_.get(), name.c_str(), 0700) != 0 && errno != EEXIST) error = errno;
  if (error != 0) return PathStatus("make the folder", At(name), error);
  return OpenChild(name);
}

Result<DiskFile> Directory::Create(const std::string& name, Caching caching) const {
  VY_RETURN_IF_ERROR(CheckName(name));
  if (const int error = DiskFault(DiskCall::kCreate)) return PathStatus("make", At(name), error);
  UniqueFd fd(::openat(fd_.get(), name.c_str(),
                       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0600));
  if (!fd.valid()) return PathStatus("make", At(name), errno);
  return DiskFile(std::move(fd), caching);
}

Result<DiskFile> Directory::OpenFile(const std::string& name, Rights rights,
                                     Caching caching) const {
  VY_RETURN_IF_ERROR(CheckName(name));
  if (const int error = DiskFault(DiskCall::kOpen)) return PathStatus("open", At(name), error);
  const int access = rights == Rights::kRead ? O_RDONLY : O_RDWR;
  // A pipe would make the opening wait.
  UniqueFd fd(
      ::openat(fd_.get(), name.c_str(), access | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) return PathStatus("open", At(name), errno);
  DiskFile file(std::move(fd), caching);
  VY_ASSIGN_OR_RETURN(const FileInfo info, file.Look());
  if (info.kind != FileInfo::Kind::kFile) {
    return Status::Invalid(fmt::format("cannot open '{}': it is no ordinary file", At(name)));
  }
  return file;
}

Status Directory::Rename(const std::string& from, const Directory& there, const std::string& to,
                         IfTaken if_taken) const {
  VY_RETURN_IF_ERROR(CheckName(from));
  VY_RETURN_IF_ERROR(CheckName(to));
  const std::string what = fmt::format("rename '{}' to", At(from));
  if (const int error = DiskFault(DiskCall::kRename)) return PathStatus(what, there.At(to), error);
  if (if_taken == IfTaken::kReplace) {
    if (::renameat(fd_.get(), from.c_str(), there.fd_.get(), to.c_str()) == 0) return {};
    return PathStatus(what, there.At(to), errno);
  }
  if (::syscall(SYS_renameat2, fd_.get(), from.c_str(), there.fd_.get(), to.c_str(),
                RENAME_NOREPLACE) == 0) {
    return {};
  }
  if (errno != EINVAL && errno != ENOSYS) return PathStatus(what, there.At(to), errno);
  // A file system that does not know the flag: a second name, which is refused where it is taken.
  if (::linkat(fd_.get(), from.c_str(), there.fd_.get(), to.c_str(), 0) != 0) {
    return PathStatus(what, there.At(to), errno);
  }
  return Remove(from);
}

Status Directory::Remove(const std::string& name) const {
  VY_RETURN_IF_ERROR(CheckName(name));
  if (const int error = DiskFault(DiskCall::kRemove)) return PathStatus("remove", At(name), error);
  if (::unlinkat(fd_.get(), name.c_str(), 0) != 0) return PathStatus("remove", At(name), errno);
  return {};
}

Result<FileInfo> Directory::Look(const std::string& name) const {
  VY_RETURN_IF_ERROR(CheckName(name));
  struct stat info{};
  if (::fstatat(fd_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return PathStatus("look at", At(name), errno);
  }
  return ToFileInfo(info);
}

Result<FileInfo> Directory::Look() const {
  struct stat info{};
  if (::fstat(fd_.get(), &info) != 0) return PathStatus("look at", path_, errno);
  return ToFileInfo(info);
}

Status Directory::CloseToOthers() const {
  if (::fchmod(fd_.get(), 0700) != 0) return PathStatus("change the mode of", path_, errno);
  return {};
}

Status Directory::ForEach(const std::function<void(std::string_view name)>& visit) const {
  if (const int error = DiskFault(DiskCall::kList)) return PathStatus("list", path_, error);
  // An opening of its own: the place in the listing belongs to the opening.
  const int fd = ::openat(fd_.get(), ".", kFolder);
  if (fd < 0) return PathStatus("list", path_, errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(fd), ::closedir);
  if (listing == nullptr) {
    const int error = errno;
    ::close(fd);
    return PathStatus("list", path_, error);
  }
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(listing.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") visit(name);
  }
  if (errno != 0) return PathStatus("list", path_, errno);
  return {};
}

Status Directory::Sync() const {
  int error = DiskFault(DiskCall::kSync);
  while (error == 0 && ::fsync(fd_.get()) != 0) {
    if (errno != EINTR) error = errno;
  }
  if (error != 0) return PathStatus("put on the disk the folder", path_, error);
  return {};
}

Result<DiskSpace> Directory::Space() const {
  struct statvfs info{};
  if (::fstatvfs(fd_.get(), &info) != 0) return PathStatus("ask for the space at", path_, errno);
  return DiskSpace{.total = info.f_blocks * info.f_frsize, .free = info.f_bavail * info.f_frsize};
}

Result<UniqueFd> Directory::Lock(const std::string& name) const {
  VY_RETURN_IF_ERROR(CheckName(name));
  while (true) {
    UniqueFd fd(::openat(fd_.get(), name.c_str(),
                         O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600));
    if (!fd.valid()) return PathStatus("open the lock", At(name), errno);
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) {
        return Status::AlreadyExists(fmt::format("another process holds '{}'", At(name)));
      }
      return PathStatus("lock", At(name), errno);
    }
    // Somebody may have removed the name between our opening and our locking: then our lock is one that
    // nobody else will ever meet.
    struct stat held{};
    struct stat there{};
    if (::fstat(fd.get(), &held) == 0 &&
        ::fstatat(fd_.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        held.st_ino == there.st_ino && held.st_dev == there.st_dev) {
      return fd;
    }
  }
}

}  // namespace vineyard::os
