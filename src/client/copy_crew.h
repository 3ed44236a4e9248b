// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// CopyCrew: threads that help with a copy, kept ready for the next one.
//
// Starting a thread costs as much as copying a megabyte. Those that had nothing to do for two seconds end.
// A forked child has none of its parent's, and starts its own when it needs them. One copy at a time has
// their help; others that go on meanwhile are several threads' work already.
#pragma once

#include <cstddef>
#include <functional>

namespace vineyard::client {

/// Calls work(0) on this thread, and each of work(1) … work(threads - 1) on another one, if that comes to
/// it before work(0) has returned: what one call leaves another must do. Returns when all calls have.
void RunWithCrew(size_t threads, const std::function<void(size_t)>& work);

}  // namespace vineyard::client
