// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/paths.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "os/fd.h"

namespace vineyard::os {

bool IsSocket(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

Status RemoveSocket(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? Status() : ErrnoStatus("cannot look at '" + path + "'");
  }
  if (!S_ISSOCK(info.st_mode)) return Status::Invalid("'" + path + "' is no socket, and stays");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus("cannot remove the socket '" + path + "'");
  }
  return {};
}

Result<std::string> MakeDirectories(const std::string& path) {
  if (path.empty()) return Status::Invalid("'' is no path of a folder; name one");
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoStatus("cannot make the folder '" + path + "'", error.value());
  const auto real = std::filesystem::canonical(path, error);
  if (error) return ErrnoStatus("cannot resolve '" + path + "'", error.value());
  if (!std::filesystem::is_directory(real, error)) {
    return Status::Invalid("'" + path + "' is no folder; name another");
  }
  return real.string();
}

}  // namespace vineyard::os
