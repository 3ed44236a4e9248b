// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/text_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "os/fd.h"

namespace vineyard::os {

namespace {

Status CannotRead(const std::string& path, int error) {
  std::string message = fmt::format("cannot read {}: {}", path, std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR: return Status::NotFound(std::move(message));
    case EACCES:
    case EPERM: return Status::PermissionDenied(std::move(message));
    case EISDIR: return Status::Invalid(std::move(message));
    default: return Status::IOError(std::move(message));
  }
}

}  // namespace

Result<std::string> ReadTextFile(const std::string& path) {
  constexpr size_t kMost = size_t{1} << 20;
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return CannotRead(path, errno);
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return CannotRead(path, errno);
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > kMost) {
      return Status::Invalid(fmt::format("cannot read {}: longer than 1 MiB", path));
    }
  }
}

}  // namespace vineyard::os
