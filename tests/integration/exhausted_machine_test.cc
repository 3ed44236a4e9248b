// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A machine that has run out of something: memory, descriptors, mappings, threads, room for the log. Whoever asks for
// more of it gets an error that says so, and goes on when there is some again; nobody else notices.
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/fd.h"
#include "os/mapping.h"
#include "testing/test_daemon.h"
#include "testing/test_group.h"

namespace vineyard {
namespace {

using testing::Bell;
using testing::Child;
using testing::ChildOf;
using testing::Eventually;
using testing::HoldsPattern;
using testing::kLarge;
using testing::kSmall;
using testing::PutPattern;
using testing::TestDaemon;
using testing::TestGroup;

constexpr uint64_t kMiB = uint64_t{1} << 20;

// ---- memory, of control groups

class MemoryGroup : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::IsInstrumented()) GTEST_SKIP() << "a sanitizer's own memory is counted too";
    std::string why;
    group_ = TestGroup::Make("memory", &why);
    if (group_ == nullptr) GTEST_SKIP() << why;
  }
  // In the group, without the copy that it was made as.
  int RunInGroup(const std::function<int()>& run) {
    Child child([&] { return group_->Add(::getpid()) ? run() : 100; });
    return child.Wait();
  }
  std::unique_ptr<TestGroup> group_;
};

// What the other tests rely on.
TEST_F(MemoryGroup, WhoTakesMoreThanItsGroupHasIsEnded) {
  ASSERT_TRUE(group_->LimitMemory(64 * kMiB));
  EXPECT_EQ(RunInGroup([] {
              void* p = ::mmap(nullptr, 256 * kMiB, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
              std::memset(p, 1, 256 * kMiB);
              return 0;
            }),
            -SIGKILL);
}

TEST_F(MemoryGroup, WhatIsPutAndReadIsChargedToTheInstance) {
  TestDaemon daemon({.size = "600Mi"});
  ASSERT_TRUE(group_->LimitMemory(64 * kMiB));
  EXPECT_EQ(RunInGroup([&] {
              Client client = daemon.Connect();
              auto blob = client.CreateBlob(300 * kMiB);
              if (!blob.ok()) return 1;
              std::memset(blob->data(), 7, blob->size());
              auto sealed = client.Seal(std::move(*blob));
              if (!sealed.ok()) return 2;
              ObjectBuilder builder("large");
              builder.AddBuffer(*sealed);
              if (!client.Put(builder, {.timeout = {}, .name = "large"}).ok()) return 3;
              auto allocated = client.Allocate(100 * kMiB);
              if (!allocated.ok()) return 4;
              std::memset(allocated->data(), 8, allocated->size());
              return 0;
            }),
            0);
  EXPECT_EQ(RunInGroup([&] {
              Client client = daemon.Connect();
              auto large = client.Get("large");
              if (!large.ok() || large->buffers().size() != 1) return 1;
              for (const std::byte b : large->buffers()[0].bytes()) {
                if (b != std::byte{7}) return 2;
              }
              return 0;
            }),
            0);
  EXPECT_LT(group_->MostMemory(), 64 * kMiB);
}

// As in a pod whose limit is below --size.
TEST_F(MemoryGroup, AnInstanceThatHasLessThanItsSizeRefusesWhatDoesNotFit) {
  TestDaemon daemon({.size = "600Mi"});
  Client client = daemon.Connect();
  ASSERT_TRUE(group_->LimitMemory(256 * kMiB));
  for (pid_t pid = daemon.keeper(); pid > 0; pid = ChildOf(pid)) ASSERT_TRUE(group_->Add(pid));
  std::vector<ObjectId> ids;
  Status refused;
  for (uint64_t i = 0; i < 20 && refused.ok(); ++i) {
    auto blob = client.CreateBlob(40 * kMiB);
    refused = blob.status();
    if (!blob.ok()) break;
    std::memset(blob->data(), static_cast<int>(i), blob->size());
    auto sealed = client.Seal(std::move(*blob));
    ASSERT_OK(sealed);
    ids.push_back(sealed->id());
  }
  EXPECT_CODE(kOutOfMemory, refused);
  EXPECT_GE(ids.size(), 3U);
  EXPECT_LE(ids.size(), 6U);
  EXPECT_OK(PutPattern(client, 1, kSmall, "small"));
  ASSERT_OK(client.Delete(ids));
  EXPECT_TRUE(Eventually([&] { return client.CreateBlob(40 * kMiB).ok(); }));
  EXPECT_TRUE(HoldsPattern(client.Get("small"), 1, kSmall));
  EXPECT_EQ(client.GetStatus().value().generation, 1U) << "the engine has died of it";
}

// ---- a client's own limits

class ExhaustedClient : public ::testing::Test {
 protected:
  ExhaustedClient() {
    Client client = daemon_.Connect();
    EXPECT_OK(PutPattern(client, 1, kSmall, "small"));
    EXPECT_OK(PutPattern(client, 2, kLarge, "large"));
    EXPECT_OK(PutPattern(client, 3, 20 * kMiB, "huge"));
  }
  // In a process of its own. What is missing is so between `exhaust` and `relieve`.
  void ExpectRefusedAndThenServed(const std::function<void()>& exhaust,
                                  const std::function<void()>& relieve, StatusCode code) {
    Child child([&] {
      Client client = daemon_.Connect();
      if (!HoldsPattern(client.Get("small"), 1, kSmall)) return 1;
      const std::vector<std::byte> bytes = testing::Pattern(4, 20 * kMiB);
      const auto put_mine = [&] {
        ObjectBuilder builder("test");
        builder.AddBuffer(bytes);
        return client.Put(builder, {.timeout = {}, .name = "mine"}).status();
      };
      exhaust();
      const Status got = client.Get("huge").status();
      const Status put = put_mine();
      const bool small = HoldsPattern(client.Get("small"), 1, kSmall);
      const bool small_put = PutPattern(client, 5, kSmall, "my small").ok();
      relieve();
      EXPECT_EQ(got.code(), code) << got.ToString();
      EXPECT_EQ(put.code(), code) << put.ToString();
      EXPECT_TRUE(small) << "what needs nothing is refused too";
      EXPECT_TRUE(small_put) << "what needs nothing is refused too";
      EXPECT_TRUE(HoldsPattern(client.Get("huge"), 3, 20 * kMiB));
      EXPECT_TRUE(HoldsPattern(client.Get("large"), 2, kLarge));
      EXPECT_OK(put_mine());
      EXPECT_TRUE(HoldsPattern(client.Get("mine"), 4, 20 * kMiB));
      EXPECT_TRUE(HoldsPattern(client.Get("my small"), 5, kSmall));
      return ::testing::Test::HasFailure() ? 2 : 0;
    });
    EXPECT_EQ(child.Wait(), 0);
    Client client = daemon_.Connect();
    EXPECT_TRUE(HoldsPattern(client.Get("large"), 2, kLarge));
    // Nothing is left of what was refused.
    EXPECT_TRUE(Eventually([&] { return client.GetStatus()->connections == 1; }));
    EXPECT_EQ(client.GetStatus()->generation, 1U);
  }
  TestDaemon daemon_;
};

TEST_F(ExhaustedClient, OfAddresses) {
  if (testing::IsInstrumented()) GTEST_SKIP() << "a sanitizer takes most addresses there are";
  ExpectRefusedAndThenServed(
      [] {
        const uint64_t used = [] {
          uint64_t pages = 0;
          std::FILE* f = std::fopen("/proc/self/statm", "re");
          if (std::fscanf(f, "%lu", &pages) != 1) pages = 0;
          std::fclose(f);
          return pages * os::PageSize();
        }();
        const rlimit limit{used + 4 * kMiB, RLIM_INFINITY};
        ::setrlimit(RLIMIT_AS, &limit);
      },
      [] {
        const rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
        ::setrlimit(RLIMIT_AS, &limit);
      },
      StatusCode::kOutOfMemory);
}

TEST_F(ExhaustedClient, OfDescriptors) {
  std::vector<os::UniqueFd> taken;
  ExpectRefusedAndThenServed(
      [&] {
        const rlimit limit{256, 256};
        ::setrlimit(RLIMIT_NOFILE, &limit);
        while (true) {
          os::UniqueFd fd(::dup(STDERR_FILENO));
          if (!fd.valid()) break;
          taken.push_back(std::move(fd));
        }
      },
      [&] { taken.clear(); }, StatusCode::kLimitExceeded);
}

// Each of them beside another kind, or the kernel would make one of them.
TEST_F(ExhaustedClient, OfMappings) {
  std::byte* region = nullptr;
  constexpr uint64_t kPages = 200'000;
  const uint64_t page = os::PageSize();
  ExpectRefusedAndThenServed(
      [&] {
        region = static_cast<std::byte*>(::mmap(
            nullptr, kPages * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        for (uint64_t i = 1; i < kPages; i += 2) {
          if (::mprotect(region + i * page, page, PROT_READ) != 0) break;
        }
        // The last one that could be made.
        while (::mmap(nullptr, page, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) {
        }
      },
      [&] { ::munmap(region, kPages * page); }, StatusCode::kOutOfMemory);
}

// ---- threads

class TaskGroup : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    group_ = TestGroup::Make("pids", &why);
    if (group_ == nullptr) GTEST_SKIP() << why;
  }
  std::unique_ptr<TestGroup> group_;
};

TEST_F(TaskGroup, AClientThatMayHaveNoThreadsDoesAllItself) {
  TestDaemon daemon;
  ASSERT_TRUE(group_->LimitTasks(1));
  Child child([&] {
    if (!group_->Add(::getpid())) return 1;
    Client client = daemon.Connect();
    EXPECT_OK(PutPattern(client, 1, 50 * kMiB, "large"));
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(HoldsPattern(client.Get("large"), 1, 50 * kMiB));
    }
    auto allocated = client.Allocate(20 * kMiB);
    EXPECT_OK(allocated);
    return ::testing::Test::HasFailure() ? 2 : 0;
  });
  EXPECT_EQ(child.Wait(), 0);
}

TEST_F(TaskGroup, AnInstanceThatMayHaveNoMoreServesWithThoseItHas) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  for (pid_t pid = daemon.keeper(); pid > 0; pid = ChildOf(pid)) ASSERT_TRUE(group_->Add(pid));
  const uint64_t tasks = group_->Tasks();
  ASSERT_TRUE(group_->LimitTasks(tasks));
  EXPECT_OK(PutPattern(client, 1, 50 * kMiB, "large"));
  EXPECT_TRUE(HoldsPattern(client.Get("large"), 1, 50 * kMiB));
  // An engine for which there is no process, or no thread, comes when there is.
  for (const uint64_t allowed : {uint64_t{1}, uint64_t{2}, tasks - 1}) {
    ASSERT_TRUE(group_->LimitTasks(allowed));
    daemon.KillEngine();
    EXPECT_CODE(kDeadlineExceeded,
                client.Get("absent", {.timeout = std::chrono::milliseconds(300)}));
    ASSERT_TRUE(group_->LimitTasks(tasks));
    EXPECT_CODE(kNotFound, client.Get("absent"));
    EXPECT_TRUE(HoldsPattern(client.Get("large"), 1, 50 * kMiB));
  }
}

// ---- the disk that the log goes to

TEST(FullDisk, ALogThatCanNotBeWrittenHurtsNobody) {
  TestDaemon daemon({.flags = {"--log_level", "debug"}, .log = "/dev/full"});
  Client client = daemon.Connect();
  ASSERT_OK(PutPattern(client, 1, kLarge, "large"));
  daemon.KillEngine();
  EXPECT_TRUE(HoldsPattern(client.Get("large"), 1, kLarge));
  EXPECT_EQ(daemon.Stop(), 0);
}

}  // namespace
}  // namespace vineyard
