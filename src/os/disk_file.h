// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// DiskFile: a file on a local disk, read and written at offsets by several threads at once.
//
// Past the page cache (O_DIRECT) where the file system can: what goes to disk lies in shared memory
// already, and a second copy of it in the page cache would drive out what others need. Elsewhere what was
// written or read is put on the disk and dropped from the cache piece by piece, so that the dirty pages
// of a file are bounded by what its threads have in hand.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "os/fd.h"
#include "vineyard/status.h"

namespace vineyard::os {

/// A file that would become longer than this process may make one is an error of the call from then on.
void IgnoreFileSizeSignal();

/// Offsets, lengths and addresses of direct reads and writes are multiples of it: the largest sector in
/// use, and the page of most machines.
inline constexpr uint64_t kDiskAlign = 4096;

enum class Caching {
  kAround,   // past the page cache where possible. REQUIRES: kDiskAlign of everything
  kThrough,  // ordinary, for small files
};

struct FileInfo {
  enum class Kind : uint8_t { kFile, kDirectory, kLink, kOther };
  Kind kind = Kind::kOther;
  uint64_t size = 0;
  uint64_t bytes_on_disk = 0;
  uint32_t owner = 0;
  uint32_t mode = 0;                       // permission bits
  uint64_t links = 0;                      // names it has
  std::pair<uint64_t, uint64_t> identity;  // device and inode
};

class DiskFile {
 public:
  DiskFile() = default;
  DiskFile(DiskFile&& other) noexcept
      : fd_(std::move(other.fd_)), direct_(other.direct_.load()), cached_(other.cached_) {}
  DiskFile& operator=(DiskFile&& other) noexcept;
  DiskFile(UniqueFd fd, Caching caching);

  [[nodiscard]] bool valid() const { return fd_.valid(); }
  /// Whether reads and writes go past the page cache.
  [[nodiscard]] bool direct() const { return direct_.load(std::memory_order_relaxed); }
  [[nodiscard]] const UniqueFd& fd() const { return fd_; }
  [[nodiscard]] Result<FileInfo> Look() const;

  /// Makes the file so long, of blocks that are its own: no write into it can find the disk full.
  /// kOutOfMemory when the disk has not as many. Where the file system cannot promise it, only the
  /// length is set, and writes may fail.
  Status Reserve(uint64_t size);

  /// All of it, or an error. kOutOfMemory when the disk is full.
  Status WriteAt(uint64_t offset, std::span<const std::byte> bytes);
  /// How many bytes there were: less than asked for at the end of the file only.
  Result<uint64_t> ReadAt(uint64_t offset, std::span<std::byte> bytes) const;
  /// The contents, and what is needed to find them, are on the disk when it returns.
  Status SyncData();

 private:
  bool TurnToCache() const;

  UniqueFd fd_;
  mutable std::atomic<bool> direct_ =
      false;            // a file system may take the flag and refuse the first use
  bool cached_ = true;  // kThrough: leave it in the page cache
};

/// Memory at a multiple of kDiskAlign, all zero.
class DiskBuffer {
 public:
  DiskBuffer() = default;
  /// kOutOfMemory if there is none. REQUIRES: size is a multiple of kDiskAlign.
  static Result<DiskBuffer> Make(uint64_t size);
  [[nodiscard]] std::span<std::byte> bytes() const { return {memory_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
  uint64_t size_ = 0;
};

constexpr uint64_t RoundToDisk(uint64_t n) {
  return (n + kDiskAlign - 1) / kDiskAlign * kDiskAlign;
}

}  // namespace vineyard::os
