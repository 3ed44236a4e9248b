// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/random.h"

#include <sys/random.h>

#include <cstring>

#include "os/fd.h"

namespace vineyard::os {

Result<std::array<uint64_t, 2>> MakeUuid() {
  std::array<unsigned char, 16> bytes{};
  // So few bytes come whole, and no signal interrupts them.
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return ErrnoStatus("cannot get random bytes");
  }
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  std::array<uint64_t, 2> uuid{};
  std::memcpy(uuid.data(), bytes.data(), sizeof uuid);
  return uuid;
}

}  // namespace vineyard::os
