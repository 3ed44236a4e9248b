// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/mapping.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <functional>
#include <vector>

#include "base/testing.h"

namespace vineyard::os {
namespace {

constexpr uint64_t kPage = 4096;

UniqueFd Memory(uint64_t size) { return CreateMemfd("mapping_test", size).value(); }

bool ChildSucceeds(const std::function<bool()>& check) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(check() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(Mapping, OfNothingIsRefused) {
  EXPECT_CODE(kInvalid, Mapping::Open(std::span<const FilePart>(), Access::kRead));
  const UniqueFd fd = Memory(kPage);
  EXPECT_CODE(kInvalid, Mapping::Open(fd, 0, Access::kRead));
}

TEST(Mapping, OfAClosedDescriptorIsRefused) {
  EXPECT_FALSE(Mapping::Open(UniqueFd(), kPage, Access::kRead).ok());
}

TEST(Mapping, MoreThanThereAreAddressesIsRefused) {
  const UniqueFd fd = Memory(kPage);
  EXPECT_FALSE(Mapping::Open(fd, uint64_t{1} << 60, Access::kRead).ok());
}

TEST(Mapping, ShowsFilesOneAfterAnother) {
  const UniqueFd first = Memory(2 * kPage);
  const UniqueFd second = Memory(kPage);
  const std::array parts{FilePart{first.get(), 2 * kPage}, FilePart{second.get(), kPage}};
  ASSERT_OK_AND_ASSIGN(const Mapping both, Mapping::Open(parts, Access::kReadWrite));
  ASSERT_EQ(both.size(), 3 * kPage);
  std::memset(both.data(), 'a', 2 * kPage);
  std::memset(both.data() + 2 * kPage, 'b', kPage);
  ASSERT_OK_AND_ASSIGN(const Mapping one, Mapping::Open(first, 2 * kPage, Access::kRead));
  ASSERT_OK_AND_ASSIGN(const Mapping two, Mapping::Open(second, kPage, Access::kRead));
  EXPECT_EQ(one.data()[2 * kPage - 1], std::byte{'a'});
  EXPECT_EQ(two.data()[0], std::byte{'b'});
}

TEST(Mapping, LargeOnesBeginWhereHugePagesDo) {
  const UniqueFd fd = Memory(kHugePage);
  for (int i = 0; i < 8; ++i) {
    ASSERT_OK_AND_ASSIGN(const Mapping mapping, Mapping::Open(fd, kHugePage, Access::kRead));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(mapping.data()) % kHugePage, 0u);
  }
}

TEST(Mapping, GivesItsAddressesBackWhenItGoes) {
  const UniqueFd fd = Memory(kPage);
  // Far more than there are addresses if any leaked: 2^17 times 1 GiB.
  for (int i = 0; i < (1 << 12); ++i) {
    ASSERT_OK(Mapping::Open(fd, uint64_t{1} << 40, Access::kRead));
  }
}

TEST(Mapping, MovedFromIsEmpty) {
  const UniqueFd fd = Memory(kPage);
  ASSERT_OK_AND_ASSIGN(Mapping a, Mapping::Open(fd, kPage, Access::kReadWrite));
  std::byte* const at = a.data();
  Mapping b = std::move(a);
  EXPECT_FALSE(a.valid());  // NOLINT: what a move leaves behind is under test
  EXPECT_EQ(b.data(), at);
  b.data()[0] = std::byte{1};
  a = std::move(b);
  EXPECT_EQ(a.data()[0], std::byte{1});
}

TEST(Mapping, PrivateWritesAreSeenByNobodyElseAndEarlierOnesByAll) {
  const UniqueFd fd = Memory(2 * kPage);
  ASSERT_OK_AND_ASSIGN(Mapping writer, Mapping::Open(fd, 2 * kPage, Access::kReadWrite));
  std::memset(writer.data(), 'a', 2 * kPage);
  std::byte* const at = writer.data();
  const FilePart part{fd.get(), 2 * kPage};
  ASSERT_OK(writer.MakePrivate(std::span(&part, 1)));
  EXPECT_EQ(writer.data(), at);
  EXPECT_EQ(writer.data()[0], std::byte{'a'});
  writer.data()[0] = std::byte{'b'};
  ASSERT_OK_AND_ASSIGN(const Mapping reader, Mapping::Open(fd, 2 * kPage, Access::kRead));
  EXPECT_EQ(reader.data()[0], std::byte{'a'});
  EXPECT_EQ(writer.data()[0], std::byte{'b'});
}

TEST(Mapping, KeptFromChildrenIsNotThereInAChild) {
  const UniqueFd fd = Memory(kPage);
  ASSERT_OK_AND_ASSIGN(Mapping mapping, Mapping::Open(fd, kPage, Access::kReadWrite));
  mapping.data()[0] = std::byte{7};
  mapping.KeepFromChildren();
  EXPECT_FALSE(ChildSucceeds([&] {
    std::signal(SIGSEGV, SIG_DFL);
    return mapping.data()[0] == std::byte{7};
  }));
  EXPECT_TRUE(ChildSucceeds([&] {
    mapping.FillWithZeroPages();
    mapping.data()[0] = std::byte{9};
    return mapping.data()[1] == std::byte{0};
  }));
  EXPECT_EQ(mapping.data()[0], std::byte{7});
}

TEST(Mapping, AReadMappingCannotBeWritten) {
  const UniqueFd fd = Memory(kPage);
  ASSERT_OK_AND_ASSIGN(const Mapping mapping, Mapping::Open(fd, kPage, Access::kRead));
  EXPECT_FALSE(ChildSucceeds([&] {
    std::signal(SIGSEGV, SIG_DFL);
    mapping.data()[0] = std::byte{1};
    return true;
  }));
}

TEST(Mapping, PopulateMakesThePagesOfTheFilePresent) {
  const UniqueFd fd = Memory(16 * kPage);
  ASSERT_OK_AND_ASSIGN(Mapping mapping, Mapping::Open(fd, 16 * kPage, Access::kReadWrite));
  ASSERT_OK(mapping.Populate(Access::kReadWrite));
  std::vector<unsigned char> present(16);
  ASSERT_EQ(::mincore(mapping.data(), 16 * kPage, present.data()), 0);
  for (const unsigned char p : present) EXPECT_EQ(p & 1, 1);
}

// What would be a SIGBUS when touched is an error beforehand.
TEST(Mapping, PopulateBehindTheEndOfTheFileFails) {
  const UniqueFd fd = Memory(kPage);
  ASSERT_OK_AND_ASSIGN(Mapping mapping, Mapping::Open(fd, 4 * kPage, Access::kReadWrite));
  EXPECT_FALSE(mapping.Populate(Access::kReadWrite).ok());
}

}  // namespace
}  // namespace vineyard::os
