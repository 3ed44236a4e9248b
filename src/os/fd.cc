// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/fd.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace vineyard::os {

void UniqueFd::Reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<UniqueFd> UniqueFd::Duplicate() const { return DuplicateFd(fd_); }

Result<UniqueFd> DuplicateFd(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return ErrnoStatus("cannot duplicate a descriptor");
  return UniqueFd(copy);
}

Status CloseOnExec(const UniqueFd& fd) {
  if (::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0) return ErrnoStatus("cannot mark a descriptor");
  return {};
}

Status ErrnoStatus(std::string_view what, int error) {
  std::string message = fmt::format("{}: {}", what, std::strerror(error));
  switch (error) {
    case EACCES:
    case EPERM: return Status::PermissionDenied(std::move(message));
    case EMFILE:
    case ENFILE: return Status::LimitExceeded(std::move(message));
    case ENOMEM:
    case ENOSPC:
    case EDQUOT: return Status::OutOfMemory(std::move(message));
    default: return Status::IOError(std::move(message));
  }
}

Status ErrnoStatus(std::string_view what) { return ErrnoStatus(what, errno); }

void MakeRoomForFds(uint64_t count, const UniqueFd& any) {
  const UniqueFd last(
      ::fcntl(any.get(), F_DUPFD_CLOEXEC, static_cast<int>(std::min(count, FdLimit()) - 1)));
}

uint64_t FdLimit() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

uint64_t RaiseFdLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return limit.rlim_cur;
}

}  // namespace vineyard::os
