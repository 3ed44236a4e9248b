// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Descriptors beside the bytes of a message: the control part of a msghdr.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <span>
#include <vector>

#include "os/fd.h"

namespace vineyard::os {

/// Room for the control part of a message with at most so many descriptors.
template <size_t kMost>
struct ControlPart {
  alignas(cmsghdr) char bytes[CMSG_SPACE(sizeof(int) * kMost)];
};

/// Lets the message carry these descriptors. REQUIRES: not empty, and `control` has room for them and
/// outlives the message.
void AttachFds(std::span<const int> fds, char* control, msghdr* message);

/// Appends the descriptors that came with a received message, so that none is left without an owner.
void TakeFds(msghdr* message, std::vector<UniqueFd>* fds);

}  // namespace vineyard::os
