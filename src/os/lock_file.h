// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// LockFile: a file that at most one living process holds. The kernel lets go when the holder ends,
// however it ends; a file left behind by one that was killed locks nobody out.
#pragma once

#include <string>
#include <utility>

#include "os/fd.h"
#include "vineyard/status.h"

namespace vineyard::os {

class LockFile {
 public:
  LockFile() = default;
  LockFile(LockFile&&) noexcept = default;
  LockFile& operator=(LockFile&&) noexcept = default;

  /// Makes the file if need be. kAlreadyExists while another process holds it. Does not wait.
  static Result<LockFile> TryAcquire(const std::string& path);

  /// Unlinks the file and lets go of it. Without this the file stays, unlocked, after the process.
  void Remove();

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace vineyard::os
