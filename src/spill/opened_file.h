// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// OpenedFile: one spill file, its head checked, its data read block by block and checked as they come.
//
// No byte is given out that was not checked. What is found damaged is read once more (the fault may have
// been on the way), then the file is set aside. Any thread may read. It can be read while and after it is
// removed or set aside. Shared: several pieces of a job, and readers of a stream, have the same one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "os/disk_file.h"
#include "spill/format.h"
#include "spill/memory.h"
#include "spill/place.h"
#include "vineyard/status.h"

namespace vineyard::spill {

class OpenedFile {
 public:
  /// kNotFound, kCorrupted (set aside by then), kIOError; kNotSupported if it is another instance's or of
  /// another format (left where it is).
  static Result<std::shared_ptr<const OpenedFile>> Open(std::shared_ptr<Place> place,
                                                        const Key& key);
  [[nodiscard]] const Head& head() const { return head_; }

  /// Fills `into` from `offset` on. For whoever reads a part, or one part after another: whole blocks are
  /// read for it. kInvalid if the file has not as much. REQUIRES: scratch has kBlock bytes, aligned to
  /// kDiskAlign (DiskBuffer).
  Status Read(uint64_t offset, std::span<std::byte> into, std::span<std::byte> scratch) const;

  /// The block's part of [offset, offset + into.size()), to its place in `into`. REQUIRES: as Read; the block
  /// lies in the range at least partly.
  Status ReadBlock(uint64_t block, uint64_t offset, const Destination& into,
                   std::span<std::byte> scratch) const;
  /// Only looks whether it is whole.
  Status CheckBlock(uint64_t block, std::span<std::byte> scratch) const;

 private:
  OpenedFile(std::shared_ptr<Place> place, const Key& key, os::DiskFile file)
      : place_(std::move(place)), key_(key), file_(std::move(file)) {}
  Status ReadHead();
  /// Into `padded`, which has the block's padded length and is aligned.
  Status Fetch(uint64_t block, std::span<std::byte> padded) const;
  Status FetchOnce(uint64_t block, std::span<std::byte> padded) const;

  const std::shared_ptr<Place> place_;
  const Key key_;
  const os::DiskFile file_;
  os::FileInfo info_;
  Head head_;
};

}  // namespace vineyard::spill
