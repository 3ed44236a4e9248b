// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "testing/test_daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "os/socket.h"
#include "os/test_fork.h"

// A child of a process with threads may start its own, as a Python program's does; the thread sanitizer
// would end it.
extern "C" const char* __tsan_default_options();  // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }

namespace vineyard::testing {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// What a hanging test may hang. Not a bound on anything that works.
constexpr unsigned kWatchdogSeconds = 280;

// Those of the process; 0 if it is gone.
pid_t ParentOf(const std::string& pid) {
  std::ifstream in("/proc/" + pid + "/stat");
  std::string text;
  std::getline(in, text);
  const size_t name_end = text.rfind(')');  // the name may have spaces
  if (name_end == std::string::npos) return 0;
  std::istringstream rest(text.substr(name_end + 1));
  std::string state;
  pid_t parent = 0;
  rest >> state >> parent;
  return state == "Z" ? 0 : parent;
}

// Not our child: its pidfd says when it has ended.
void AwaitEnd(const os::UniqueFd& pidfd) {
  pollfd p{pidfd.get(), POLLIN, 0};
  while (::poll(&p, 1, -1) < 0 && errno == EINTR) {
  }
}

}  // namespace

int Scale() {
  const char* text = std::getenv("VINEYARD_TEST_SCALE");
  const int scale = text == nullptr ? 1 : std::atoi(text);
  return scale < 1 ? 1 : scale;
}

bool IsInstrumented() { return os::IsInstrumented(); }

// ---- TempFolder

TempFolder::TempFolder() {
  std::string pattern = (fs::temp_directory_path() / "vineyard-test-XXXXXX").string();
  path_ = ::mkdtemp(pattern.data()) == nullptr ? std::string() : pattern;
  EXPECT_FALSE(path_.empty()) << "no folder for the test: " << std::strerror(errno);
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

// ---- Child

Child::Child(const std::function<int()>& run) {
  std::fflush(nullptr);
  pid_ = ::fork();
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::alarm(kWatchdogSeconds * static_cast<unsigned>(Scale()));
  const int code = run();
  std::fflush(nullptr);
  ::_exit(code);
}

Child::~Child() {
  if (pid_ > 0) Kill();
}

void Child::Kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  Wait();
}

int Child::Wait() {
  auto end = os::Reap(std::exchange(pid_, -1));
  if (!end.ok()) return -1;
  return end->by_signal ? -end->code : end->code;
}

// ---- Bell

Bell::Bell() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  read_ = os::UniqueFd(ends[0]);
  write_ = os::UniqueFd(ends[1]);
}

void Bell::Ring(uint64_t value) const {
  EXPECT_EQ(::write(write_.get(), &value, sizeof value), static_cast<ssize_t>(sizeof value));
}

std::optional<uint64_t> Bell::Wait() const {
  uint64_t value = 0;
  ssize_t got;
  do {
    got = ::read(read_.get(), &value, sizeof value);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof value)) return std::nullopt;
  return value;
}

bool Eventually(const std::function<bool()>& condition) {
  const auto end = os::Clock::now() + seconds(IsInstrumented() ? 200 : 60);
  for (auto pause = milliseconds(1); os::Clock::now() < end;
       pause = std::min(pause * 2, milliseconds(50))) {
    if (condition()) return true;
    std::this_thread::sleep_for(pause);
  }
  return condition();
}

pid_t ChildOf(pid_t parent) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (ParentOf(name) == parent) return static_cast<pid_t>(std::stol(name));
  }
  return 0;
}

namespace {

// Not the keeper's other child, which answers HTTP, nor one that runs nothing yet. 0: there is none.
pid_t EngineOf(pid_t keeper) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (ParentOf(name) != keeper) continue;
    std::ifstream in(entry.path() / "environ");
    for (std::string variable; std::getline(in, variable, '\0');) {
      if (variable == "VINEYARD_ENGINE=1") return static_cast<pid_t>(std::stol(name));
    }
  }
  return 0;
}

}  // namespace

uint64_t Settled(const std::function<uint64_t()>& ask) {
  uint64_t last = 0;
  int same = 0;
  Eventually([&] {
    const uint64_t now = ask();
    same = now == last ? same + 1 : 0;
    last = now;
    return same > 10;
  });
  return last;
}

uint64_t OpenDescriptors(pid_t pid) {
  const fs::directory_iterator all("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<uint64_t>(std::distance(begin(all), end(all)));
}

// ---- TestDaemon

TestDaemon::TestDaemon(DaemonOptions options) : options_(std::move(options)) {
  socket_ = folder_.path() + "/vineyard.sock";
  if (options_.user) {
    EXPECT_EQ(::chown(folder_.path().c_str(), *options_.user, gid_t(-1)), 0);
  }
  ::alarm(kWatchdogSeconds * static_cast<unsigned>(Scale()));
  Start();
}

std::string TestDaemon::Program() { return VINEYARDD_PATH; }

bool TestDaemon::UserMayRunIt(uid_t user) {
  Child tries([user] {
    if (::setresuid(user, user, user) != 0) return 1;
    return ::access(VINEYARDD_PATH, X_OK) == 0 ? 0 : 2;
  });
  return tries.Wait() == 0;
}

TestDaemon::~TestDaemon() {
  const std::string text = log();
  if (keeper_ > 0) KillKeeper();
  if (::testing::Test::HasFailure())
    std::fprintf(stderr, "---- vineyardd:\n%s----\n", text.c_str());
  EXPECT_EQ(text.find("left without an answer"), std::string::npos) << text;
}

void TestDaemon::Launch() {
  const std::string program = options_.program.empty() ? Program() : options_.program;
  std::vector<std::string> arguments{program, "--socket", socket_, "--size", options_.size};
  arguments.insert(arguments.end(), options_.flags.begin(), options_.flags.end());
  const std::string log_path = options_.log.empty() ? folder_.path() + "/log" : options_.log;
  keeper_ = ::fork();
  if (keeper_ != 0) return;
  if (options_.user && ::setresuid(*options_.user, *options_.user, *options_.user) != 0)
    ::_exit(126);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setpgid(0, 0);
  if (options_.descriptors) {
    const rlimit limit{*options_.descriptors, *options_.descriptors};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  for (const auto& [name, value] : options_.environment) ::setenv(name.c_str(), value.c_str(), 1);
  const int log_fd = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(log_fd, STDERR_FILENO);
  ::dup2(log_fd, STDOUT_FILENO);
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

void TestDaemon::Start() {
  ASSERT_LE(keeper_, 0) << "it runs already";
  Launch();
  auto client = Client::Connect({.socket = socket_,
                                 .timeout = seconds(100),
                                 .wait_for_instance = seconds(100),
                                 .interrupted = [this] { return ::kill(keeper_, 0) != 0; }});
  ASSERT_OK(client) << log();
}

std::string TestDaemon::log() const {
  std::ifstream in(folder_.path() + "/log");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

pid_t TestDaemon::engine() const {
  pid_t pid = 0;
  Eventually([&] { return (pid = EngineOf(keeper_)) != 0; });
  EXPECT_NE(pid, 0) << "no engine runs";
  return pid;
}

void TestDaemon::KillEngine() {
  const pid_t pid = engine();
  auto pidfd = os::OpenPidFd(pid);
  if (!pidfd.ok()) return;  // it has just ended
  ::kill(pid, SIGKILL);
  AwaitEnd(*pidfd);
}

void TestDaemon::KillKeeper() {
  const pid_t engine_pid = EngineOf(keeper_);
  auto pidfd = os::OpenPidFd(engine_pid > 0 ? engine_pid : keeper_);
  ::kill(keeper_, SIGKILL);
  os::Reap(std::exchange(keeper_, -1)).status().IgnoreError();
  if (engine_pid > 0 && pidfd.ok()) AwaitEnd(*pidfd);
}

void TestDaemon::KillGroup() {
  const pid_t engine_pid = EngineOf(keeper_);
  auto pidfd = os::OpenPidFd(engine_pid > 0 ? engine_pid : keeper_);
  ::kill(-keeper_, SIGKILL);
  os::Reap(std::exchange(keeper_, -1)).status().IgnoreError();
  if (engine_pid > 0 && pidfd.ok()) AwaitEnd(*pidfd);
}

void TestDaemon::PauseKeeper() { ::kill(keeper_, SIGSTOP); }
void TestDaemon::ResumeKeeper() { ::kill(keeper_, SIGCONT); }

void TestDaemon::PauseEngine() {
  paused_ = engine();
  ::kill(paused_, SIGSTOP);
}

void TestDaemon::ResumeEngine() { ::kill(std::exchange(paused_, -1), SIGCONT); }

int TestDaemon::Stop() {
  const pid_t engine_pid = EngineOf(keeper_);
  ::kill(keeper_, SIGTERM);
  const auto end = os::Reap(std::exchange(keeper_, -1));
  EXPECT_FALSE(fs::exists(socket_)) << "a stale socket is left";
  EXPECT_FALSE(fs::exists(socket_ + ".lock")) << "a stale lock is left";
  if (engine_pid > 0) {
    EXPECT_NE(ParentOf(std::to_string(engine_pid)), ::getpid()) << "an engine is left";
    EXPECT_NE(os::ProcessName(engine_pid), "vineyardd") << "an engine is left";
  }
  if (!end.ok()) return -1;
  return end->by_signal ? -end->code : end->code;
}

Client TestDaemon::Connect() const {
  auto client = Client::Connect(socket_);
  EXPECT_OK(client);
  if (!client.ok()) std::abort();  // the watchdog of those who can't go on
  return std::move(client).value();
}

// ---- values

std::vector<std::byte> Pattern(uint64_t seed, size_t size) {
  std::vector<std::byte> bytes(size);
  uint64_t state = (seed + 1) * 0x9e3779b97f4a7c15ULL ^ size;
  for (size_t i = 0; i < size; i += 8) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    std::memcpy(bytes.data() + i, &state, std::min<size_t>(8, size - i));
  }
  return bytes;
}

bool IsPattern(std::span<const std::byte> bytes, uint64_t seed) {
  const std::vector<std::byte> wanted = Pattern(seed, bytes.size());
  return std::equal(bytes.begin(), bytes.end(), wanted.begin());
}

Result<ObjectId> PutPattern(Client& client, uint64_t seed, size_t size, std::string name) {
  const std::vector<std::byte> bytes = Pattern(seed, size);
  ObjectBuilder builder("test");
  builder.AddBuffer(bytes);
  return client.Put(builder, {.timeout = {}, .name = std::move(name)});
}

bool HoldsPattern(const Result<Object>& object, uint64_t seed, size_t size) {
  if (!object.ok()) {
    ADD_FAILURE() << object.status().ToString();
    return false;
  }
  return object->buffers().size() == 1 && object->buffers()[0].size() == size &&
         IsPattern(object->buffers()[0].bytes(), seed);
}

}  // namespace vineyard::testing
