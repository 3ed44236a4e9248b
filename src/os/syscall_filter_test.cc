// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/syscall_filter.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>

#include <gtest/gtest.h>

#include "os/capabilities.h"
#include "os/test_fork.h"

namespace vineyard::os {
namespace {

using Kind = ArgumentTest::Kind;

// What became of a process that put the filter in force and then ran `run`. 77: the kernel has no seccomp.
int RunUnder(const SyscallFilter& filter, const std::function<int()>& run) {
  return RunForked([&] {
    if (!ForbidNewPrivileges().ok()) return 79;
    const Status filtered = filter.PutInForce();
    if (!filtered.ok()) return filtered.Is(StatusCode::kNotSupported) ? 77 : 78;
    return run();
  });
}

class SyscallFilterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (IsInstrumented()) GTEST_SKIP() << "sanitizers make system calls of their own";
    filter_.Allow({__NR_exit_group});
    if (RunUnder(filter_, [] { return 0; }) == 77) GTEST_SKIP() << "this kernel has no seccomp";
  }
  SyscallFilter filter_;
};

TEST_F(SyscallFilterTest, WhatIsNotOnTheListFailsAndTheProcessGoesOn) {
  filter_.Allow({__NR_getpid});
  EXPECT_EQ(RunUnder(filter_, [] { return ErrorOf(::syscall(__NR_getpid)); }), 0);
  EXPECT_EQ(RunUnder(filter_, [] { return ErrorOf(::syscall(__NR_getppid)); }), EPERM);
  EXPECT_EQ(RunUnder(filter_, [] { return ErrorOf(::syscall(__NR_read, 0, nullptr, 0)); }), EPERM);
}

TEST_F(SyscallFilterTest, WhatIsNewerThanTheListLooksAsOnAnOlderKernel) {
  for (const long call : {451, 470, 1000}) {
    EXPECT_EQ(RunUnder(filter_, [call] { return ErrorOf(::syscall(call)); }), ENOSYS) << call;
  }
  EXPECT_EQ(RunUnder(filter_, [] { return ErrorOf(::syscall(450)); }), EPERM);
}

TEST_F(SyscallFilterTest, ACallMayBeRefusedWithAnErrorOfItsOwn) {
  filter_.Refuse(__NR_clone3, ENOSYS);
  EXPECT_EQ(RunUnder(filter_, [] { return ErrorOf(::syscall(__NR_clone3, nullptr, 0)); }), ENOSYS);
}

// A call that fails by itself, with EBADF, shows that the filter let it pass.
int Fcntl(long command) { return ErrorOf(::syscall(__NR_fcntl, -1, command, 0)); }

TEST_F(SyscallFilterTest, AnArgumentIsOneOfAList) {
  filter_.AllowWhere(__NR_fcntl, {{1, Kind::kIsOneOf, {F_GETFD, F_GETFL, F_SETLEASE}}});
  for (const int known : {F_GETFD, F_GETFL, F_SETLEASE}) {
    EXPECT_EQ(RunUnder(filter_, [known] { return Fcntl(known); }), EBADF) << known;
  }
  for (const int other : {F_DUPFD, F_SETFD, F_SETOWN}) {
    EXPECT_EQ(RunUnder(filter_, [other] { return Fcntl(other); }), EPERM) << other;
  }
}

TEST_F(SyscallFilterTest, AnArgumentHasBitsOrLacksThem) {
  filter_.AllowWhere(__NR_fcntl, {{1, Kind::kHasAllOf, {6}}});
  filter_.AllowWhere(__NR_dup3, {{2, Kind::kHasNoneOf, {6}}});
  EXPECT_EQ(RunUnder(filter_, [] { return Fcntl(6); }), EBADF);
  EXPECT_EQ(RunUnder(filter_, [] { return Fcntl(7); }), EBADF);
  for (const long lacking : {0, 2, 4, 9}) {
    EXPECT_EQ(RunUnder(filter_, [lacking] { return Fcntl(lacking); }), EPERM) << lacking;
  }
  const auto dup3 = [](long flags) { return ErrorOf(::syscall(__NR_dup3, -1, 100, flags)); };
  EXPECT_EQ(RunUnder(filter_, [&] { return dup3(0); }), EBADF);
  EXPECT_NE(RunUnder(filter_, [&] { return dup3(8); }), EPERM);
  for (const long having : {2, 4, 6, 12}) {
    EXPECT_EQ(RunUnder(filter_, [&] { return dup3(having); }), EPERM) << having;
  }
}

TEST_F(SyscallFilterTest, AnAddressIsZeroInBothHalves) {
  filter_.AllowWhere(__NR_fcntl, {{1, Kind::kIsOneOf, {F_GETFD}}, {2, Kind::kIsZero, {}}});
  const auto fcntl = [](unsigned long value) {
    return ErrorOf(::syscall(__NR_fcntl, -1, F_GETFD, value));
  };
  EXPECT_EQ(RunUnder(filter_, [&] { return fcntl(0); }), EBADF);
  for (const unsigned long other : {1UL, 1UL << 31, 1UL << 32, 1UL << 63}) {
    EXPECT_EQ(RunUnder(filter_, [&] { return fcntl(other); }), EPERM) << other;
  }
}

TEST_F(SyscallFilterTest, CallsByTheRulesOfAnotherProcessorEndTheProcess) {
#if defined(__x86_64__)
  filter_.Allow({__NR_getpid});
  EXPECT_EQ(RunUnder(filter_, [] { return ErrorOf(::syscall(__NR_getpid | 0x40000000)); }),
            -SIGSYS);
  // Where the kernel has no calls of i386 at all, this instruction is a fault.
  const int end = RunUnder(filter_, [] {
    long number = 20;  // getpid there
    __asm__ volatile("int $0x80" : "+a"(number) : : "memory");
    return 0;
  });
  EXPECT_TRUE(end == -SIGSYS || end == -SIGSEGV) << end;
#else
  GTEST_SKIP() << "no second set of rules to call by";
#endif
}

TEST_F(SyscallFilterTest, IsRefusedToWhoHasNotForbiddenNewPrivileges) {
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) GTEST_SKIP() << "they are forbidden already";
  EXPECT_EQ(RunForked([&] {
              if (!DropCapabilities({}).ok()) return 1;
              return filter_.PutInForce().ok() ? 2 : 0;
            }),
            0);
}

}  // namespace
}  // namespace vineyard::os
