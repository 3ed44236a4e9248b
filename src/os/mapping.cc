// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/mapping.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace vineyard::os {

namespace {

int Protection(Access access) {
  return access == Access::kRead ? PROT_READ : PROT_READ | PROT_WRITE;
}

// A huge page serves where file and addresses agree in their multiples of it. Pages below 2 MiB matter to
// who makes them present, not to readers.
uint64_t AlignmentOf(uint64_t size, Access access) {
  if (size >= kHugePage) return kHugePage;
  if (access == Access::kRead) return PageSize();
  return std::max(std::bit_floor(size), PageSize());
}

Status MapParts(std::byte* at, std::span<const FilePart> parts, int protection, int flags) {
  for (const FilePart& part : parts) {
    if (part.size == 0) continue;
    void* p = ::mmap(at, part.size, protection, flags | MAP_FIXED, part.fd, 0);
    if (p == MAP_FAILED) return ErrnoStatus("cannot map memory");
    // Smaller sizes of huge pages serve short files too; where the kernel has none, this is refused
    // and nothing is lost.
    ::madvise(at, part.size, MADV_HUGEPAGE);
    at += part.size;
  }
  return {};
}

Status PopulateRange(std::byte* begin, uint64_t length, int populate) {
  while (::madvise(begin, length, populate) != 0) {
    if (errno == EINTR || errno == EAGAIN) continue;
    if (errno == EFAULT || errno == ENOMEM || errno == EHWPOISON) {
      return Status::OutOfMemory("the machine (or this control group) has no pages left");
    }
    return ErrnoStatus("cannot make pages present");
  }
  return {};
}

}  // namespace

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    Reset();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    reserved_ = std::exchange(other.reserved_, nullptr);
    reserved_size_ = std::exchange(other.reserved_size_, 0);
  }
  return *this;
}

void Mapping::Reset() {
  if (reserved_ != nullptr) ::munmap(reserved_, reserved_size_);
  data_ = reserved_ = nullptr;
  size_ = reserved_size_ = 0;
}

Result<Mapping> Mapping::Open(std::span<const FilePart> parts, Access access) {
  uint64_t size = 0;
  for (const FilePart& part : parts) size += part.size;
  if (size == 0) return Status::Invalid("cannot map nothing");
  const uint64_t align = AlignmentOf(size, access);
  uint64_t reserve = RoundUp(size, PageSize()) + (align > PageSize() ? align : 0);
  void* p = ::mmap(nullptr, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return ErrnoStatus("cannot reserve addresses for a mapping");
  auto* begin = static_cast<std::byte*>(p);
  auto* data = reinterpret_cast<std::byte*>(RoundUp(reinterpret_cast<uintptr_t>(p), align));
  if (align < kHugePage) {
    // Of short mappings there may be many, and the kernel counts what is left beside each as another.
    std::byte* end = data + RoundUp(size, PageSize());
    std::byte* last = begin + reserve;
    // Refused where the process has all the mappings that it may: then what is beside goes with this.
    if (data > begin && ::munmap(begin, static_cast<size_t>(data - begin)) == 0) begin = data;
    if (end < last && ::munmap(end, static_cast<size_t>(last - end)) == 0) last = end;
    reserve = static_cast<uint64_t>(last - begin);
  }
  Mapping mapping;
  mapping.reserved_ = begin;
  mapping.reserved_size_ = reserve;
  mapping.data_ = data;
  mapping.size_ = size;
  VY_RETURN_IF_ERROR(MapParts(mapping.data_, parts, Protection(access), MAP_SHARED));
  return mapping;
}

Result<Mapping> Mapping::Open(const UniqueFd& fd, uint64_t size, Access access) {
  const FilePart part{fd.get(), size};
  return Open(std::span(&part, 1), access);
}

Status Mapping::MakePrivate(std::span<const FilePart> parts) {
  return MapParts(data_, parts, PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

// Without a reservation of memory for pages that may never be written to. Past libc, of whose mmap the
// thread sanitizer believes that it writes to the pages: other threads may be doing so, and notice nothing.
// Older kernels have taken the old mapping away when they refuse the new one.
Status Mapping::MakePrivate(uint64_t offset, const FilePart& part) {
  constexpr int kProtection = PROT_READ | PROT_WRITE;
  constexpr int kFlags = MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED;
  std::byte* at = data_ + offset;
  if (::syscall(SYS_mmap, at, part.size, kProtection, kFlags, part.fd, off_t{0}) == -1) {
    const Status s = ErrnoStatus("cannot map memory");
    MapParts(at, {&part, 1}, kProtection, MAP_SHARED).IgnoreError();
    return s;
  }
  ::madvise(at, part.size, MADV_HUGEPAGE);
  return {};
}

void Mapping::KeepFromChildren(uint64_t offset) {
  ::madvise(data_ + offset, size_ - offset, MADV_DONTFORK);
}

void Mapping::FillWithZeroPages() {
  ::mmap(data_, size_, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

Status Mapping::Populate(Access access, uint64_t offset, uint64_t length) {
  return PopulateRange(data_ + offset, length,
                       access == Access::kRead ? MADV_POPULATE_READ : MADV_POPULATE_WRITE);
}

Status MakePresent(std::span<std::byte> range) {
  const auto first = reinterpret_cast<uintptr_t>(range.data());
  const uint64_t before = first % PageSize();
  return PopulateRange(range.data() - before, before + range.size(), MADV_POPULATE_WRITE);
}

}  // namespace vineyard::os
