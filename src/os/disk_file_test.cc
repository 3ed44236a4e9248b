// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/disk_file.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/directory.h"
#include "os/disk_fault.h"
#include "os/memfd.h"

namespace vineyard::os {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

class DiskFileTest : public testing::TestWithParam<Caching> {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "/disk_file_XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    path_ = folder;
    ASSERT_OK_AND_ASSIGN(const Directory directory, Directory::Open(path_));
    ASSERT_OK_AND_ASSIGN(file_, directory.Create("file", GetParam()));
  }
  void TearDown() override {
    ClearDiskFault();
    std::filesystem::remove_all(path_);
  }
  static DiskBuffer Filled(uint64_t size, std::byte value) {
    DiskBuffer buffer = DiskBuffer::Make(size).value();
    std::ranges::fill(buffer.bytes(), value);
    return buffer;
  }

  std::string path_;
  DiskFile file_;
};

TEST_P(DiskFileTest, WhatIsWrittenIsRead) {
  const DiskBuffer ones = Filled(kMiB, std::byte{1});
  const DiskBuffer twos = Filled(kMiB, std::byte{2});
  ASSERT_OK(file_.Reserve(3 * kMiB));
  ASSERT_OK(file_.WriteAt(2 * kMiB, twos.bytes()));
  ASSERT_OK(file_.WriteAt(0, ones.bytes()));
  ASSERT_OK(file_.SyncData());
  const DiskBuffer back = Filled(kMiB, std::byte{9});
  EXPECT_EQ(file_.ReadAt(0, back.bytes()).value(), kMiB);
  EXPECT_TRUE(std::ranges::equal(back.bytes(), ones.bytes()));
  EXPECT_EQ(file_.ReadAt(2 * kMiB, back.bytes()).value(), kMiB);
  EXPECT_TRUE(std::ranges::equal(back.bytes(), twos.bytes()));
  EXPECT_EQ(file_.ReadAt(kMiB, back.bytes()).value(), kMiB);
  EXPECT_TRUE(std::ranges::all_of(back.bytes(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST_P(DiskFileTest, ReadsAtTheEndGetWhatThereIs) {
  const DiskBuffer bytes = Filled(3 * kDiskAlign, std::byte{1});
  ASSERT_OK(file_.WriteAt(0, bytes.bytes()));
  const DiskBuffer back = Filled(2 * kDiskAlign, std::byte{0});
  EXPECT_EQ(file_.ReadAt(2 * kDiskAlign, back.bytes()).value(), kDiskAlign);
  EXPECT_EQ(file_.ReadAt(3 * kDiskAlign, back.bytes()).value(), 0U);
  EXPECT_EQ(file_.ReadAt(100 * kDiskAlign, back.bytes()).value(), 0U);
}

TEST_P(DiskFileTest, ReservedBytesAreThereAndCounted) {
  ASSERT_OK(file_.Reserve(kMiB));
  ASSERT_OK_AND_ASSIGN(const FileInfo info, file_.Look());
  EXPECT_EQ(info.size, kMiB);
  EXPECT_EQ(info.links, 1U);
  EXPECT_EQ(info.kind, FileInfo::Kind::kFile);
  const Status most = file_.Reserve(uint64_t{1} << 62);
  EXPECT_FALSE(most.ok());
}

TEST_P(DiskFileTest, SeveralThreadsWriteAndReadAtOnce) {
  constexpr int kThreads = 4;
  ASSERT_OK(file_.Reserve(kThreads * kMiB));
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const auto value = static_cast<std::byte>(i + 1);
      const uint64_t at = static_cast<uint64_t>(i) * kMiB;
      const DiskBuffer bytes = Filled(kMiB, value);
      EXPECT_OK(file_.WriteAt(at, bytes.bytes()));
      const DiskBuffer back = Filled(kMiB, std::byte{0});
      EXPECT_EQ(file_.ReadAt(at, back.bytes()).value(), kMiB);
      EXPECT_TRUE(std::ranges::equal(back.bytes(), bytes.bytes()));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// A file system may take O_DIRECT and refuse what is written so.
TEST_P(DiskFileTest, WhatTheDiskRefusesDirectlyGoesThroughTheCache) {
  const DiskBuffer bytes = Filled(2 * kDiskAlign, std::byte{1});
  const auto odd = bytes.bytes().subspan(1, 100);
  ASSERT_OK(file_.WriteAt(3, odd));
  const DiskBuffer back = Filled(kDiskAlign, std::byte{0});
  EXPECT_EQ(file_.ReadAt(3, back.bytes().first(100)).value(), 100U);
  EXPECT_TRUE(std::ranges::equal(back.bytes().first(100), odd));
}

TEST_P(DiskFileTest, InjectedFaultsComeAtTheirPlaceAndEnd) {
  const DiskBuffer bytes = Filled(kDiskAlign, std::byte{1});
  SetDiskFault(DiskCall::kWrite, EIO, 2);
  EXPECT_OK(file_.WriteAt(0, bytes.bytes()));
  EXPECT_CODE(kIOError, file_.WriteAt(0, bytes.bytes()));
  EXPECT_CODE(kIOError, file_.WriteAt(0, bytes.bytes()));
  EXPECT_OK(file_.SyncData());
  EXPECT_TRUE(ClearDiskFault());
  EXPECT_FALSE(ClearDiskFault());
  EXPECT_OK(file_.WriteAt(0, bytes.bytes()));
  SetDiskFault(DiskCall::kWrite, EIO, 2, FaultLasts::kOnce);
  EXPECT_OK(file_.WriteAt(0, bytes.bytes()));
  EXPECT_CODE(kIOError, file_.WriteAt(0, bytes.bytes()));
  EXPECT_OK(file_.WriteAt(0, bytes.bytes()));
  EXPECT_TRUE(ClearDiskFault());
  SetDiskFault(DiskCall::kReserve, ENOSPC);
  EXPECT_CODE(kOutOfMemory, file_.Reserve(kMiB));
}

// How many pages of a file are in the page cache.
int64_t PagesInCache(const DiskFile& file, uint64_t size) {
  void* pages = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd().get(), 0);
  if (pages == MAP_FAILED) return -1;
  std::vector<unsigned char> present(size / PageSize());
  const int told = ::mincore(pages, size, present.data());
  ::munmap(pages, size);
  if (told != 0) return -1;
  return std::ranges::count_if(present, [](unsigned char p) { return (p & 1) != 0; });
}

// What it is for.
TEST_P(DiskFileTest, PastTheCacheLeavesNothingInItWhetherThereIsDirectAccessOrNot) {
  if (GetParam() == Caching::kThrough) GTEST_SKIP() << "it may";
  if (!file_.direct()) GTEST_SKIP() << "a file system in memory, or one without direct access";
  ASSERT_OK_AND_ASSIGN(const Directory directory, Directory::Open(path_));
  SetDiskFault(DiskCall::kDirect, 1);
  ASSERT_OK_AND_ASSIGN(DiskFile other, directory.Create("other", Caching::kAround));
  ASSERT_TRUE(ClearDiskFault());
  ASSERT_FALSE(other.direct());
  const DiskBuffer bytes = Filled(kMiB, std::byte{1});
  const DiskBuffer back = Filled(kMiB, std::byte{0});
  for (DiskFile* file : {&file_, &other}) {
    ASSERT_OK(file->WriteAt(0, bytes.bytes()));
    EXPECT_EQ(PagesInCache(*file, kMiB), 0) << file->direct();
    EXPECT_EQ(file->ReadAt(0, back.bytes()).value(), kMiB);
    EXPECT_TRUE(std::ranges::equal(back.bytes(), bytes.bytes()));
    EXPECT_EQ(PagesInCache(*file, kMiB), 0) << file->direct();
  }
}

INSTANTIATE_TEST_SUITE_P(Both, DiskFileTest, ::testing::Values(Caching::kAround, Caching::kThrough),
                         [](const auto& test) {
                           return test.param == Caching::kAround ? "Around" : "Through";
                         });

}  // namespace
}  // namespace vineyard::os
