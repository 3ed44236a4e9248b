// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The kernel's promises that the store is built on, tried on the kernel that runs the test. What must
// be refused must be refused to root too, which CI runs as.
#include "os/memfd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>

#include "base/testing.h"
#include "os/mapping.h"
#include "os/socket.h"

namespace vineyard::os {
namespace {

constexpr uint64_t kSize = 4 * 4096;

class Memfd : public ::testing::Test {
 protected:
  void SetUp() override {
    IgnoreLeaseSignals();
    auto made = CreateMemfd("memfd_test", kSize);
    ASSERT_OK(made);
    fd_ = std::move(made).value();
  }

  void Fill(char value) {
    auto mapping = Mapping::Open(fd_, kSize, Access::kReadWrite);
    ASSERT_OK(mapping);
    std::memset(mapping->data(), value, kSize);
  }
  // Every byte is `value`, seen through a fresh mapping.
  void ExpectAll(char value) {
    auto mapping = Mapping::Open(fd_, kSize, Access::kRead);
    ASSERT_OK(mapping);
    for (const std::byte b : mapping->bytes()) ASSERT_EQ(static_cast<char>(b), value);
  }

  UniqueFd fd_;
};

// Whether mmap gives a shared mapping that may be written.
bool MapsWritable(const UniqueFd& fd) {
  void* p = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (p == MAP_FAILED) return false;
  ::munmap(p, kSize);
  return true;
}

bool Punches(const UniqueFd& fd) {
  return ::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
}

// A forked child that lives until told to end.
class Sleeper {
 public:
  Sleeper() : pid_(::fork()) {
    if (pid_ != 0) return;
    while (true) ::pause();
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  ~Sleeper() { Kill(); }
  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

TEST_F(Memfd, CannotShrinkOrGrowThroughAnyDescriptor) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd again, Reopen(fd_, Access::kReadWrite));
  for (const UniqueFd* fd : std::initializer_list<const UniqueFd*>{&fd_, &again}) {
    EXPECT_NE(::ftruncate(fd->get(), 0), 0);
    EXPECT_NE(::ftruncate(fd->get(), 2 * kSize), 0);
    EXPECT_NE(::fallocate(fd->get(), 0, 0, 2 * kSize), 0);
  }
  EXPECT_EQ(FileSize(fd_).value(), kSize);
  EXPECT_TRUE(HasFixedSize(fd_));
}

TEST_F(Memfd, AnotherFileHasNoFixedSize) {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_FALSE(HasFixedSize(null));
  EXPECT_FALSE(IsSealedForever(null).ok());
  EXPECT_FALSE(HasFixedSize(UniqueFd()));
  const UniqueFd loose(::memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_FALSE(HasFixedSize(loose));
}

TEST_F(Memfd, CannotBeMadeLargerThanAFileCanBe) {
  EXPECT_FALSE(CreateMemfd("memfd_test", uint64_t{1} << 63).ok());
}

TEST_F(Memfd, IsZeroAtFirst) { ExpectAll(0); }

TEST_F(Memfd, SealIsRefusedWhileAWritableMappingIsLeft) {
  {
    ASSERT_OK_AND_ASSIGN(const Mapping writer, Mapping::Open(fd_, kSize, Access::kReadWrite));
    EXPECT_CODE(kFailedPrecondition, SealForever(fd_));
  }
  EXPECT_FALSE(IsSealedForever(fd_).value());
  EXPECT_OK(SealForever(fd_));
  EXPECT_TRUE(IsSealedForever(fd_).value());
}

TEST_F(Memfd, SealIsRefusedWhileAForkedChildHasItMapped) {
  auto writer =
      std::make_unique<Mapping>(std::move(Mapping::Open(fd_, kSize, Access::kReadWrite)).value());
  Sleeper child;
  writer.reset();
  EXPECT_CODE(kFailedPrecondition, SealForever(fd_));
  child.Kill();
  EXPECT_OK(SealForever(fd_));
}

TEST_F(Memfd, SealingTwiceIsFine) {
  ASSERT_OK(SealForever(fd_));
  EXPECT_OK(SealForever(fd_));
}

TEST_F(Memfd, WhatIsSealedForFutureWritesOnlyCannotBeSealedForever) {
  ASSERT_OK(SealFutureWrites(fd_));
  EXPECT_CODE(kPermissionDenied, SealForever(fd_));
  EXPECT_FALSE(IsSealedForever(fd_).value());
}

TEST_F(Memfd, SealedBytesCannotBeChangedThroughAnything) {
  Fill('x');
  ASSERT_OK(SealForever(fd_));
  ASSERT_OK_AND_ASSIGN(const UniqueFd again, Reopen(fd_, Access::kReadWrite));
  for (const UniqueFd* fd : std::initializer_list<const UniqueFd*>{&fd_, &again}) {
    EXPECT_FALSE(MapsWritable(*fd));
    EXPECT_EQ(::pwrite(fd->get(), "y", 1, 0), -1);
    EXPECT_FALSE(Punches(*fd));
    EXPECT_NE(::fallocate(fd->get(), FALLOC_FL_ZERO_RANGE, 0, 4096), 0);
    EXPECT_NE(::ftruncate(fd->get(), 0), 0);
    EXPECT_NE(::fcntl(fd->get(), F_ADD_SEALS, F_SEAL_GROW), 0);  // SEAL_SEAL is on
    EXPECT_FALSE(PunchAll(*fd, kSize).ok());
  }
  // A read-only shared mapping cannot be made writable.
  ASSERT_OK_AND_ASSIGN(const UniqueFd reader, Reopen(fd_, Access::kRead));
  ASSERT_OK_AND_ASSIGN(const Mapping mapping, Mapping::Open(reader, kSize, Access::kRead));
  EXPECT_NE(::mprotect(mapping.data(), kSize, PROT_READ | PROT_WRITE), 0);
  EXPECT_NE(::madvise(mapping.data(), kSize, MADV_REMOVE), 0);
  ::madvise(mapping.data(), kSize, MADV_DONTNEED);
  ExpectAll('x');
}

TEST_F(Memfd, SealedBytesCannotBeWrittenThroughProcMem) {
  Fill('x');
  ASSERT_OK(SealForever(fd_));
  ASSERT_OK_AND_ASSIGN(const Mapping mapping, Mapping::Open(fd_, kSize, Access::kRead));
  const UniqueFd memory(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(memory.valid());
  // Some kernels give the writer a private copy instead of an error; the file keeps its bytes.
  const auto offset = static_cast<off_t>(reinterpret_cast<uintptr_t>(mapping.data()));
  [[maybe_unused]] const ssize_t n = ::pwrite(memory.get(), "y", 1, offset);
  ExpectAll('x');
}

TEST_F(Memfd, PrivateChangesToSealedMemoryStayPrivate) {
  Fill('x');
  ASSERT_OK_AND_ASSIGN(Mapping mapping, Mapping::Open(fd_, kSize, Access::kReadWrite));
  const FilePart part{fd_.get(), kSize};
  ASSERT_OK(mapping.MakePrivate(std::span(&part, 1)));
  ASSERT_OK(SealForever(fd_));
  std::memset(mapping.data(), 'y', kSize);
  ExpectAll('x');
}

TEST_F(Memfd, FutureWriteSealLeavesOnlyEarlierMappingsWritable) {
  ASSERT_OK_AND_ASSIGN(const Mapping writer, Mapping::Open(fd_, kSize, Access::kReadWrite));
  ASSERT_OK(SealFutureWrites(fd_));
  ASSERT_OK_AND_ASSIGN(const UniqueFd again, Reopen(fd_, Access::kReadWrite));
  for (const UniqueFd* fd : std::initializer_list<const UniqueFd*>{&fd_, &again}) {
    EXPECT_FALSE(MapsWritable(*fd));
    EXPECT_EQ(::pwrite(fd->get(), "y", 1, 0), -1);
    EXPECT_FALSE(Punches(*fd));
    EXPECT_NE(::ftruncate(fd->get(), 0), 0);
  }
  std::memset(writer.data(), 'w', kSize);
  ExpectAll('w');
  ASSERT_OK_AND_ASSIGN(const Mapping reader, Mapping::Open(again, kSize, Access::kRead));
  EXPECT_NE(::mprotect(reader.data(), kSize, PROT_READ | PROT_WRITE), 0);
  EXPECT_NE(::madvise(reader.data(), kSize, MADV_REMOVE), 0);
  ExpectAll('w');
}

TEST_F(Memfd, AReadOnlyOpeningCannotBeTruncatedByWayOfProc) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd reader, Reopen(fd_, Access::kRead));
  EXPECT_NE(::ftruncate(reader.get(), 0), 0);
  const std::string path = "/proc/self/fd/" + std::to_string(reader.get());
  EXPECT_NE(::truncate(path.c_str(), 0), 0);
  EXPECT_EQ(FileSize(fd_).value(), kSize);
}

TEST_F(Memfd, PunchGivesThePagesBackUnderWhoeverMapsThem) {
  Fill('x');
  ASSERT_OK_AND_ASSIGN(const Mapping mapping, Mapping::Open(fd_, kSize, Access::kRead));
  ASSERT_OK(PunchAll(fd_, kSize));
  for (const std::byte b : mapping.bytes()) ASSERT_EQ(b, std::byte{0});
}

TEST_F(Memfd, IsHeldByNobodyWhenOnlyDuplicatesOfItsFirstOpeningAreLeft) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd copy, fd_.Duplicate());
  EXPECT_FALSE(IsHeldElsewhere(fd_).value());
  // The keeper's copy is one of these too: a child has all of them.
  const Sleeper child;
  EXPECT_FALSE(IsHeldElsewhere(fd_).value());
}

TEST_F(Memfd, IsHeldByAnotherOpening) {
  for (const Access access : {Access::kRead, Access::kReadWrite}) {
    {
      ASSERT_OK_AND_ASSIGN(const UniqueFd other, Reopen(fd_, access));
      EXPECT_TRUE(IsHeldElsewhere(fd_).value());
    }
    EXPECT_FALSE(IsHeldElsewhere(fd_).value());
  }
}

TEST_F(Memfd, IsHeldByAMappingWhoseDescriptorIsClosed) {
  auto other = Reopen(fd_, Access::kRead);
  ASSERT_OK(other);
  {
    ASSERT_OK_AND_ASSIGN(const Mapping mapping, Mapping::Open(*other, kSize, Access::kRead));
    other->Reset();
    EXPECT_TRUE(IsHeldElsewhere(fd_).value());
  }
  EXPECT_FALSE(IsHeldElsewhere(fd_).value());
}

TEST_F(Memfd, IsHeldByAForkedChildOfWhoMappedIt) {
  auto other = Reopen(fd_, Access::kRead);
  ASSERT_OK(other);
  auto mapping = Mapping::Open(*other, kSize, Access::kRead);
  ASSERT_OK(mapping);
  Sleeper child;
  other->Reset();
  mapping->Reset();
  EXPECT_TRUE(IsHeldElsewhere(fd_).value());
  child.Kill();
  EXPECT_FALSE(IsHeldElsewhere(fd_).value());
}

TEST_F(Memfd, IsHeldByAPrivateMappingToo) {
  auto other = Reopen(fd_, Access::kReadWrite);
  ASSERT_OK(other);
  void* p = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE, other->get(), 0);
  ASSERT_NE(p, MAP_FAILED);
  other->Reset();
  EXPECT_TRUE(IsHeldElsewhere(fd_).value());
  ::munmap(p, kSize);
  EXPECT_FALSE(IsHeldElsewhere(fd_).value());
}

TEST_F(Memfd, IsHeldByADescriptorOnItsWayThroughASocket) {
  ASSERT_OK_AND_ASSIGN(auto pair, SocketPair());
  {
    ASSERT_OK_AND_ASSIGN(const UniqueFd other, Reopen(fd_, Access::kRead));
    char byte = 'x';
    const iovec part{&byte, 1};
    const int number = other.get();
    ASSERT_OK(SendSome(pair.first, std::span(&part, 1), std::span(&number, 1)));
  }
  EXPECT_TRUE(IsHeldElsewhere(fd_).value());
  pair.second.Reset();
  pair.first.Reset();
  EXPECT_FALSE(IsHeldElsewhere(fd_).value());
}

TEST_F(Memfd, AskingWhoHoldsItDoesNotDisturbTheHolder) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd other, Reopen(fd_, Access::kReadWrite));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(IsHeldElsewhere(fd_).value());
  EXPECT_OK(Reopen(fd_, Access::kReadWrite));
  EXPECT_TRUE(MapsWritable(other));
}

TEST_F(Memfd, IdentityTellsTheSameMemoryFromAnother) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd again, Reopen(fd_, Access::kRead));
  ASSERT_OK_AND_ASSIGN(const UniqueFd other, CreateMemfd("other", kSize));
  EXPECT_EQ(FileIdentity(fd_).value(), FileIdentity(again).value());
  EXPECT_NE(FileIdentity(fd_).value(), FileIdentity(other).value());
}

TEST_F(Memfd, QuestionsAboutNoDescriptorAreErrors) {
  const UniqueFd none;
  EXPECT_FALSE(FileSize(none).ok());
  EXPECT_FALSE(FileIdentity(none).ok());
  EXPECT_FALSE(Reopen(none, Access::kRead).ok());
  EXPECT_FALSE(IsHeldElsewhere(none).ok());
  EXPECT_FALSE(none.Duplicate().ok());
}

}  // namespace
}  // namespace vineyard::os
