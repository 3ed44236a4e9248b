// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Landlock: the kernel keeps a process that asks for it from files, sockets and other processes, also
// where its user may use them. It is for this thread and for all threads and processes that it starts.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "vineyard/status.h"

namespace vineyard::os {

enum class PathAccess {
  kReadFiles,      ///< the file, or those in the folder
  kReadWriteFile,  ///< the one file
  kFolder,  ///< files and folders in the folder are read, written, made, moved within it and removed
};

struct PathRule {
  std::string path;
  PathAccess access = PathAccess::kReadFiles;
  bool may_be_absent = false;
};

/// From now on nothing is opened for reading or writing, made, removed, moved or run but what the rules
/// say; no TCP port is bound or connected to; and where the kernel knows how, no signal is sent to and no
/// abstract socket reached in another process but those started from here on. Open descriptors stay as they
/// are, and so does what has no path: memory files, pipes and sockets may be reopened through /proc/self/fd.
///
/// Returns the level that the kernel has (the higher, the more is kept away); kNotSupported where it has none,
/// or keeps it from this process. REQUIRES: ForbidNewPrivileges().
Result<int> RestrictFiles(std::span<const PathRule> rules);

/// What a kernel of that level is asked to refuse: bits of linux/landlock.h.
struct LandlockRights {
  uint64_t files = 0;
  uint64_t network = 0;
  uint64_t scoped = 0;
};
LandlockRights LandlockRightsOf(int level);

}  // namespace vineyard::os
