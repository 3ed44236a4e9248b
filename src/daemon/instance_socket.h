// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// InstanceSocket: the right to be the instance at a path. It is a lock beside the path, held for as
// long as the instance lives, and the socket bound there. Owned by the keeper.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <utility>

#include "os/fd.h"
#include "os/lock_file.h"
#include "vineyard/status.h"

namespace vineyard::daemon {

class InstanceSocket {
 public:
  /// Binds `path`, in place of a dead instance's socket if one is there. kAlreadyExists when a live
  /// instance has it (one that is just beginning or ending is waited for), or another kind of file.
  /// A missing folder is made if its name is "vineyard", one level deep. kCancelled when
  /// `interrupted`, asked while waiting, says so.
  static Result<InstanceSocket> Open(const std::string& path, mode_t mode,
                                     const std::function<bool()>& interrupted);

  /// The listening socket, given to whoever holds it from now on.
  os::UniqueFd TakeListener() { return std::move(listener_); }

  /// Unlinks all that Open made. REQUIRES: the listening socket is closed, in all processes.
  void Remove();

 private:
  std::string path_;
  std::string made_folder_;
  os::LockFile lock_;
  os::UniqueFd listener_;
};

}  // namespace vineyard::daemon
