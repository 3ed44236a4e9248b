// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/disk_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/size.h"
#include "os/disk_fault.h"
#include "os/file_info.h"

namespace vineyard::os {

void IgnoreFileSizeSignal() { std::signal(SIGXFSZ, SIG_IGN); }

DiskFile& DiskFile::operator=(DiskFile&& other) noexcept {
  if (this != &other) {
    fd_ = std::move(other.fd_);
    direct_ = other.direct_.load();
    cached_ = other.cached_;
  }
  return *this;
}

// The flag is set after opening: an open that makes a file and then refuses O_DIRECT leaves the file.
DiskFile::DiskFile(UniqueFd fd, Caching caching)
    : fd_(std::move(fd)), cached_(caching == Caching::kThrough) {
  if (cached_ || DiskFault(DiskCall::kDirect) != 0) return;
  const int flags = ::fcntl(fd_.get(), F_GETFL);
  direct_ = flags >= 0 && ::fcntl(fd_.get(), F_SETFL, flags | O_DIRECT) == 0;
}

// EINVAL of a direct read or write: this file system wants another alignment, or none at all.
bool DiskFile::TurnToCache() const {
  const int flags = ::fcntl(fd_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd_.get(), F_SETFL, flags & ~O_DIRECT) != 0) return false;
  direct_ = false;
  return true;
}

Result<FileInfo> DiskFile::Look() const {
  struct stat info{};
  if (::fstat(fd_.get(), &info) != 0) return ErrnoStatus("cannot look at a file");
  return ToFileInfo(info);
}

Status DiskFile::Reserve(uint64_t size) {
  int error = DiskFault(DiskCall::kReserve);
  while (error == 0 && ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)) != 0) {
    if (errno == EINTR) continue;
    error = errno;
  }
  if (error == EOPNOTSUPP) {
    error = ::ftruncate(fd_.get(), static_cast<off_t>(size)) == 0 ? 0 : errno;
  }
  if (error != 0) return ErrnoStatus("cannot reserve " + FormatSize(size) + " of disk", error);
  return {};
}

Status DiskFile::WriteAt(uint64_t offset, std::span<const std::byte> bytes) {
  if (const int error = DiskFault(DiskCall::kWrite)) return ErrnoStatus("cannot write", error);
  const uint64_t begin = offset;
  const uint64_t length = bytes.size();
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EINVAL && direct() && TurnToCache()) continue;
    if (n < 0) return ErrnoStatus("cannot write");
    if (n == 0) return Status::IOError("cannot write: the disk took nothing, and gave no reason");
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  if (cached_ || direct()) return {};
  const int done = ::sync_file_range(
      fd_.get(), static_cast<off_t>(begin), static_cast<off_t>(length),
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  // Where there is no such call nothing is lost but the bound.
  if (done != 0 && (errno == EIO || errno == ENOSPC || errno == EDQUOT)) {
    return ErrnoStatus("cannot write");
  }
  ::posix_fadvise(fd_.get(), static_cast<off_t>(begin), static_cast<off_t>(length),
                  POSIX_FADV_DONTNEED);
  return {};
}

Result<uint64_t> DiskFile::ReadAt(uint64_t offset, std::span<std::byte> bytes) const {
  if (const int error = DiskFault(DiskCall::kRead)) return ErrnoStatus("cannot read", error);
  const uint64_t begin = offset;
  uint64_t got = 0;
  while (got < bytes.size()) {
    const ssize_t n =
        ::pread(fd_.get(), bytes.data() + got, bytes.size() - got, static_cast<off_t>(begin + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EINVAL && direct() && TurnToCache()) continue;
    if (n < 0) return ErrnoStatus("cannot read");
    if (n == 0) break;
    got += static_cast<uint64_t>(n);
  }
  if (got > 0 && DiskFault(DiskCall::kGarble) != 0) bytes[got / 2] ^= std::byte{1};
  if (!cached_ && !direct()) {
    ::posix_fadvise(fd_.get(), static_cast<off_t>(begin), static_cast<off_t>(got),
                    POSIX_FADV_DONTNEED);
  }
  return got;
}

Status DiskFile::SyncData() {
  int error = DiskFault(DiskCall::kSync);
  while (error == 0 && ::fdatasync(fd_.get()) != 0) {
    if (errno != EINTR) error = errno;
  }
  if (error != 0) return ErrnoStatus("cannot put a file on the disk", error);
  return {};
}

Result<DiskBuffer> DiskBuffer::Make(uint64_t size) {
  DiskBuffer buffer;
  buffer.memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kDiskAlign, size)));
  if (buffer.memory_ == nullptr) {
    return Status::OutOfMemory("no " + FormatSize(size) + " for a buffer of the disk's");
  }
  std::memset(buffer.memory_.get(), 0, size);
  buffer.size_ = size;
  return buffer;
}

void DiskBuffer::Free::operator()(std::byte* memory) const { std::free(memory); }

}  // namespace vineyard::os
