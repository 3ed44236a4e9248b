// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Nobody, root included, changes what is stored through any descriptor or mapping that can be had.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/memfd.h"
#include "testing/raw_client.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

namespace fs = std::filesystem;
using testing::Builder;
using testing::Bytes;
using testing::FreshToken;
using testing::HelloFrame;
using testing::HoldsPattern;
using testing::MakeFrame;
using testing::Pattern;
using testing::PutPattern;
using testing::RawClient;
using testing::TestDaemon;

constexpr size_t kMiB = size_t{1} << 20;

uint64_t SizeOf(int fd) {
  struct stat info{};
  EXPECT_EQ(::fstat(fd, &info), 0);
  return static_cast<uint64_t>(info.st_size);
}

Bytes ContentOf(int fd) {
  Bytes bytes(SizeOf(fd));
  EXPECT_EQ(::pread(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

// Everything one may try with a descriptor. `may_write`: its bytes are meant to be written.
void Attack(int fd, const std::string& what, bool may_write) {
  const auto size = static_cast<off_t>(SizeOf(fd));
  EXPECT_NE(::ftruncate(fd, 0), 0) << what;
  EXPECT_NE(::ftruncate(fd, size - 4096), 0) << what;
  EXPECT_NE(::ftruncate(fd, size + 4096), 0) << what;
  EXPECT_NE(::fallocate(fd, 0, size, 4096), 0) << what;
  if (may_write) return;
  const char junk[64] = "junk";
  EXPECT_LE(::pwrite(fd, junk, sizeof junk, 0), 0) << what;
  EXPECT_LE(::pwrite(fd, junk, sizeof junk, size - 64), 0) << what;
  EXPECT_NE(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size), 0) << what;
  EXPECT_NE(::fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, size), 0) << what;
  const auto length = static_cast<size_t>(size);
  EXPECT_EQ(::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED) << what;
  void* at = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return;
  EXPECT_NE(::mprotect(at, length, PROT_READ | PROT_WRITE), 0) << what;
  EXPECT_NE(::madvise(at, length, MADV_REMOVE), 0) << what;
  ::munmap(at, length);
  // One's own copy may be written; it is nobody else's.
  at = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (at == MAP_FAILED) return;
  std::memset(at, 0x5a, length);
  EXPECT_NE(::madvise(at, length, MADV_REMOVE), 0) << what;
  ::munmap(at, length);
}

// The descriptor itself, and every new opening of what it refers to.
void AttackEveryWay(const std::string& path, const std::string& what, bool may_write = false) {
  const os::UniqueFd readable(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(readable.valid()) << what << ": " << std::strerror(errno);
  const Bytes before = ContentOf(readable.get());
  Attack(readable.get(), what + ", reopened for reading", may_write);
  for (const int flags : {O_RDWR, O_WRONLY, O_RDWR | O_TRUNC, O_RDWR | O_APPEND}) {
    const os::UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
    if (fd.valid()) Attack(fd.get(), fmt::format("{}, reopened with {:o}", what, flags), may_write);
  }
  EXPECT_NE(::truncate(path.c_str(), 0), 0) << what;
  if (!may_write) {
    EXPECT_TRUE(ContentOf(readable.get()) == before) << what << " has changed";
  }
}

std::string PathOf(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

// Of all memory files that a process has open: where they are, and what they are.
std::vector<std::pair<std::string, std::string>> MemoryFiles(pid_t pid) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", pid))) {
    std::error_code error;
    const std::string target = fs::read_symlink(entry.path(), error).string();
    if (!target.starts_with("/memfd:vineyard-")) continue;
    files.emplace_back(entry.path().string(), target.substr(0, target.find(' ')));
  }
  return files;
}

class Protection : public ::testing::Test {
 protected:
  Protection() : client_(daemon_.Connect()) {
    EXPECT_OK(PutPattern(client_, 1, 1000, "small"));
    auto large = PutPattern(client_, 2, 3 * kMiB + 100, "large");
    EXPECT_OK(large);
    if (large.ok()) large_ = *large;
  }
  void ExpectUnharmed() {
    for (Client* reader : {&client_, static_cast<Client*>(nullptr)}) {
      Client fresh = daemon_.Connect();
      Client& c = reader == nullptr ? fresh : *reader;
      EXPECT_TRUE(HoldsPattern(c.Get("small"), 1, 1000));
      EXPECT_TRUE(HoldsPattern(c.Get("large"), 2, 3 * kMiB + 100));
    }
    EXPECT_EQ(client_.GetStatus().value().generation, 1U);
  }

  TestDaemon daemon_;
  Client client_;
  ObjectId large_;
};

TEST_F(Protection, NothingThatAClientIsGivenChangesWhatIsStored) {
  RawClient raw(daemon_.socket());
  const auto welcome = raw.Ask(HelloFrame(FreshToken()));
  ASSERT_TRUE(welcome);
  ASSERT_FALSE(welcome->fds.empty());
  const auto arenas = raw.Ask(MakeFrame(fb::RequestBody::OpenCatalog, [](Builder& b) {
    std::vector<uint32_t> numbers(64);
    for (uint32_t i = 0; i < 64; ++i) numbers[i] = i;
    return fb::CreateOpenCatalog(b, b.CreateVector(numbers)).Union();
  }));
  ASSERT_TRUE(arenas);
  ASSERT_FALSE(arenas->fds.empty());
  const auto got = raw.Ask(MakeFrame(fb::RequestBody::Get, [&](Builder& b) {
    return fb::CreateGet(b, large_.value(), 0, false, 0, true).Union();
  }));
  ASSERT_TRUE(got);
  ASSERT_EQ(got->fds.size(), 2U);
  daemon_.PauseEngine();  // what changes now, we have changed
  for (const os::UniqueFd& fd : welcome->fds) {
    Attack(fd.get(), "catalog", false);
    AttackEveryWay(PathOf(fd.get()), "catalog");
  }
  for (const os::UniqueFd& fd : arenas->fds) {
    Attack(fd.get(), "arena", false);
    AttackEveryWay(PathOf(fd.get()), "arena");
  }
  for (const os::UniqueFd& fd : got->fds) {
    Attack(fd.get(), "chunk", false);
    AttackEveryWay(PathOf(fd.get()), "chunk");
  }
  daemon_.ResumeEngine();
  ExpectUnharmed();
}

TEST_F(Protection, WhatAWriterHadBeforeTheSealIsOfNoUseAfterIt) {
  RawClient raw(daemon_.socket(), FreshToken());
  const auto reserved = raw.Ask(MakeFrame(fb::RequestBody::Reserve, [](Builder& b) {
    return fb::CreateReserve(b, kMiB, 1000).Union();
  }));
  ASSERT_TRUE(reserved);
  ASSERT_EQ(reserved->fds.size(), 1U);
  const int fd = reserved->fds[0].get();
  AttackEveryWay(PathOf(fd), "reservation", true);
  void* at = ::mmap(nullptr, kMiB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ASSERT_NE(at, MAP_FAILED);
  std::memset(at, 1, kMiB);
  // As long as it can be written it can't be sealed, and unsealed it is not published.
  EXPECT_CODE(kFailedPrecondition, os::SealForever(reserved->fds[0]));
  ASSERT_EQ(::mprotect(at, kMiB, PROT_READ), 0);
  EXPECT_CODE(kFailedPrecondition, os::SealForever(reserved->fds[0]))
      << "it could be made writable";
  ::munmap(at, kMiB);
  ASSERT_OK(os::SealForever(reserved->fds[0]));
  Attack(fd, "the writer's own descriptor", false);
  AttackEveryWay(PathOf(fd), "sealed memory");
}

TEST_F(Protection, NotEvenTheInstancesOwnDescriptorsChangeWhatIsStored) {
  auto reserved = client_.CreateBlob(2 * kMiB);
  ASSERT_OK(reserved);
  const pid_t engine = daemon_.engine();
  // The keeper takes what it is sent in its own time.
  ASSERT_TRUE(testing::Eventually([&] {
    const auto files = MemoryFiles(daemon_.keeper());
    return std::ranges::count(files, "/memfd:vineyard-chunk",
                              &std::pair<std::string, std::string>::second) >= 3;
  }));
  daemon_.PauseEngine();
  daemon_.PauseKeeper();
  std::map<std::string, int> met;
  for (const pid_t pid : {engine, daemon_.keeper()}) {
    for (const auto& [path, target] : MemoryFiles(pid)) {
      ++met[target];
      const os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      ASSERT_TRUE(fd.valid());
      auto sealed = os::IsSealedForever(fd);
      const bool is_open = target == "/memfd:vineyard-chunk" && sealed.ok() && !*sealed;
      const bool is_ledger = target == "/memfd:vineyard-ledger";  // no client ever gets it
      AttackEveryWay(path, fmt::format("{} of process {}", target, pid), is_open || is_ledger);
    }
  }
  EXPECT_GE(met["/memfd:vineyard-chunk"], 6);
  EXPECT_GE(met["/memfd:vineyard-arena"], 2);
  EXPECT_GE(met["/memfd:vineyard-catalog"], 2);
  EXPECT_GE(met["/memfd:vineyard-ledger"], 2);
  daemon_.ResumeKeeper();
  daemon_.ResumeEngine();
  ExpectUnharmed();
  EXPECT_OK(client_.Seal(std::move(*reserved)));
}

TEST_F(Protection, WhatAReaderMapsCantBeMadeWritable) {
  auto object = client_.Get(large_);
  ASSERT_OK(object);
  auto* at = const_cast<std::byte*>(object->buffers()[0].data());
  const auto address = reinterpret_cast<uintptr_t>(at) & ~uintptr_t{4095};
  auto* page = reinterpret_cast<void*>(address);
  EXPECT_NE(::mprotect(page, 4096, PROT_READ | PROT_WRITE), 0);
  EXPECT_NE(::madvise(page, 4096, MADV_REMOVE), 0);
  testing::Child writer([&] {
    *at = std::byte{1};  // a fault
    return 0;
  });
  const int end = writer.Wait();
  EXPECT_NE(end, 0);
  ExpectUnharmed();
}

TEST_F(Protection, AfterARestartToo) {
  daemon_.KillEngine();
  ASSERT_OK(client_.GetStatus());
  RawClient raw(daemon_.socket(), FreshToken());
  const auto got = raw.Ask(MakeFrame(fb::RequestBody::Get, [&](Builder& b) {
    return fb::CreateGet(b, large_.value(), 0, false, 0, true).Union();
  }));
  ASSERT_TRUE(got);
  for (const os::UniqueFd& fd : got->fds) AttackEveryWay(PathOf(fd.get()), "chunk");
  EXPECT_TRUE(HoldsPattern(client_.Get("large"), 2, 3 * kMiB + 100));
}

}  // namespace
}  // namespace vineyard
