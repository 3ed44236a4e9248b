// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Mapping: a range of this process's addresses with one owner, unmapped when the owner goes.
//
// All mappings of 2 MiB and more begin at a multiple of 2 MiB and ask for huge pages, so that one
// page-table entry can serve 2 MiB of them. Shorter writable ones begin at a multiple of the largest page
// that fits into them (64 KiB to 1 MiB), so that the kernel can make them of such pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "os/fd.h"
#include "os/memfd.h"
#include "vineyard/status.h"

namespace vineyard::os {

inline constexpr uint64_t kHugePage = uint64_t{2} << 20;

/// One memory file, or the part of an extent that it makes up.
struct FilePart {
  int fd = -1;
  uint64_t size = 0;
};

class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
        reserved_(std::exchange(other.reserved_, nullptr)),
        reserved_size_(std::exchange(other.reserved_size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { Reset(); }

  /// Maps the files one after another. kReadWrite mappings are shared and writable.
  static Result<Mapping> Open(std::span<const FilePart> parts, Access access);
  static Result<Mapping> Open(const UniqueFd& fd, uint64_t size, Access access);

  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] uint64_t size() const { return size_; }
  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] bool valid() const { return data_ != nullptr; }
  void Reset();

  /// Replaces the pages by a private writable view of the same files at the same address: what is
  /// written from now on is seen by this process only. What was written before stays in the files.
  Status MakePrivate(std::span<const FilePart> parts);
  /// The same of the one file that lies at `offset`; where that fails it stays shared. REQUIRES: it is
  /// mapped shared, and `offset` is where.
  Status MakePrivate(uint64_t offset, const FilePart& part);

  /// Keeps the mapping, or the part of it from `offset` on, out of children forked from now on.
  void KeepFromChildren(uint64_t offset = 0);
  /// In a forked child that lacks the mapping: puts zero pages there, so that touching it is no fault.
  void FillWithZeroPages();

  /// Makes pages present now, zeroed where new: kOutOfMemory instead of a fault later. Several threads
  /// may do different parts. REQUIRES: offset at a page's beginning, offset + length <= size().
  Status Populate(Access access, uint64_t offset, uint64_t length);
  Status Populate(Access access) { return Populate(access, 0, size_); }

 private:
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
  std::byte* reserved_ = nullptr;  // the whole reserved range, of which [data_, +size_) is used
  uint64_t reserved_size_ = 0;
};

/// The same of a range that is mapped shared and writable, or a part of it: of all pages that it touches.
Status MakePresent(std::span<std::byte> range);

}  // namespace vineyard::os
