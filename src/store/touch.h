// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// TouchAll: makes every page of new memory present and zero, with as many threads as help.
//
// Note [Leaving room]
//
// Zeroing pages keeps processors busy, and the kernel does not let go of one in the midst of a page, so on a
// machine of few processors whoever else wakes has to wait. On two of them, beside a volume whose client made
// objects of 64 MiB without a pause, a small put of another volume's took 540 to 920 us at the median and 2.3 to 3.2 ms
// at the 90th percentile. So while clients of other volumes are about, a thread rests after each 2 MiB for as
// long as these took: 290 to 400 us, and 1 to 1.9 ms. The 99th percentile stays at 4 to 6 ms, which two programs
// that have nothing to do with the instance cost as well. The large put takes up to twice as long then. With more
// than kFewProcessors one is likely to be free, and nobody rests.
#pragma once

#include <functional>
#include <span>

#include "os/mapping.h"
#include "vineyard/status.h"

namespace vineyard::store {

using OthersAreAbout = std::function<bool()>;

/// kOutOfMemory when the machine, or this control group, has no pages left. Blocks for as long as it
/// takes: for the pool's threads only.
///
/// `others_are_about`: whether those the memory is not for want processors; asked by several threads. Null: never.
Status TouchAll(std::span<os::Mapping> mappings, const OthersAreAbout& others_are_about = {});

}  // namespace vineyard::store
