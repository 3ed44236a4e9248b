// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/bell.h"

#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdint>

namespace vineyard::os {

Result<UniqueFd> MakeBell() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return ErrnoStatus("cannot make an eventfd");
  return UniqueFd(fd);
}

// Full: it has been rung.
void RingBell(const UniqueFd& bell) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(bell.get(), &one, sizeof one);
}

// RWF_NOWAIT, as another holder may have taken O_NONBLOCK away: that is of the open file, not of the process.
void SilenceBell(int bell) {
  uint64_t count = 0;
  const iovec part{&count, sizeof count};
  [[maybe_unused]] const ssize_t read = ::preadv2(bell, &part, 1, -1, RWF_NOWAIT);
}

}  // namespace vineyard::os
