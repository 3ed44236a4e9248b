// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What must fail in the sandbox.
#include "os/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/process.h"
#include "os/test_sandbox.h"

namespace vineyard::os {
namespace {

namespace fs = std::filesystem;

// EACCES where Landlock says no, EPERM where the list of calls does.
bool IsRefusal(int error) { return error == EACCES || error == EPERM; }

TEST_F(Inside, NoProgramIsStarted) {
  if (!HasCalls()) GTEST_SKIP() << "this kernel has no seccomp";
  char name[] = "/bin/true";
  char* argv[] = {name, nullptr};
  char* env[] = {nullptr};
  EXPECT_EQ(RunInside([&] { return ErrorOf(::execve(name, argv, env)); }), EPERM);
  EXPECT_EQ(RunInside([&] { return ErrorOf(::execveat(AT_FDCWD, name, argv, env, 0)); }), EPERM);
  EXPECT_TRUE(IsRefusal(RunInside([] { return ErrorOf(::fork()); })));
  EXPECT_TRUE(IsRefusal(RunInside([] { return ErrorOf(::vfork()); })));
}

TEST_F(Inside, NoFileIsOpenedOrMadeAnywhere) {
  if (!HasLandlock()) GTEST_SKIP() << "this kernel has no such Landlock";
  std::ofstream(folder_ / "there") << "secret";
  for (const std::string& path : {std::string("/etc/passwd"), folder_ / "there"}) {
    for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR}) {
      EXPECT_EQ(RunInside([&] { return ErrorOf(::open(path.c_str(), flags)); }), EACCES) << path;
    }
  }
  EXPECT_EQ(RunInside([&] { return ErrorOf(::open("/", O_RDONLY | O_DIRECTORY)); }), EACCES);
  EXPECT_EQ(RunInside([&] { return ErrorOf(::open("/proc", O_RDONLY | O_DIRECTORY)); }), EACCES);
  const std::string fresh = folder_ / "new";
  EXPECT_TRUE(
      IsRefusal(RunInside([&] { return ErrorOf(::open(fresh.c_str(), O_CREAT | O_RDWR, 0600)); })));
  EXPECT_TRUE(IsRefusal(RunInside([&] { return ErrorOf(::mkdir(fresh.c_str(), 0700)); })));
  EXPECT_TRUE(IsRefusal(RunInside([&] { return ErrorOf(::symlink("x", fresh.c_str())); })));
  EXPECT_TRUE(IsRefusal(RunInside([&] { return ErrorOf(::unlink((folder_ / "there").c_str())); })));
  EXPECT_TRUE(
      IsRefusal(RunInside([&] { return ErrorOf(::truncate((folder_ / "there").c_str(), 0)); })));
  EXPECT_EQ(fs::file_size(folder_ / "there"), 6U);
  EXPECT_FALSE(fs::exists(fresh));
}

TEST_F(Inside, TheFilesOfOpenDescriptorsAreNotReopened) {
  if (!HasLandlock()) GTEST_SKIP() << "this kernel has no such Landlock";
  std::ofstream(folder_ / "log") << "x";
  const UniqueFd log(::open((folder_ / "log").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  ASSERT_TRUE(log.valid());
  EXPECT_EQ(
      RunInside([&] {
        if (::write(log.get(), "y", 1) != 1) return 1;  // what is open stays so
        return ErrorOf(::open(("/proc/self/fd/" + std::to_string(log.get())).c_str(), O_RDWR));
      }),
      EACCES);
}

TEST_F(Inside, NothingIsWrittenBelowProc) {
  if (!HasLandlock()) GTEST_SKIP() << "this kernel has no such Landlock";
  for (const char* path :
       {"/proc/self/mem", "/proc/self/oom_score_adj", "/proc/sys/kernel/hostname"}) {
    EXPECT_EQ(RunInside([&] { return ErrorOf(::open(path, O_WRONLY)); }), EACCES) << path;
  }
}

// The parent is a process of the same user that is not in the sandbox.
TEST_F(Inside, OtherProcessesAreNotReadTracedOrSignalled) {
  if (!HasLandlock()) GTEST_SKIP() << "this kernel has no such Landlock";
  if (!HasCalls()) GTEST_SKIP() << "this kernel has no seccomp";
  const pid_t parent = ::getpid();
  const std::string proc = "/proc/" + std::to_string(parent);
  for (const char* file : {"/environ", "/maps", "/mem"}) {
    EXPECT_TRUE(IsRefusal(RunInside([&] {
      return ErrorOf(::open((proc + file).c_str(), O_RDONLY));
    }))) << file;
  }
  EXPECT_EQ(RunInside([&] { return ErrorOf(::ptrace(PTRACE_ATTACH, parent, nullptr, nullptr)); }),
            EPERM);
  EXPECT_EQ(RunInside([&] { return ErrorOf(::kill(parent, 0)); }), EPERM);
  EXPECT_EQ(RunInside([&] { return ErrorOf(::kill(-1, 0)); }), EPERM);
  EXPECT_EQ(RunInside([&] { return ErrorOf(::kill(0, 0)); }), EPERM);
  EXPECT_EQ(RunInside([&] { return ErrorOf(::syscall(__NR_tgkill, parent, parent, 0)); }), EPERM);
  EXPECT_EQ(RunInside([&] {
              const auto pidfd = OpenPidFd(parent);
              if (!pidfd.ok()) return 1;
              return ErrorOf(::syscall(__NR_pidfd_send_signal, pidfd->get(), 0, nullptr, 0));
            }),
            EPERM);
  EXPECT_EQ(RunInside([&] {
              return ErrorOf(::syscall(__NR_process_vm_readv, parent, nullptr, 0, nullptr, 0, 0));
            }),
            EPERM);
  EXPECT_EQ(RunInside([&] { return ErrorOf(::fcntl(STDERR_FILENO, F_SETOWN, parent)); }), EPERM);
}

// Without the list of calls too, where the kernel has enough of Landlock.
TEST_F(Inside, LandlockAloneKeepsSignalsAndTracingIn) {
  if (!HasLandlock(6)) GTEST_SKIP() << "this kernel has no such Landlock";
  const pid_t parent = ::getpid();
  const auto with_landlock = [&](const std::function<int()>& run) {
    return RunForked([&] {
      SandboxReport report;
      return GiveUpRights({}, &report).ok() ? run() : kCannotEnter;
    });
  };
  EXPECT_EQ(with_landlock([&] { return ErrorOf(::kill(parent, 0)); }), EPERM);
  EXPECT_EQ(
      with_landlock([&] { return ErrorOf(::ptrace(PTRACE_ATTACH, parent, nullptr, nullptr)); }),
      EPERM);
  EXPECT_EQ(with_landlock([&] { return ErrorOf(::execl("/bin/true", "true", nullptr)); }), EACCES);
}

TEST_F(Inside, NoSocketIsMadeOrConnected) {
  if (!HasCalls()) GTEST_SKIP() << "this kernel has no seccomp";
  for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK}) {
    EXPECT_EQ(RunInside([&] { return ErrorOf(::socket(family, SOCK_STREAM, 0)); }), EPERM)
        << family;
  }
  // One that it was given: listening nowhere, connected to nobody.
  for (const int family : {AF_INET, AF_UNIX}) {
    const UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_TRUE(socket.valid());
    sockaddr_storage address{};
    address.ss_family = static_cast<sa_family_t>(family);
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    EXPECT_EQ(RunInside([&] { return ErrorOf(::connect(socket.get(), raw, sizeof(sockaddr_in))); }),
              EPERM);
    EXPECT_EQ(RunInside([&] { return ErrorOf(::bind(socket.get(), raw, sizeof(sockaddr_in))); }),
              EPERM);
    EXPECT_EQ(RunInside([&] { return ErrorOf(::listen(socket.get(), 1)); }), EPERM);
  }
}

bool HasNoCapability() {
  __user_cap_header_struct self{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3]{};
  if (::syscall(SYS_capget, &self, sets) != 0) return false;
  for (const auto& set : sets) {
    if (set.effective != 0 || set.permitted != 0 || set.inheritable != 0) return false;
  }
  return true;
}

TEST_F(Inside, ThereAreNoCapabilitiesAndNoneAreToBeHad) {
  // Before calls are restricted, so that it can be asked.
  EXPECT_EQ(RunForked([] {
              SandboxReport report;
              if (!GiveUpRights({}, &report).ok()) return kCannotEnter;
              if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 1;
              if (!HasNoCapability()) return 2;
              __user_cap_header_struct self{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
              __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3]{};
              sets[0].permitted = sets[0].effective = 1U << CAP_CHOWN;
              if (ErrorOf(::syscall(SYS_capset, &self, sets)) != EPERM) return 3;
              // A namespace of one's own would come with all of them, but over nothing outside; not even that.
              return RestrictCallsOfEngine({}, -1, &report).ok() ? 0 : kCannotEnter;
            }),
            0);
  if (!HasCalls()) GTEST_SKIP() << "this kernel has no seccomp";
  EXPECT_EQ(RunInside([] { return ErrorOf(::unshare(CLONE_NEWUSER)); }), EPERM);
  EXPECT_EQ(RunInside([] { return ErrorOf(::setuid(0)); }), EPERM);
  EXPECT_EQ(RunInside([] { return ErrorOf(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }), EPERM);
}

TEST_F(Inside, WhereTheKernelsOwnBugsTendToBeThereIsNoWay) {
  if (!HasCalls()) GTEST_SKIP() << "this kernel has no seccomp";
  for (const long call :
       {long{__NR_io_uring_setup}, long{__NR_bpf}, long{__NR_userfaultfd}, long{__NR_keyctl},
        long{__NR_perf_event_open}, long{__NR_mount}, long{__NR_setns}, long{__NR_init_module},
        long{__NR_kexec_load}, long{__NR_open_by_handle_at}, long{__NR_pidfd_getfd},
        long{__NR_process_madvise}, long{__NR_seccomp}, long{__NR_openat2}}) {
    EXPECT_EQ(RunInside([&] { return ErrorOf(::syscall(call, 0, 0, 0, 0, 0, 0)); }), EPERM) << call;
  }
  EXPECT_EQ(RunInside([] { return ErrorOf(::ioctl(STDIN_FILENO, TIOCSTI, "x")); }), EPERM);
}

TEST_F(Inside, NoPageBecomesExecutable) {
  if (!HasCalls()) GTEST_SKIP() << "this kernel has no seccomp";
  EXPECT_EQ(RunInside([] {
              void* page =
                  ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              if (page == MAP_FAILED) return 1;
              return ErrorOf(::mprotect(page, 4096, PROT_READ | PROT_EXEC));
            }),
            EPERM);
  EXPECT_EQ(RunInside([] {
              return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                            0) == MAP_FAILED
                         ? errno
                         : 0;
            }),
            EPERM);
}

}  // namespace
}  // namespace vineyard::os
