// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The sandbox: what the processes of an instance give up before they meet a client's first byte.
//
// In two steps, as the engine has a child: GiveUpRights first, which the child inherits, then RestrictCalls in
// each of the two, with a list of its own. Neither can be undone. What the kernel does not have is left out,
// and reported; any other failure is an error, and the process should not go on.
//
// What remains to somebody who runs code of theirs in the engine: Note [What a taken engine can do], in
// sandbox.cc.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "vineyard/status.h"

namespace vineyard::os {

struct SandboxReport {
  int landlock = 0;     ///< the level that the kernel has; 0: files are not restricted
  bool calls = false;   ///< system calls are restricted
  std::string missing;  ///< why something is not, for people; empty: all is
};

struct ReachableFiles {
  /// Files and folders may be made, read, written, moved and removed in these, and nowhere else. Each must be
  /// there. The same list goes to both steps.
  std::vector<std::string> folders;
};

/// No new privileges, no capabilities, no files but what an engine reads, no network, no signals to and no
/// tracing of other processes. For this process and those that it starts. REQUIRES: it has one thread.
Status GiveUpRights(const ReachableFiles& files, SandboxReport* report);

/// No system calls but those of an engine. `child` may be killed, beside the process itself; -1: there is none.
Status RestrictCallsOfEngine(const ReachableFiles& files, pid_t child, SandboxReport* report);
/// No system calls but those of the process that touches pages: it opens, makes and kills nothing.
Status RestrictCallsOfPageToucher(SandboxReport* report);

/// No system calls but those of the process that answers HTTP: it takes connections from the socket that it was given,
/// connects to sockets of volumes, and opens no file at all.
Status RestrictCallsOfHttp(SandboxReport* report);

/// What a keeper gives up: all capabilities but the one to remove sockets from other users' folders. No
/// program that it starts, root's included, has or gains any.
Status GiveUpKeepersRights();

}  // namespace vineyard::os
