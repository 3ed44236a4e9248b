// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/memfd.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace vineyard::os {

namespace {

constexpr int kFixedSize = F_SEAL_SHRINK | F_SEAL_GROW;

Result<int> GetSeals(const UniqueFd& fd) {
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0) return ErrnoStatus("cannot read a memory file's seals");
  return seals;
}

}  // namespace

Result<UniqueFd> CreateMemfd(const char* name, uint64_t size) {
  // Linux before 6.3 does not know MFD_NOEXEC_SEAL, and then refuses the call with EINVAL.
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) {
    fd = UniqueFd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  }
  if (!fd.valid()) return ErrnoStatus("cannot make a memory file");
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    return ErrnoStatus("cannot size a memory file");
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, kFixedSize) != 0) {
    return ErrnoStatus("cannot fix the size of a memory file");
  }
  return fd;
}

Status SealForever(const UniqueFd& fd) {
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | kFixedSize | F_SEAL_SEAL) == 0) return {};
  if (errno == EBUSY) {
    return Status::FailedPrecondition(
        "cannot seal memory while a writable mapping of it, or a pinned page, is left (a forked "
        "child?)");
  }
  if (errno == EPERM) {
    auto sealed = IsSealedForever(fd);
    if (sealed.ok() && *sealed) return {};
  }
  return ErrnoStatus("cannot seal memory");
}

Status SealFutureWrites(const UniqueFd& fd) {
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE | kFixedSize | F_SEAL_SEAL) != 0) {
    return ErrnoStatus("cannot seal memory against future writes");
  }
  return {};
}

Result<bool> IsSealedForever(const UniqueFd& fd) {
  VY_ASSIGN_OR_RETURN(const int seals, GetSeals(fd));
  constexpr int kAll = F_SEAL_WRITE | kFixedSize;
  return (seals & kAll) == kAll;
}

bool HasFixedSize(const UniqueFd& fd) {
  auto seals = GetSeals(fd);
  return seals.ok() && (*seals & kFixedSize) == kFixedSize;
}

Result<uint64_t> FileSize(const UniqueFd& fd) {
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus("cannot ask for a memory file's size");
  return static_cast<uint64_t>(info.st_size);
}

Result<uint64_t> BytesPresent(const UniqueFd& fd) {
  constexpr uint64_t kBlock = 512;
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus("cannot ask for a memory file's pages");
  return static_cast<uint64_t>(info.st_blocks) * kBlock;
}

Result<UniqueFd> Reopen(const UniqueFd& fd, Access access) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd.get());
  const int flags = (access == Access::kRead ? O_RDONLY : O_RDWR) | O_CLOEXEC;
  UniqueFd fresh(::open(path, flags));
  if (!fresh.valid()) return ErrnoStatus("cannot reopen memory (is /proc mounted?)");
  return fresh;
}

Result<bool> IsHeldElsewhere(const UniqueFd& fd) {
  VY_ASSIGN_OR_RETURN(UniqueFd probe, Reopen(fd, Access::kRead));
  if (::fcntl(probe.get(), F_SETLEASE, F_WRLCK) == 0) {
    ::fcntl(probe.get(), F_SETLEASE, F_UNLCK);
    return false;
  }
  if (errno == EAGAIN || errno == EBUSY) return true;
  return ErrnoStatus("cannot take a lease to see who holds memory");
}

void IgnoreLeaseSignals() { std::signal(SIGIO, SIG_IGN); }

Status PunchAll(const UniqueFd& fd, uint64_t size) {
  if (size == 0) return {};
  if (::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                  static_cast<off_t>(size)) != 0) {
    return ErrnoStatus("cannot give a memory file's pages back");
  }
  return {};
}

Result<uint64_t> FileIdentity(const UniqueFd& fd) {
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return ErrnoStatus("cannot identify a memory file");
  return static_cast<uint64_t>(info.st_ino);
}

uint64_t PageSize() {
  static const auto kSize = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return kSize;
}

}  // namespace vineyard::os
