// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What stat says, in our words. For the files of this folder.
#pragma once

#include <sys/stat.h>

#include "os/disk_file.h"

namespace vineyard::os {

inline FileInfo ToFileInfo(const struct stat& info) {
  constexpr uint64_t kBlock = 512;
  FileInfo out;
  if (S_ISREG(info.st_mode)) out.kind = FileInfo::Kind::kFile;
  if (S_ISDIR(info.st_mode)) out.kind = FileInfo::Kind::kDirectory;
  if (S_ISLNK(info.st_mode)) out.kind = FileInfo::Kind::kLink;
  out.size = static_cast<uint64_t>(info.st_size);
  out.bytes_on_disk = static_cast<uint64_t>(info.st_blocks) * kBlock;
  out.owner = info.st_uid;
  out.mode = info.st_mode & 07777;
  out.links = info.st_nlink;
  out.identity = {info.st_dev, info.st_ino};
  return out;
}

}  // namespace vineyard::os
