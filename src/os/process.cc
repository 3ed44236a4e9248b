// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/process.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace vineyard::os {

namespace {

const char* g_name = "";  // by SetProcessName

}  // namespace

Result<UniqueFd> OpenPidFd(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) return ErrnoStatus("cannot watch process " + std::to_string(pid));
  return fd;
}

bool HasEnded(const UniqueFd& pidfd) {
  pollfd p{pidfd.get(), POLLIN, 0};
  return ::poll(&p, 1, 0) == 1;
}

void DieWithParent() { ::prctl(PR_SET_PDEATHSIG, SIGKILL); }

pid_t ThisProcess() { return ::getpid(); }

bool IsChildOf(pid_t parent) { return ::getppid() == parent; }

namespace {

[[noreturn]] void Execute(const SpawnOptions& options) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGINT, SIG_IGN);
  for (const auto& [name, value] : options.environment) ::setenv(name.c_str(), value.c_str(), 1);
  if (options.inherited_fd >= 0) ::fcntl(options.inherited_fd, F_SETFD, 0);
  std::vector<char*> arguments;
  arguments.reserve(options.command.size() + 1);
  for (const std::string& text : options.command) {
    arguments.push_back(const_cast<char*>(text.c_str()));
  }
  arguments.push_back(nullptr);
  if (options.program >= 0) {
    ::fexecve(options.program, arguments.data(), environ);
  } else {
    ::execv(arguments[0], arguments.data());
  }
  std::perror(("cannot start '" + options.command[0] + "'").c_str());
  ::_exit(127);
}

}  // namespace

Result<pid_t> Spawn(const SpawnOptions& options) {
  if (options.command.empty()) return Status::Invalid("no program to start");
  const pid_t child = ::fork();
  if (child < 0) return ErrnoStatus("cannot start a process");
  if (child == 0) Execute(options);
  return child;
}

Result<UniqueFd> OpenProgram(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd.valid()) return ErrnoStatus("cannot open '" + path + "'");
  return fd;
}

Result<ProgramFile> LookAtProgram(const UniqueFd& program) {
  struct stat info{};
  if (::fstat(program.get(), &info) != 0) return ErrnoStatus("cannot look at a program");
  return ProgramFile{.device = info.st_dev,
                     .number = info.st_ino,
                     .size = static_cast<uint64_t>(info.st_size),
                     .changed_ns = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
}

Result<ProcessEnd> Reap(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return ErrnoStatus("cannot wait for process " + std::to_string(child));
  }
  if (WIFSIGNALED(status)) return ProcessEnd{.by_signal = true, .code = WTERMSIG(status)};
  return ProcessEnd{.by_signal = false, .code = WEXITSTATUS(status)};
}

void ReapOrphans(pid_t child) {
  if (::getpid() != 1) return;
  // Looks before it takes: the end of `child` is somebody else's to see. Others behind it wait for the next time.
  siginfo_t ended{};
  while (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0 &&
         ended.si_pid != child) {
    ::waitpid(ended.si_pid, nullptr, 0);
    ended = {};
  }
}

Result<UniqueFd> WatchSignals(const std::vector<int>& signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : signals) {
    struct sigaction before{};
    ::sigaction(number, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaddset(&set, number);
  }
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return ErrnoStatus("cannot block signals");
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return ErrnoStatus("cannot watch for signals");
  return fd;
}

int NextSignal(const UniqueFd& watched) {
  signalfd_siginfo info{};
  if (::read(watched.get(), &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return 0;
  return static_cast<int>(info.ssi_signo);
}

void SetCoreDumps(CoreDumps wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_CORE, &limit) != 0) return;
  limit.rlim_cur = wanted == CoreDumps::kAllowed ? limit.rlim_max : 0;
  ::setrlimit(RLIMIT_CORE, &limit);
}

Result<std::string> ProgramPath() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return ErrnoStatus("cannot find the path of this program", error.value());
  return path.string();
}

void FillStandardDescriptors() {
  int fd;
  do {
    fd = ::open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) ::close(fd);
}

void EndAtOnce() { ::_exit(0); }

void GiveBackFreeMemory() {
#ifdef __GLIBC__
  ::malloc_trim(0);
#endif
}

Status LimitPrivateMemory(uint64_t bytes) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_DATA, &limit) != 0) return ErrnoStatus("cannot read a limit of memory");
  if (limit.rlim_cur <= bytes) return {};
  limit.rlim_cur = limit.rlim_max = bytes;
  if (::setrlimit(RLIMIT_DATA, &limit) != 0) return ErrnoStatus("cannot set a limit of memory");
  return {};
}

void SetProcessName(const char* name) {
  ::prctl(PR_SET_NAME, name);
  g_name = name;
}

std::string ProcessName(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(in, name);
  return name;
}

bool IsTerminal(int fd) { return ::isatty(fd) == 1; }

std::string ProgramOf(const std::vector<std::string>& arguments) {
  constexpr size_t kMost = 128;
  const auto last_part = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
  if (arguments.empty()) return {};
  std::string program = last_part(arguments[0]);
  if (program.starts_with("python")) {
    // Its own options come first; of "-c" there is no name.
    for (size_t i = 1; i < arguments.size() && arguments[i] != "-c"; ++i) {
      if (arguments[i] == "-m" && i + 1 < arguments.size()) {
        program = "-m " + arguments[i + 1];
        break;
      }
      if (arguments[i] == "-W" || arguments[i] == "-X") {
        ++i;
        continue;
      }
      if (arguments[i].empty() || arguments[i].starts_with('-')) continue;
      program = last_part(arguments[i]);
      break;
    }
  }
  return program.substr(0, kMost);
}

std::string ProgramOfThisProcess() {
  std::ifstream in("/proc/self/cmdline");
  std::vector<std::string> arguments;
  constexpr size_t kLookedAt = 16;
  for (std::string argument; arguments.size() < kLookedAt && std::getline(in, argument, '\0');) {
    arguments.push_back(argument);
  }
  // A process in a sandbox may not read how it was started.
  return arguments.empty() ? g_name : ProgramOf(arguments);
}

SignalsBlocked::SignalsBlocked() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before_);
}

SignalsBlocked::~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

bool OnFork(void (*before)(), void (*in_parent)(), void (*in_child)()) {
  return ::pthread_atfork(before, in_parent, in_child) == 0;
}

}  // namespace vineyard::os
