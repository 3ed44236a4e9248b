// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "soak/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

namespace vineyard::soak {

namespace fs = std::filesystem;

namespace {

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/task/{}/children", pid, pid));
  std::vector<pid_t> children;
  for (pid_t child = 0; in >> child;) children.push_back(child);
  return children;
}

uint64_t PrivateBytes(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("RssAnon:")) return std::stoull(line.substr(8)) * 1024;
  }
  return 0;
}

void AddFiles(pid_t pid, bool keeper, KernelFigures& figures) {
  std::error_code gone;  // processes and descriptors come and go
  for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fd", pid), gone)) {
    ++figures.descriptors;
    const std::string target = fs::read_symlink(entry.path(), gone).string();
    struct stat status{};
    if (!target.starts_with("/memfd:") || ::stat(entry.path().c_str(), &status) != 0) continue;
    KernelFigures::File& file = figures.files[status.st_ino];
    file.name = target.substr(7);
    file.size = static_cast<uint64_t>(status.st_size);
    file.pages = static_cast<uint64_t>(status.st_blocks) * 512;
    file.in_keeper |= keeper;
  }
}

}  // namespace

pid_t Start(const Launch& launch) {
  std::vector<std::string> words = launch.command;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(126);
  for (const auto& [name, value] : launch.environment) ::setenv(name.c_str(), value.c_str(), 1);
  if (!launch.log.empty()) {
    const int log = ::open(launch.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
  }
  if (launch.kept_fd >= 0) ::fcntl(launch.kept_fd, F_SETFD, 0);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

uint64_t KernelFigures::SizeOf(const std::string& name) const {
  uint64_t sum = 0;
  for (const auto& [inode, file] : files) sum += file.name.starts_with(name) ? file.size : 0;
  return sum;
}

uint64_t KernelFigures::pages() const {
  uint64_t sum = 0;
  for (const auto& [inode, file] : files) sum += file.pages;
  return sum;
}

Instance::Instance(const Options& options)
    : socket_(options.folder + "/s"), log_(options.folder + "/vineyardd.log") {
  Launch launch{.command = {options.program, "--socket", socket_, "--exit_with_parent",
                            std::to_string(::getpid())},
                .environment = options.environment,
                .log = log_};
  launch.command.insert(launch.command.end(), options.flags.begin(), options.flags.end());
  keeper_ = Start(launch);
}

Instance::~Instance() {
  ::kill(keeper_, SIGTERM);
  ::waitpid(keeper_, nullptr, 0);
}

bool Instance::HasEnded() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(keeper_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid != 0;
}

Result<Client> Instance::Connect() const {
  using std::chrono::seconds;
  return Client::Connect({.socket = socket_,
                          .timeout = seconds(60),
                          .wait_for_instance = seconds(60),
                          .interrupted = [this] { return HasEnded(); }});
}

bool Instance::KillEngine() const {
  const std::vector<pid_t> children = ChildrenOf(keeper_);
  return !children.empty() && ::kill(children[0], SIGKILL) == 0;
}

KernelFigures Instance::Figures() const {
  KernelFigures figures;
  std::vector<pid_t> waiting{keeper_};
  while (!waiting.empty()) {
    const pid_t pid = waiting.back();
    waiting.pop_back();
    AddFiles(pid, pid == keeper_, figures);
    figures.private_bytes += PrivateBytes(pid);
    const std::vector<pid_t> children = ChildrenOf(pid);
    waiting.insert(waiting.end(), children.begin(), children.end());
  }
  return figures;
}

}  // namespace vineyard::soak
