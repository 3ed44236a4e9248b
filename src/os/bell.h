// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A descriptor by which one process wakes another (an eventfd).
//
// A message through a socket wakes too, but tells the scheduler that its sender is about to sleep, so that
// the receiver is put on the sender's processor. Where both stay awake for a while that is the wrong place.
#pragma once

#include "os/fd.h"
#include "vineyard/status.h"

namespace vineyard::os {

/// Readable once it has been rung, until it is silenced.
Result<UniqueFd> MakeBell();
void RingBell(const UniqueFd& bell);
/// Never blocks, whatever other holders of the bell do to it.
void SilenceBell(int bell);

}  // namespace vineyard::os
