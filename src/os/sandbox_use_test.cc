// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What goes on working in the sandbox, in folders that are given, on kernels that have less of it; and
// what a keeper keeps.
#include "os/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/bell.h"
#include "os/capabilities.h"
#include "os/landlock.h"
#include "os/mapping.h"
#include "os/memfd.h"
#include "os/memory_info.h"
#include "os/page_toucher.h"
#include "os/processor.h"
#include "os/robust_word.h"
#include "os/socket.h"
#include "os/syscall_filter.h"
#include "os/tcp.h"
#include "os/test_sandbox.h"
#include "os/text_file.h"

namespace vineyard::os {
namespace {

namespace fs = std::filesystem;

TEST_F(Inside, MemoryFilesAreMadeSealedReopenedAndAskedFor) {
  EXPECT_EQ(RunInside([] {
              IgnoreLeaseSignals();
              const auto file = CreateMemfd("inside", 2 * kHugePage);
              if (!file.ok()) return 1;
              auto mapping = Mapping::Open(*file, 2 * kHugePage, Access::kReadWrite);
              if (!mapping.ok() || !mapping->Populate(Access::kReadWrite).ok()) return 2;
              if (!IsHeldElsewhere(*file).ok()) return 3;
              {
                const auto other = Reopen(*file, Access::kReadWrite);
                if (!other.ok() || !IsHeldElsewhere(*file).value()) return 4;
              }
              mapping->Reset();
              if (!PunchAll(*file, 2 * kHugePage).ok()) return 5;
              if (BytesPresent(*file).value() != 0 || IsHeldElsewhere(*file).value()) return 6;
              return SealForever(*file).ok() ? 0 : 7;
            }),
            0);
}

TEST_F(Inside, WhatAnEngineAsksOfTheMachineIsAnswered) {
  EXPECT_EQ(RunInside([] {
              if (!ReadAvailableMemory().ok()) return 1;
              if (UsableProcessors() < 1) return 2;
              if (ProcessName(::getppid()).empty()) return 3;
              if (!ReadTextFile("/proc/loadavg").ok()) return 4;
              if (!ReadTextFile("/sys/devices/system/cpu/online").ok()) return 5;
              return HasEnded(OpenPidFd(::getppid()).value()) ? 6 : 0;
            }),
            0);
}

TEST_F(Inside, ThreadsSocketsAndBellsWork) {
  Folder folder;
  const std::string path = folder / "s";
  ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenUnix(path, 0600));
  ASSERT_OK_AND_ASSIGN(const UniqueFd client, ConnectUnix(path));
  EXPECT_EQ(RunInside([&] {
              const auto accepted = Accept(listener);
              if (!accepted.ok()) return 1;
              if (!GetPeer(*accepted).ok()) return 2;
              const auto bell = MakeBell();
              if (!bell.ok()) return 3;
              RingBell(*bell);
              SilenceBell(bell->get());
              int done = 0;
              std::thread([&] { done = 1; }).join();
              if (done != 1) return 4;
              if (BoundPath(listener) != path) return 5;
              RobustWord word{};
              if (!HoldRobustWord(&word).ok() || IsDead(&word)) return 6;
              LeaveProcessor();
              return 0;
            }),
            0);
}

TEST_F(Inside, AnAbortEndsTheProcessAsEver) {
  EXPECT_EQ(RunInside([] {
              std::abort();
              return 0;
            }),
            -SIGABRT);
  EXPECT_EQ(RunInside([] { return ::kill(::getpid(), SIGKILL); }), -SIGKILL);
}

TEST_F(Inside, APageToucherOpensMakesAndKillsNothing) {
  if (!HasCalls()) GTEST_SKIP() << "this kernel has no seccomp";
  const auto toucher = [](const std::function<int()>& run) {
    return RunForked([&] {
      SandboxReport report;
      if (!GiveUpRights({}, &report).ok()) return kCannotEnter;
      return RestrictCallsOfPageToucher(&report).ok() ? run() : kCannotEnter + 1;
    });
  };
  EXPECT_EQ(toucher([] { return ErrorOf(::open("/dev/null", O_RDONLY)); }), EPERM);
  EXPECT_EQ(toucher([] { return CreateMemfd("x", PageSize()).ok() ? 1 : 0; }), 0);
  EXPECT_EQ(toucher([] { return ErrorOf(::kill(::getpid(), 0)); }), EPERM);
  EXPECT_EQ(toucher([] { return ErrorOf(::fork()); }), EPERM);
  EXPECT_EQ(toucher([] { return ErrorOf(::accept4(0, nullptr, nullptr, 0)); }), EPERM);
}

TEST_F(Inside, TheProcessThatAnswersHttpOpensNothingAndMakesOnlyUnixSockets) {
  if (!HasCalls()) GTEST_SKIP() << "this kernel has no seccomp";
  const auto inside = [](const std::function<int()>& run) {
    return RunForked([&] {
      SandboxReport report;
      if (!GiveUpRights({}, &report).ok()) return kCannotEnter;
      return RestrictCallsOfHttp(&report).ok() ? run() : kCannotEnter + 1;
    });
  };
  EXPECT_EQ(inside([] { return ErrorOf(::open("/proc/self/status", O_RDONLY)); }), EPERM);
  EXPECT_EQ(inside([] { return ErrorOf(::socket(AF_INET, SOCK_STREAM, 0)); }), EPERM);
  EXPECT_EQ(inside([] { return ErrorOf(::socket(AF_INET6, SOCK_DGRAM, 0)); }), EPERM);
  EXPECT_EQ(inside([] { return ErrorOf(::socket(AF_NETLINK, SOCK_RAW, 0)); }), EPERM);
  EXPECT_EQ(inside([] { return ErrorOf(::fork()); }), EPERM);
  EXPECT_EQ(inside([] { return ErrorOf(::execl("/bin/true", "true", nullptr)); }), EPERM);
  EXPECT_EQ(inside([] { return ErrorOf(::kill(::getppid(), 0)); }), EPERM);
  EXPECT_EQ(inside([] {
              return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                            0) == MAP_FAILED
                         ? 0
                         : 1;
            }),
            0);

  // What it is there for.
  ASSERT_OK_AND_ASSIGN(const UniqueFd web, ListenTcp(*ParseTcpAddress("127.0.0.1:0")));
  ASSERT_OK_AND_ASSIGN(const TcpAddress bound, BoundTcpAddress(web));
  const std::string path = folder_ / "s.sock";
  ASSERT_OK_AND_ASSIGN(const UniqueFd volume, ListenUnix(path, 0600));
  EXPECT_EQ(inside([&] {
              if (!ConnectUnix(path).ok() || !MakeBell().ok()) return 1;
              if (!Accept(web).status().Is(StatusCode::kNotFound)) return 2;
              std::thread([] {}).join();
              return BoundTcpAddress(web)->port == bound.port ? 0 : 3;
            }),
            0);
  EXPECT_EQ(inside([] {  // a bell that can't be silenced would wake it for ever
              const auto bell = MakeBell();
              pollfd entry{.fd = bell->get(), .events = POLLIN, .revents = 0};
              RingBell(*bell);
              if (::poll(&entry, 1, 0) != 1) return 1;
              SilenceBell(bell->get());
              return ::poll(&entry, 1, 0);
            }),
            0);
}

TEST_F(Inside, APageToucherStartedBetweenTheStepsWorksAndCanBeEnded) {
  EXPECT_EQ(RunForked([] {
              SandboxReport report;
              if (!GiveUpRights({}, &report).ok()) return kCannotEnter;
              auto toucher = PageToucher::Start(Confined::kYes);
              if (!toucher.ok()) return 1;
              if (!RestrictCallsOfEngine({}, (*toucher)->pid(), &report).ok()) return kCannotEnter;
              const auto file = CreateMemfd("touched", 3 * kHugePage);
              if (!file.ok() || !(*toucher)->Touch(*file, 3 * kHugePage).ok()) return 2;
              if (BytesPresent(*file).value() != 3 * kHugePage) return 3;
              toucher->reset();
              return 0;
            }),
            0);
}

// ---- folders

TEST_F(Inside, InAFolderThatIsGivenFilesAreMadeMovedAndRemoved) {
  Folder outside;
  const std::string in = folder_ / "file";
  const auto inside = [&](const std::function<int()>& run) {
    return RunInside(run, ReachableFiles{.folders = {folder_.path()}});
  };
  EXPECT_EQ(inside([&] {
              if (::mkdir((folder_ / "deeper").c_str(), 0700) != 0) return 1;
              const int fd =
                  ::open((folder_ / "deeper/x").c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
              if (fd < 0 || ::pwrite(fd, "hello", 5, 0) != 5 || ::fdatasync(fd) != 0) return 2;
              if (::ftruncate(fd, 3) != 0 || ::fsync(fd) != 0 || ::close(fd) != 0) return 3;
              if (::rename((folder_ / "deeper/x").c_str(), in.c_str()) != 0) return 4;
              std::error_code error;
              int count = 0;
              for (const auto& entry : fs::directory_iterator(folder_.path(), error)) {
                count += entry.exists() ? 1 : 0;
              }
              if (error || count != 2) return 5;
              if (::rmdir((folder_ / "deeper").c_str()) != 0) return 6;
              if (!ReadTextFile(in).ok()) return 7;
              return ::unlink(in.c_str()) == 0 ? 0 : 8;
            }),
            0);
  if (!HasLandlock()) GTEST_SKIP() << "this kernel has no such Landlock";
  const std::string out = outside / "file";
  EXPECT_EQ(inside([&] { return ErrorOf(::open(out.c_str(), O_CREAT | O_RDWR, 0600)); }), EACCES);
  EXPECT_EQ(inside([&] { return ErrorOf(::mkdir(out.c_str(), 0700)); }), EACCES);
  EXPECT_EQ(inside([&] {
              const int fd = ::open(in.c_str(), O_CREAT | O_RDWR, 0600);
              if (fd < 0) return 1;
              const int error = ErrorOf(::rename(in.c_str(), out.c_str()));
              return error == EXDEV || error == EACCES ? 0 : 2;
            }),
            0);
  EXPECT_EQ(inside([&] { return ErrorOf(::symlink("/etc/passwd", (folder_ / "l").c_str())); }),
            EPERM);
  // A link that was there leads nowhere.
  ASSERT_EQ(::symlink("/etc/passwd", (folder_ / "link").c_str()), 0);
  EXPECT_EQ(inside([&] { return ErrorOf(::open((folder_ / "link").c_str(), O_RDONLY)); }), EACCES);
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(Inside, AFolderThatIsNotThereIsAnError) {
  const ReachableFiles files{.folders = {folder_ / "absent"}};
  EXPECT_EQ(RunForked([&] {
              SandboxReport report;
              const Status entered = GiveUpRights(files, &report);
              return entered.Is(StatusCode::kIOError) &&
                             entered.message().find("absent") != std::string::npos
                         ? 0
                         : 1;
            }),
            HasLandlock() ? 0 : 1);
}

// ---- kernels that have less

// Runs it where a system call answers as on a kernel without it.
int RunWithout(long call, int error, const std::function<int()>& run) {
  return RunForked([&] {
    SyscallFilter kernel;
    for (long other = 0; other <= 450; ++other) {
      if (other != call) kernel.Allow({other});
    }
    kernel.Refuse(call, error);
    if (!ForbidNewPrivileges().ok() || !kernel.PutInForce().ok()) return kCannotEnter + 2;
    return run();
  });
}

TEST_F(Inside, WithoutLandlockTheRestIsGivenUpAndTheReportSaysSo) {
  if (!HasCalls()) GTEST_SKIP() << "this kernel has no seccomp";
  for (const int error : {ENOSYS, EOPNOTSUPP, EPERM}) {
    EXPECT_EQ(RunWithout(__NR_landlock_create_ruleset, error,
                         [] {
                           SandboxReport report;
                           if (!GiveUpRights({}, &report).ok()) return 1;
                           if (!RestrictCallsOfEngine({}, -1, &report).ok()) return 2;
                           if (report.landlock != 0 || !report.calls) return 3;
                           if (report.missing.find("Landlock") == std::string::npos) return 4;
                           // Files are opened then, but not made.
                           if (ErrorOf(::open("/etc/passwd", O_RDONLY)) != 0) return 5;
                           if (ErrorOf(::open("/tmp/vineyard-x", O_CREAT | O_RDWR, 0600)) != EPERM)
                             return 6;
                           return ErrorOf(::socket(AF_INET, SOCK_STREAM, 0)) == EPERM ? 0 : 7;
                         }),
              0)
        << error;
  }
}

TEST_F(Inside, WithoutSeccompTheRestIsGivenUpAndTheReportSaysSo) {
  if (!HasCalls()) GTEST_SKIP() << "this kernel has no seccomp";
  if (!HasLandlock()) GTEST_SKIP() << "this kernel has no such Landlock";
  for (const int error : {ENOSYS, EINVAL}) {
    EXPECT_EQ(RunWithout(__NR_seccomp, error,
                         [] {
                           SandboxReport report;
                           if (!GiveUpRights({}, &report).ok()) return 1;
                           if (!RestrictCallsOfEngine({}, -1, &report).ok()) return 2;
                           if (report.landlock == 0 || report.calls) return 3;
                           if (report.missing.find("seccomp") == std::string::npos) return 4;
                           return ErrorOf(::open("/etc/passwd", O_RDONLY)) == EACCES ? 0 : 5;
                         }),
              0)
        << error;
  }
}

TEST_F(Inside, WhatFailsForAnotherReasonIsAnError) {
  if (!HasCalls()) GTEST_SKIP() << "this kernel has no seccomp";
  EXPECT_EQ(RunWithout(__NR_landlock_create_ruleset, ENOMEM,
                       [] {
                         SandboxReport report;
                         return GiveUpRights({}, &report).Is(StatusCode::kOutOfMemory) ? 0 : 1;
                       }),
            0);
}

TEST(LandlockRights, GrowWithTheKernelAndNeverShrink) {
  LandlockRights before = LandlockRightsOf(0);
  EXPECT_EQ(before.files | before.network | before.scoped, 0U);
  for (int level = 1; level <= 9; ++level) {
    const LandlockRights now = LandlockRightsOf(level);
    EXPECT_EQ(now.files & before.files, before.files);
    EXPECT_EQ(now.network & before.network, before.network);
    EXPECT_EQ(now.scoped & before.scoped, before.scoped);
    before = now;
  }
  EXPECT_EQ(LandlockRightsOf(1).files & LANDLOCK_ACCESS_FS_REFER, 0U);
  EXPECT_NE(LandlockRightsOf(2).files & LANDLOCK_ACCESS_FS_REFER, 0U);
  EXPECT_EQ(LandlockRightsOf(3).network, 0U);
  EXPECT_EQ(LandlockRightsOf(5).scoped, 0U);
}

// ---- the keeper

TEST(Keeper, StartsProgramsThatHaveAndGainNothing) {
  if (IsInstrumented()) GTEST_SKIP() << "the program it starts would need what a sanitizer needs";
  EXPECT_EQ(RunForked([] {
              if (!GiveUpKeepersRights().ok()) return 1;
              const auto program =
                  Spawn({.command = {"/bin/sh", "-c",
                                     "grep -q '^CapEff:.0*$' /proc/self/status && "
                                     "grep -q '^CapPrm:.0*$' /proc/self/status && "
                                     "grep -q '^NoNewPrivs:.1$' /proc/self/status"},
                         .environment = {},
                         .inherited_fd = -1});
              if (!program.ok()) return 2;
              return Reap(*program)->code == 0 ? 0 : 3;
            }),
            0);
}

}  // namespace
}  // namespace vineyard::os
