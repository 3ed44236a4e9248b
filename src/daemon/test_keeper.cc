// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/test_keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <utility>

#include <fmt/format.h>

namespace vineyard::daemon {

namespace fs = std::filesystem;

namespace {

// Waits until there is something to be read.
void AwaitInput(const os::UniqueFd& fd) {
  pollfd entry{fd.get(), POLLIN, 0};
  while (::poll(&entry, 1, -1) != 1) {
  }
}

}  // namespace

std::string ThisProgram() { return fs::read_symlink("/proc/self/exe").string(); }

Child::Child(const std::function<int()>& run) : pid_(::fork()) {
  if (pid_ != 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::_exit(run());
}

Child::~Child() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Child::Send(int number) const { ::kill(pid_, number); }

os::ProcessEnd Child::Wait() { return os::Reap(std::exchange(pid_, -1)).value(); }

int Child::WaitForExitCode() {
  const os::ProcessEnd end = Wait();
  return end.by_signal ? -end.code : end.code;
}

EngineTalk::EngineTalk(os::UniqueFd socket) {
  ::fcntl(socket.get(), F_SETFL, 0);  // blocking
  hear_ = ::fdopen(socket.Duplicate().value().Release(), "r");
  say_ = ::fdopen(socket.Release(), "w");
  std::istringstream first(Hear());
  std::string word;
  size_t count = 0;
  first >> word >> generation >> start >> pid >> uuid[0] >> uuid[1] >> mark >> former >>
      on_probation >> count;
  EXPECT_EQ(word, "engine");
  process_ = os::OpenPidFd(pid).value();
  for (size_t i = 0; i < count; ++i) items.push_back(Hear());
}

EngineTalk::~EngineTalk() {
  std::fclose(hear_);
  std::fclose(say_);
}

void EngineTalk::Say(const std::string& line) {
  fmt::print(say_, "{}\n", line);
  std::fflush(say_);
}

std::string EngineTalk::Hear() {
  char line[4096];
  if (std::fgets(line, sizeof line, hear_) == nullptr) return {};
  std::string text(line);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

void EngineTalk::WaitForEnd() const { AwaitInput(process_); }

void KeeperTest::SetUp() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::string folder = fs::temp_directory_path() / "keeper_test_XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  folder_ = folder;
  fs::create_directory(folder_ / "run");
  options_.socket = folder_ / "run" / "vineyard.sock";
  options_.engine_command = {ThisProgram(), folder_ / "control"};
  control_ = os::ListenUnix(folder_ / "control", 0600).value();
}

void KeeperTest::TearDown() {
  while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
  fs::remove_all(folder_);
}

std::unique_ptr<Child> KeeperTest::StartKeeper() {
  return std::make_unique<Child>([this] { return RunKeeper(options_); });
}

std::unique_ptr<EngineTalk> KeeperTest::NextEngine() {
  AwaitInput(control_);
  return std::make_unique<EngineTalk>(os::Accept(control_).value());
}

std::unique_ptr<EngineTalk> KeeperTest::NextReadyEngine() {
  auto engine = NextEngine();
  EXPECT_EQ(engine->Ask("ready"), "ok");
  return engine;
}

std::vector<std::string> KeeperTest::FilesLeft() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_ / "run")) {
    names.push_back(entry.path().filename());
  }
  return names;
}

os::Mapping MapCatalog(const std::string& path) {
  const os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return os::Mapping::Open(fd, layout::kFirstSegmentOffset, os::Access::kRead).value();
}

const layout::KeeperPage& PageIn(const os::Mapping& catalog) {
  return *reinterpret_cast<const layout::KeeperPage*>(catalog.data() + layout::kCatalogPage);
}

}  // namespace vineyard::daemon
