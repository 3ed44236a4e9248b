// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/private_pages.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "os/fd.h"
#include "os/memfd.h"

namespace vineyard::os {

namespace {

// As in linux/fs.h since 6.7, which Debian 12 does not have.
struct PageRegion {
  uint64_t start;
  uint64_t end;
  uint64_t categories;
};
struct PagemapScan {
  uint64_t size;
  uint64_t flags;
  uint64_t start;
  uint64_t end;
  uint64_t walk_end;
  uint64_t vec;
  uint64_t vec_len;
  uint64_t max_pages;
  uint64_t category_inverted;
  uint64_t category_mask;
  uint64_t category_anyof_mask;
  uint64_t return_mask;
};
constexpr uint64_t kIsFile = 1 << 2;
constexpr uint64_t kIsPresent = 1 << 3;
constexpr uint64_t kIsSwapped = 1 << 4;
constexpr unsigned long kScan = _IOWR('f', 16, PagemapScan);

// A page's word in /proc/self/pagemap.
constexpr uint64_t kWordFile = uint64_t{1} << 61;
constexpr uint64_t kWordSwapped = uint64_t{1} << 62;
constexpr uint64_t kWordPresent = uint64_t{1} << 63;

struct Pages {
  uint64_t begin;
  uint64_t end;
};

Pages PagesOf(const std::byte* address, uint64_t length) {
  const auto first = reinterpret_cast<uintptr_t>(address);
  return {first / PageSize() * PageSize(), RoundUp(first + length, PageSize())};
}

Result<UniqueFd> OpenPagemap() {
  UniqueFd fd(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus("cannot look at the pages of this process");
  return fd;
}

// nullopt where the kernel does not know how.
Result<std::optional<uint64_t>> Scan(const UniqueFd& pagemap, Pages pages) {
  std::array<PageRegion, 64> regions;
  uint64_t bytes = 0;
  while (pages.begin < pages.end) {
    PagemapScan scan{};
    scan.size = sizeof scan;
    scan.start = pages.begin;
    scan.end = pages.end;
    scan.vec = reinterpret_cast<uintptr_t>(regions.data());
    scan.vec_len = regions.size();
    scan.category_inverted = kIsFile;
    scan.category_mask = kIsFile;
    scan.category_anyof_mask = kIsPresent | kIsSwapped;
    scan.return_mask = kIsPresent | kIsSwapped;
    const int found = ::ioctl(pagemap.get(), kScan, &scan);
    if (found < 0 && errno == EINTR) continue;
    if (found < 0 && (errno == ENOTTY || errno == EINVAL)) return std::optional<uint64_t>();
    if (found < 0) return ErrnoStatus("cannot scan the pages of this process");
    for (int i = 0; i < found; ++i) {
      bytes += regions[static_cast<size_t>(i)].end - regions[static_cast<size_t>(i)].start;
    }
    if (scan.walk_end <= pages.begin) return Status::Internal("a scan of pages does not advance");
    pages.begin = scan.walk_end;
  }
  return std::optional(bytes);
}

Result<uint64_t> ReadWords(const UniqueFd& pagemap, Pages pages) {
  std::array<uint64_t, 4096> words;
  const uint64_t last = pages.end / PageSize();
  uint64_t bytes = 0;
  for (uint64_t page = pages.begin / PageSize(); page < last;) {
    const size_t wanted = std::min<uint64_t>(words.size(), last - page) * sizeof(uint64_t);
    const ssize_t got =
        ::pread(pagemap.get(), words.data(), wanted, static_cast<off_t>(page * sizeof(uint64_t)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus("cannot read which pages this process has");
    const size_t count = static_cast<size_t>(got) / sizeof(uint64_t);
    if (count == 0) return Status::Internal("the list of this process's pages ends early");
    for (size_t i = 0; i < count; ++i) {
      const bool there = (words[i] & (kWordPresent | kWordSwapped)) != 0;
      if (there && (words[i] & kWordFile) == 0) bytes += PageSize();
    }
    page += count;
  }
  return bytes;
}

}  // namespace

Result<uint64_t> PrivateBytesIn(const std::byte* address, uint64_t length) {
  if (length == 0) return 0;
  VY_ASSIGN_OR_RETURN(const UniqueFd pagemap, OpenPagemap());
  const Pages pages = PagesOf(address, length);
  VY_ASSIGN_OR_RETURN(const std::optional<uint64_t> bytes, Scan(pagemap, pages));
  if (bytes) return *bytes;
  return ReadWords(pagemap, pages);
}

Result<uint64_t> PrivateBytesByPagemap(const std::byte* address, uint64_t length) {
  if (length == 0) return 0;
  VY_ASSIGN_OR_RETURN(const UniqueFd pagemap, OpenPagemap());
  return ReadWords(pagemap, PagesOf(address, length));
}

}  // namespace vineyard::os
