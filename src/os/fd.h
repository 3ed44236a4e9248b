// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// UniqueFd: a file descriptor with one owner, closed when the owner goes.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "vineyard/status.h"

namespace vineyard::os {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  void Reset();

  /// A second descriptor of the same open file (they share offset, leases and locks).
  [[nodiscard]] Result<UniqueFd> Duplicate() const;

 private:
  int fd_ = -1;
};

/// The same of a bare descriptor, which stays its owner's.
Result<UniqueFd> DuplicateFd(int fd);

/// Keeps an inherited descriptor from programs started from now on. Fails if it is not open.
Status CloseOnExec(const UniqueFd& fd);

/// kIOError (or kPermissionDenied, kLimitExceeded where errno says so) with "what: strerror(errno)".
Status ErrnoStatus(std::string_view what, int error);
/// The same for the present value of errno.
Status ErrnoStatus(std::string_view what);

/// Descriptors this process may open: raised to the hard limit; returns what it is then.
uint64_t RaiseFdLimit();
/// The same, as it is.
uint64_t FdLimit();
/// Has the kernel make its table of this process's descriptors large enough for `count`. It begins with 64 and
/// is doubled when one more is opened, which in a process with threads waits for an RCU grace period each time
/// (fs/file.c, expand_fdtable): 10 ms or so. `any`: one that is open.
void MakeRoomForFds(uint64_t count, const UniqueFd& any);

}  // namespace vineyard::os
