// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace vineyard::os {

namespace {

// The last holder may have unlinked the file between our opening and our locking it: then our lock is
// one that nobody else will ever meet.
bool IsStillAt(const std::string& path, const UniqueFd& fd) {
  struct stat held{};
  struct stat there{};
  return ::fstat(fd.get(), &held) == 0 && ::lstat(path.c_str(), &there) == 0 &&
         held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

}  // namespace

Result<LockFile> LockFile::TryAcquire(const std::string& path) {
  while (true) {
    LockFile lock;
    lock.path_ = path;
    lock.fd_ = UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!lock.fd_.valid()) return ErrnoStatus("cannot open the lock file '" + path + "'");
    while (::flock(lock.fd_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK)
        return Status::AlreadyExists("another process holds '" + path + "'");
      return ErrnoStatus("cannot lock '" + path + "'");
    }
    if (IsStillAt(path, lock.fd_)) return lock;
  }
}

void LockFile::Remove() {
  if (!fd_.valid()) return;
  if (IsStillAt(path_, fd_)) ::unlink(path_.c_str());
  fd_.Reset();
}

}  // namespace vineyard::os
