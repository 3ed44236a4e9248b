// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "os/fd.h"

namespace vineyard::os {

namespace {

// What linux/landlock.h has got since the kernel of Debian 12.
constexpr uint64_t kTruncate = uint64_t{1} << 14;     // level 3
constexpr uint64_t kIoctlDevice = uint64_t{1} << 15;  // level 5
constexpr uint64_t kBindTcp = uint64_t{1} << 0;       // level 4
constexpr uint64_t kConnectTcp = uint64_t{1} << 1;
constexpr uint64_t kAbstractSocket = uint64_t{1} << 0;  // level 6
constexpr uint64_t kSignal = uint64_t{1} << 1;

constexpr uint64_t kFirstLevelFiles = (uint64_t{LANDLOCK_ACCESS_FS_MAKE_SYM} << 1) - 1;
constexpr uint64_t kInFolder = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                               LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                               LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                               LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER | kTruncate;

uint64_t RightsIn(PathAccess access) {
  switch (access) {
    case PathAccess::kReadFiles: return LANDLOCK_ACCESS_FS_READ_FILE;
    case PathAccess::kReadWriteFile:
      return LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
    case PathAccess::kFolder: return kInFolder;
  }
  return 0;
}

// ENOSYS: not built; EOPNOTSUPP: not switched on; EPERM: a container's filter of system calls.
Status Refusal(const char* what) {
  const int error = errno;
  if (error == ENOSYS || error == EOPNOTSUPP || error == EPERM) {
    return Status::NotSupported(fmt::format("{}: {}", what, std::strerror(error)));
  }
  return ErrnoStatus(what, error);
}

// Bytes that an older kernel does not know may follow, if they are zero.
struct RulesetAttributes {
  uint64_t files;
  uint64_t network;
  uint64_t scoped;
};

Status AddRule(const UniqueFd& ruleset, const PathRule& rule, const LandlockRights& handled) {
  const UniqueFd fd(::open(rule.path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd.valid()) {
    if (rule.may_be_absent && (errno == ENOENT || errno == ENOTDIR)) return {};
    return ErrnoStatus(fmt::format("cannot open '{}', which is to stay in reach", rule.path));
  }
  landlock_path_beneath_attr beneath{};
  beneath.allowed_access = RightsIn(rule.access) & handled.files;
  beneath.parent_fd = fd.get();
  if (::syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) !=
      0) {
    return ErrnoStatus(fmt::format("cannot keep '{}' in reach", rule.path));
  }
  return {};
}

}  // namespace

LandlockRights LandlockRightsOf(int level) {
  LandlockRights rights;
  if (level < 1) return rights;
  rights.files = kFirstLevelFiles;
  if (level >= 2) rights.files |= LANDLOCK_ACCESS_FS_REFER;
  if (level >= 3) rights.files |= kTruncate;
  if (level >= 4) rights.network = kBindTcp | kConnectTcp;
  if (level >= 5) rights.files |= kIoctlDevice;
  if (level >= 6) rights.scoped = kAbstractSocket | kSignal;
  return rights;
}

Result<int> RestrictFiles(std::span<const PathRule> rules) {
  const auto level = static_cast<int>(
      ::syscall(SYS_landlock_create_ruleset, nullptr, size_t{0}, LANDLOCK_CREATE_RULESET_VERSION));
  if (level < 0) return Refusal("this kernel has no Landlock for us");
  const LandlockRights rights = LandlockRightsOf(level);
  const RulesetAttributes attributes{rights.files, rights.network, rights.scoped};
  const UniqueFd ruleset(
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0U)));
  if (!ruleset.valid()) return Refusal("cannot make rules for files");
  for (const PathRule& rule : rules) VY_RETURN_IF_ERROR(AddRule(ruleset, rule, rights));
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0U) != 0) {
    return Refusal("cannot put rules for files in force");
  }
  return level;
}

}  // namespace vineyard::os
