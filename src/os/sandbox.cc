// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Note [What a taken engine can do]
//
// Suppose that a client finds a bug by which it runs code of its own in the engine. The engine has all that the
// instance stores, so that is lost: the code reads and deletes what any volume holds, gives it to others through
// the connections there are, and lies to clients. Sealed bytes that a client has mapped it cannot change; nobody can.
// It can end the instance, fill memory up to what its control group allows, and keep processors busy. It can
// read of /proc what every user of the machine can: who runs, with which arguments. It can ask whether a path
// exists, as neither Landlock nor seccomp can tell such a question from others.
//
// It cannot: start a program, or run code that was not in the engine (no page becomes executable); open,
// make, change or remove a file, but for the folders given; make a socket or connect one, so reach the network, or
// any other service of the machine by itself; trace, signal or read other processes; get privileges, by a
// set-user-ID program or a namespace; use io_uring, bpf, keys, userfaultfd or the like, where the kernel's own bugs
// tend to be. What it was given it can use: a client of its own may pass it a descriptor (and had that before).
//
// The user stays what it was, root's number included, if root has started the instance: the kernel's word on who
// holds memory (a lease) is for the file's owner, and "the owner of the instance may manage volumes" compares it.
// Root without capabilities owns most of the machine's files all the same; only Landlock is between. So where the
// kernel has none, an instance should have a user of its own.
//
// Note [Why these files]
//
// Landlock knows a file by its inode, and procfs makes an inode anew whenever it has forgotten the one before:
// a rule on /proc/meminfo ends to hold when memory is short. The root of a file system is never forgotten; hence
// a rule on all of /proc, for reading. Environments, memory and descriptors of other processes
// stay out of reach, as reading these counts as tracing. Memory files are reopened through /proc/self/fd
// without a rule: what has no path is not Landlock's business.
#include "os/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <utility>

#include "os/capabilities.h"
#include "os/landlock.h"
#include "os/syscall_filter.h"

#ifdef __has_feature
#define VY_HAS_FEATURE(feature) __has_feature(feature)
#else
#define VY_HAS_FEATURE(feature) 0
#endif

namespace vineyard::os {

namespace {

// Sanitizers trace their own process to find leaks, run a program to name functions, and read files for it.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    VY_HAS_FEATURE(address_sanitizer) || VY_HAS_FEATURE(thread_sanitizer)
constexpr bool kInstrumented = true;
#else
constexpr bool kInstrumented = false;
#endif
constexpr const char* kWhyNotInstrumented =
    "this build has a sanitizer, which does what is forbidden";

using Kind = ArgumentTest::Kind;

void Note(SandboxReport* report, const Status& missing) {
  if (!report->missing.empty()) report->missing += "; ";
  report->missing += missing.message();
}

uint32_t Low(long value) { return static_cast<uint32_t>(value); }

// What both processes do as any program does: memory, time, waiting, ending.
void AllowBasics(SyscallFilter* filter) {
  filter->Allow({__NR_read,
                 __NR_write,
                 __NR_close,
                 __NR_recvmsg,
                 __NR_sendmsg,
                 __NR_munmap,
                 __NR_mremap,
                 __NR_madvise,
                 __NR_brk,
                 __NR_futex,
                 __NR_ppoll,
                 __NR_clock_gettime,
                 __NR_clock_getres,
                 __NR_gettimeofday,
                 __NR_clock_nanosleep,
                 __NR_nanosleep,
                 __NR_restart_syscall,
                 __NR_rt_sigprocmask,
                 __NR_rt_sigreturn,
                 __NR_getpid,
                 __NR_gettid,
                 __NR_sched_yield,
                 __NR_exit,
                 __NR_exit_group});
#ifdef __NR_poll  // x86-64 has some calls twice
  filter->Allow({__NR_poll, __NR_time});
#endif
  filter->AllowWhere(__NR_mmap, {{2, Kind::kHasNoneOf, {PROT_EXEC}}});
  filter->AllowWhere(__NR_mprotect, {{2, Kind::kHasNoneOf, {PROT_EXEC}}});
  // abort()
  filter->AllowWhere(__NR_tgkill, {{0, Kind::kIsOneOf, {Low(::getpid())}}});
}

void AllowThreads(SyscallFilter* filter) {
  filter->Allow({__NR_set_robust_list, __NR_rseq, __NR_sched_getaffinity, __NR_getcpu});
  filter->AllowWhere(__NR_clone, {{0, Kind::kHasAllOf, {CLONE_VM | CLONE_SIGHAND | CLONE_THREAD}}});
  // Its flags lie in memory, where a filter does not see them; libc then makes threads by clone.
  filter->Refuse(__NR_clone3, ENOSYS);
  filter->AllowWhere(__NR_sched_setaffinity, {{0, Kind::kIsOneOf, {0}}});
}

void AllowSocketsAndEvents(SyscallFilter* filter) {
  filter->Allow({__NR_accept4, __NR_getsockopt, __NR_getsockname, __NR_shutdown, __NR_epoll_create1,
                 __NR_epoll_ctl, __NR_epoll_pwait, __NR_timerfd_create, __NR_timerfd_settime,
                 __NR_eventfd2, __NR_pipe2, __NR_preadv2, __NR_pidfd_open});
#ifdef __NR_epoll_wait
  filter->Allow({__NR_epoll_wait, __NR_pipe});
#endif
  // Not those that type into a terminal, nor F_SETOWN, by which the kernel signals other processes.
  filter->AllowWhere(__NR_ioctl, {{1, Kind::kIsOneOf, {FIONBIO, SIOCOUTQ, TCGETS}}});
  filter->AllowWhere(__NR_fcntl, {{1,
                                   Kind::kIsOneOf,
                                   {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC,
                                    F_ADD_SEALS, F_GET_SEALS, F_SETLEASE}}});
}

void AllowMemoryFiles(SyscallFilter* filter) {
  filter->Allow({__NR_memfd_create, __NR_ftruncate, __NR_fallocate, __NR_fstat, __NR_newfstatat,
                 __NR_lseek, __NR_pread64, __NR_readv, __NR_writev});
}

// Files in the folders that Landlock leaves.
void AllowFolders(SyscallFilter* filter) {
  filter->Allow({__NR_unlinkat, __NR_renameat2, __NR_mkdirat, __NR_getdents64, __NR_fsync,
                 __NR_fdatasync, __NR_sync_file_range, __NR_pwrite64, __NR_preadv, __NR_pwritev,
                 __NR_pwritev2, __NR_statfs, __NR_fstatfs, __NR_fadvise64, __NR_flock,
                 __NR_renameat});
#ifdef __NR_rename
  filter->Allow({__NR_rename, __NR_unlink, __NR_mkdir, __NR_rmdir});
#endif
}

// Says in the report what became of it.
Status PutInForce(const SyscallFilter& filter, SandboxReport* report) {
  if (kInstrumented) return {};
  Status restricted = filter.PutInForce();
  report->calls = restricted.ok();
  if (!restricted.Is(StatusCode::kNotSupported)) return restricted;
  Note(report, restricted);
  return {};
}

}  // namespace

Status GiveUpRights(const ReachableFiles& files, SandboxReport* report) {
  // libc reads a file for it once, also where the log is in UTC. Later that would be refused, and noted by
  // the kernel as something to look into.
  ::tzset();
  VY_RETURN_IF_ERROR(ForbidNewPrivileges());
  VY_RETURN_IF_ERROR(DropCapabilities({}));
  if (kInstrumented) {
    Note(report, Status::NotSupported(kWhyNotInstrumented));
    return {};
  }
  std::vector<PathRule> rules = {
      // Note [Why these files]: how much memory is left, how many threads run, what a process is called
      {"/proc", PathAccess::kReadFiles, /*may_be_absent=*/true},
      {"/sys/fs/cgroup", PathAccess::kReadFiles, true},
      {"/sys/devices/system/cpu", PathAccess::kReadFiles, true},
      {"/dev/null", PathAccess::kReadWriteFile, true},
  };
  for (const std::string& folder : files.folders) rules.push_back({folder, PathAccess::kFolder});
  Result<int> level = RestrictFiles(rules);
  if (level.ok()) {
    report->landlock = *level;
    return {};
  }
  if (!level.status().Is(StatusCode::kNotSupported)) return std::move(level).status();
  Note(report, level.status());
  return {};
}

Status RestrictCallsOfEngine(const ReachableFiles& files, pid_t child, SandboxReport* report) {
  SyscallFilter filter;
  // Nothing is made by opening it, but in the folders.
  constexpr long kMakesFiles = O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);
  if (files.folders.empty()) {
    filter.AllowWhere(__NR_openat, {{2, Kind::kHasNoneOf, {Low(kMakesFiles)}}});
  } else {
    filter.Allow({__NR_openat});
    AllowFolders(&filter);
  }
  std::vector<uint32_t> killed = {Low(::getpid())};
  if (child > 0) killed.push_back(Low(child));
  filter.AllowWhere(__NR_kill, {{0, Kind::kIsOneOf, std::move(killed)}});
  filter.Allow({__NR_wait4, __NR_waitid, __NR_rt_sigaction, __NR_getrandom, __NR_geteuid,
                __NR_getuid, __NR_getppid, __NR_uname, __NR_sysinfo});
  // Limits are read, not set.
  filter.AllowWhere(__NR_prlimit64, {{0, Kind::kIsOneOf, {0}}, {2, Kind::kIsZero, {}}});
  AllowBasics(&filter);
  AllowThreads(&filter);
  AllowSocketsAndEvents(&filter);
  AllowMemoryFiles(&filter);
  return PutInForce(filter, report);
}

Status RestrictCallsOfPageToucher(SandboxReport* report) {
  SyscallFilter filter;
  AllowBasics(&filter);
  return PutInForce(filter, report);
}

Status RestrictCallsOfHttp(SandboxReport* report) {
  SyscallFilter filter;
  AllowBasics(&filter);
  AllowThreads(&filter);
  filter.Allow({__NR_accept4, __NR_getsockopt, __NR_getsockname, __NR_shutdown, __NR_connect,
                __NR_eventfd2, __NR_fstat, __NR_newfstatat, __NR_lseek, __NR_getrandom,
                __NR_geteuid, __NR_getuid, __NR_getppid, __NR_rt_sigaction, __NR_uname,
                __NR_sysinfo, __NR_pidfd_open, __NR_preadv2});
  filter.AllowWhere(__NR_socket, {{0, Kind::kIsOneOf, {AF_UNIX}}});
  filter.AllowWhere(
      __NR_fcntl,
      {{1, Kind::kIsOneOf, {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GET_SEALS}}});
  filter.AllowWhere(__NR_prlimit64, {{0, Kind::kIsOneOf, {0}}, {2, Kind::kIsZero, {}}});
  return PutInForce(filter, report);
}

Status GiveUpKeepersRights() {
  VY_RETURN_IF_ERROR(ForbidNewPrivileges());
  return DropCapabilities({CAP_DAC_OVERRIDE});
}

}  // namespace vineyard::os
