// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Reads leave the process alone: the kernel kills the reader at its first system call.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using testing::Child;
using testing::PutPattern;
using testing::TestDaemon;

constexpr size_t kMiB = size_t{1} << 20;

/// From now on the calling thread may end the process, and wait for a lock that another thread holds.
bool ForbidSystemCalls() {
  std::array filter{
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 2, 0),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 1, 0),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// How a child ends that does `reads` until everything is warm, and then without system calls.
int ReadWithoutSystemCalls(const TestDaemon& daemon, const std::function<bool(Client&)>& reads) {
  Child child([&] {
    ::mallopt(M_TRIM_THRESHOLD,
              1 << 26);  // else malloc gives its heap's end back, and takes it again
    Client client = daemon.Connect();
    for (int i = 0; i < 100; ++i) {
      if (!reads(client)) return 1;
    }
    if (!ForbidSystemCalls()) return 2;
    for (int i = 0; i < 10'000; ++i) {
      if (!reads(client)) ::_exit(3);
    }
    ::_exit(0);
  });
  return child.Wait();
}

class NoSystemCall : public ::testing::Test {
 protected:
  void SetUp() override {
    if (testing::IsInstrumented()) GTEST_SKIP() << "what watches the program makes system calls";
  }
  TestDaemon daemon_;
  Client writer_ = daemon_.Connect();
};

TEST_F(NoSystemCall, GetsOfEverySizeNamesAndExists) {
  for (const size_t size : {size_t{0}, size_t{100}, size_t{65536}, kMiB, 20 * kMiB}) {
    ASSERT_OK_AND_ASSIGN(const ObjectId id, PutPattern(writer_, 1, size, "named"));
    EXPECT_EQ(ReadWithoutSystemCalls(daemon_,
                                     [id](Client& client) {
                                       return client.Get(id).ok() && client.Get("named").ok() &&
                                              client.GetName("named").ok() &&
                                              client.Exists(id).value() &&
                                              client.Get(id, {.map_buffers = false}).ok();
                                     }),
              0)
        << size;
  }
}

TEST_F(NoSystemCall, ThisTestWouldNoticeOne) {
  EXPECT_EQ(ReadWithoutSystemCalls(daemon_, [](Client&) { return ::syscall(SYS_getppid) > 0; }),
            -SIGSYS);
}

}  // namespace
}  // namespace vineyard
