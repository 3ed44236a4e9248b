// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "os/fd.h"

namespace vineyard::os {

namespace {

// The kernel's form: two words for 64 capabilities.
using Sets = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

Status EmptyBoundingSet() {
  constexpr int kMost = 64;
  for (int capability = 0; capability < kMost; ++capability) {
    if (::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) < 0) break;  // the kernel has no more
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EPERM) return {};  // without CAP_SETPCAP: see capabilities.h
    return ErrnoStatus("cannot shrink the bounding set of capabilities");
  }
  return {};
}

}  // namespace

Status ForbidNewPrivileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return ErrnoStatus("cannot forbid privileges");
  return {};
}

Status DropCapabilities(std::initializer_list<int> kept) {
  VY_RETURN_IF_ERROR(EmptyBoundingSet());
  __user_cap_header_struct self{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  Sets sets{};
  if (::syscall(SYS_capget, &self, sets.data()) != 0) {
    return ErrnoStatus("cannot tell the capabilities of this process");
  }
  Sets mask{};
  for (const int capability : kept) {
    const auto number = static_cast<unsigned>(capability);
    mask.at(number / 32).permitted |= 1U << (number % 32);
  }
  for (size_t i = 0; i < sets.size(); ++i) {
    sets[i].permitted &= mask[i].permitted;
    sets[i].effective &= mask[i].permitted;
    sets[i].inheritable = 0;  // takes the ambient ones along
  }
  if (::syscall(SYS_capset, &self, sets.data()) != 0)
    return ErrnoStatus("cannot drop capabilities");
  return {};
}

}  // namespace vineyard::os
