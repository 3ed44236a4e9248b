// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Keepers are real processes here, forked from the test. Their engine is this program again, started
// with other arguments (fake_engine.h), to which the test talks over a socket of its own.
#include "daemon/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/fake_engine.h"
#include "daemon/keeper_protocol.h"
#include "layout/catalog.h"
#include "os/mapping.h"
#include "os/process.h"
#include "os/socket.h"

namespace vineyard::daemon {
namespace {

namespace fs = std::filesystem;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::string ThisProgram() { return fs::read_symlink("/proc/self/exe").string(); }

// A child of the test, killed when the test ends if it is still there.
class Child {
 public:
  explicit Child(const std::function<int()>& run) : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::_exit(run());
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  void Send(int number) const { ::kill(pid_, number); }
  os::ProcessEnd Wait() { return os::Reap(std::exchange(pid_, -1)).value(); }
  int WaitForExitCode() {
    const os::ProcessEnd end = Wait();
    return end.by_signal ? -end.code : end.code;
  }

 private:
  pid_t pid_;
};

// The test's end of the talk with one fake engine.
class EngineTalk {
 public:
  explicit EngineTalk(os::UniqueFd socket) {
    ::fcntl(socket.get(), F_SETFL, 0);  // blocking
    hear_ = ::fdopen(socket.Duplicate().value().Release(), "r");
    say_ = ::fdopen(socket.Release(), "w");
    std::istringstream first(Hear());
    std::string word;
    size_t count = 0;
    first >> word >> generation >> start >> pid >> uuid[0] >> uuid[1] >> mark >> count;
    EXPECT_EQ(word, "engine");
    process_ = os::OpenPidFd(pid).value();
    for (size_t i = 0; i < count; ++i) items.push_back(Hear());
  }
  EngineTalk(const EngineTalk&) = delete;
  EngineTalk& operator=(const EngineTalk&) = delete;
  ~EngineTalk() {
    std::fclose(hear_);
    std::fclose(say_);
  }

  void Say(const std::string& line) {
    fmt::print(say_, "{}\n", line);
    std::fflush(say_);
  }
  // Empty at the engine's end.
  std::string Hear() {
    char line[4096];
    if (std::fgets(line, sizeof line, hear_) == nullptr) return {};
    std::string text(line);
    if (text.ends_with('\n')) text.pop_back();
    return text;
  }
  std::string Ask(const std::string& line) {
    Say(line);
    return Hear();
  }
  void WaitForEnd() const {
    pollfd entry{process_.get(), POLLIN, 0};
    while (::poll(&entry, 1, -1) != 1) {
    }
  }

  uint64_t generation = 0;
  uint64_t start = 99;
  pid_t pid = 0;
  uint64_t uuid[2] = {0, 0};
  std::string mark;
  std::vector<std::string> items;  // "KIND A B TEXT"

 private:
  FILE* hear_;
  FILE* say_;
  os::UniqueFd process_;
};

constexpr const char* kMainListener = "1 1 0 -";

class KeeperTest : public testing::Test {
 protected:
  void SetUp() override {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::string folder = fs::temp_directory_path() / "keeper_test_XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    fs::create_directory(folder_ / "run");
    options_.socket = folder_ / "run" / "vineyard.sock";
    options_.engine_command = {ThisProgram(), folder_ / "control"};
    control_ = os::ListenUnix(folder_ / "control", 0600).value();
  }
  // Waits for engines too: no test leaves any behind.
  void TearDown() override {
    while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
    }
    fs::remove_all(folder_);
  }

  std::unique_ptr<Child> StartKeeper() {
    return std::make_unique<Child>([this] { return RunKeeper(options_); });
  }
  // The next engine that has started.
  std::unique_ptr<EngineTalk> NextEngine() {
    pollfd entry{control_.get(), POLLIN, 0};
    while (::poll(&entry, 1, -1) != 1) {
    }
    return std::make_unique<EngineTalk>(os::Accept(control_).value());
  }
  std::unique_ptr<EngineTalk> NextReadyEngine() {
    auto engine = NextEngine();
    EXPECT_EQ(engine->Ask("ready"), "ok");
    return engine;
  }
  std::vector<std::string> FilesLeft() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_ / "run")) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  os::SocketFile Socket() { return os::ProbeUnix(options_.socket).value(); }

  fs::path folder_;
  KeeperOptions options_;
  os::UniqueFd control_;
};

os::Mapping MapCatalog(const std::string& path) {
  const os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return os::Mapping::Open(fd, layout::kFirstSegmentOffset, os::Access::kRead).value();
}

const layout::KeeperPage& PageIn(const os::Mapping& catalog) {
  return *reinterpret_cast<const layout::KeeperPage*>(catalog.data() + layout::kCatalogPage);
}

// ---- engines that end ------------------------------------------------------------------------------

TEST_F(KeeperTest, TheFirstEngineGetsTheListeningSocketAndNothingElse) {
  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  EXPECT_EQ(engine->generation, 1u);
  EXPECT_EQ(engine->start, static_cast<uint64_t>(KeeperStart::kFirst));
  EXPECT_THAT(engine->items, ElementsAre(kMainListener));
  EXPECT_EQ(Socket(), os::SocketFile::kLive);
  EXPECT_EQ(fs::status(options_.socket).permissions(), fs::perms(0660));
}

TEST_F(KeeperTest, EverythingHeldOutlivesAKilledEngine) {
  auto keeper = StartKeeper();
  auto first = NextReadyEngine();
  ASSERT_EQ(first->Ask("chunk 7 seven"), "ok");
  ASSERT_EQ(first->Ask("chunk 8 eight"), "ok");
  ASSERT_EQ(first->Ask("chunk 7 again"), "ok");
  ASSERT_EQ(::kill(first->pid, SIGKILL), 0);

  auto second = NextEngine();
  EXPECT_EQ(second->generation, 2u);
  EXPECT_EQ(second->start, static_cast<uint64_t>(KeeperStart::kAfterKill));
  EXPECT_THAT(second->items, ElementsAre(kMainListener, "5 7 0 again", "5 8 0 eight"));
  EXPECT_EQ(second->uuid[0], first->uuid[0]);
  EXPECT_EQ(second->uuid[1], first->uuid[1]);
  EXPECT_NE(second->pid, first->pid);
}

TEST_F(KeeperTest, WhatADroppedItemHeldIsGone) {
  auto keeper = StartKeeper();
  auto first = NextReadyEngine();
  ASSERT_EQ(first->Ask("chunk 7 seven"), "ok");
  ASSERT_EQ(first->Ask("chunk 8 eight"), "ok");
  ASSERT_EQ(first->Ask("drop 5 7 0"), "ok");
  ASSERT_EQ(first->Ask("drop 5 99 0"), "ok") << "a drop repeated after a crash is no mistake";
  first->Say("kill 9");
  EXPECT_THAT(NextEngine()->items, ElementsAre(kMainListener, "5 8 0 eight"));
}

TEST_F(KeeperTest, AFaultIsToldApartFromAKill) {
  auto keeper = StartKeeper();
  NextReadyEngine()->Say("kill 11");
  EXPECT_EQ(NextReadyEngine()->start, static_cast<uint64_t>(KeeperStart::kAfterFault));
}

TEST_F(KeeperTest, AnExitCodeIsAFaultAndAnEndWithoutOneIsNot) {
  auto keeper = StartKeeper();
  NextReadyEngine()->Say("exit 1");
  auto second = NextReadyEngine();
  EXPECT_EQ(second->start, static_cast<uint64_t>(KeeperStart::kAfterFault));
  second->Say("exit 0");
  EXPECT_EQ(NextReadyEngine()->start, static_cast<uint64_t>(KeeperStart::kAfterKill));
}

TEST_F(KeeperTest, WhatAnEngineSentAtTheInstantOfItsDeathIsHeld) {
  auto keeper = StartKeeper();
  NextReadyEngine()->Say("die_holding 50 last");
  auto second = NextEngine();
  ASSERT_THAT(second->items, SizeIs(51));
  second->items.erase(second->items.begin());
  EXPECT_THAT(second->items, Each(testing::EndsWith(" last")));
}

TEST_F(KeeperTest, MoreThanTheSocketTakesGoesBothWays) {
  const uint64_t count = std::min<uint64_t>(5000, os::RaiseFdLimit() / 3);
  auto keeper = StartKeeper();
  auto first = NextReadyEngine();
  ASSERT_EQ(first->Ask(fmt::format("chunks {} many", count)), "ok");
  first->Say("kill 9");
  auto second = NextReadyEngine();
  EXPECT_THAT(second->items, SizeIs(count + 1));
  EXPECT_EQ(second->items.back(), fmt::format("5 {} 0 many", count - 1));
}

TEST_F(KeeperTest, AnEngineThatDiesBeforeItServesIsFollowedByOthers) {
  auto keeper = StartKeeper();
  auto first = NextReadyEngine();
  ASSERT_EQ(first->Ask("chunk 7 seven"), "ok");
  first->Say("kill 11");
  for (uint64_t generation = 2; generation <= 5; ++generation) {
    auto engine = NextEngine();
    EXPECT_EQ(engine->generation, generation);
    EXPECT_EQ(engine->start, static_cast<uint64_t>(KeeperStart::kAfterFault))
        << "what the faulty engine did is not settled before another has served";
    EXPECT_THAT(engine->items, ElementsAre(kMainListener, "5 7 0 seven"));
    engine->Say("kill 9");
  }
  auto good = NextReadyEngine();
  good->Say("kill 9");
  EXPECT_EQ(NextReadyEngine()->start, static_cast<uint64_t>(KeeperStart::kAfterKill));
}

TEST_F(KeeperTest, AnInstanceWhoseFirstEngineGivesUpEndsWithItsCode) {
  auto keeper = StartKeeper();
  NextEngine()->Say("exit 3");
  EXPECT_EQ(keeper->WaitForExitCode(), 3);
  EXPECT_THAT(FilesLeft(), IsEmpty());
}

TEST_F(KeeperTest, AProgramThatIsNotThereEndsTheInstance) {
  options_.engine_command[0] = folder_ / "absent";
  auto keeper = StartKeeper();
  EXPECT_EQ(keeper->WaitForExitCode(), 127);
  EXPECT_THAT(FilesLeft(), IsEmpty());
}

TEST_F(KeeperTest, AReplacedProgramRunsNext) {
  const fs::path program = folder_ / "program";
  fs::create_symlink(ThisProgram(), program);
  options_.engine_command[0] = program;
  auto keeper = StartKeeper();
  auto first = NextReadyEngine();
  EXPECT_EQ(first->mark, "-");
  std::ofstream(folder_ / "newer")
      << "#!/bin/sh\nFAKE_ENGINE_MARK=newer exec " << ThisProgram() << " \"$@\"\n";
  fs::permissions(folder_ / "newer", fs::perms(0700));
  fs::rename(folder_ / "newer", program);
  first->Say("kill 9");
  EXPECT_EQ(NextReadyEngine()->mark, "newer");
}

// ---- catalogs --------------------------------------------------------------------------------------

TEST_F(KeeperTest, ReadersSeeThatACatalogIsReplacedBeforeTheNextEngineBegins) {
  auto keeper = StartKeeper();
  auto first = NextReadyEngine();
  const os::Mapping one = MapCatalog(first->Ask("catalog 1"));
  const os::Mapping two = MapCatalog(first->Ask("catalog 2"));
  EXPECT_FALSE(os::IsDead(&PageIn(one).keeper));
  EXPECT_EQ(PageIn(one).replaced.load(), 0u);
  first->Say("kill 9");

  auto second = NextReadyEngine();
  EXPECT_EQ(PageIn(one).replaced.load(), 1u);
  EXPECT_EQ(PageIn(two).replaced.load(), 1u);
  EXPECT_FALSE(os::IsDead(&PageIn(one).keeper)) << "the keeper lives";
  const os::Mapping fresh = MapCatalog(second->Ask("catalog 1"));
  EXPECT_EQ(PageIn(fresh).replaced.load(), 0u);
  EXPECT_FALSE(os::IsDead(&PageIn(fresh).keeper));
}

TEST_F(KeeperTest, ADroppedCatalogReadsDead) {
  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  const os::Mapping one = MapCatalog(engine->Ask("catalog 1"));
  const os::Mapping two = MapCatalog(engine->Ask("catalog 2"));
  ASSERT_EQ(engine->Ask(fmt::format("drop 2 1 {}", uint64_t{1} << 32)), "ok");
  EXPECT_TRUE(os::IsDead(&PageIn(one).keeper));
  EXPECT_FALSE(os::IsDead(&PageIn(two).keeper));
}

TEST_F(KeeperTest, ACatalogThatIsTooShortIsRefusedAndHarmsNothing) {
  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  EXPECT_EQ(engine->Ask("short_catalog"), std::to_string(static_cast<int>(StatusCode::kInvalid)));
  EXPECT_EQ(engine->Ask("chunk 7 seven"), "ok");
}

TEST_F(KeeperTest, AKilledKeeperIsSeenInItsCatalogsAndTakesItsEngineAlong) {
  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  const os::Mapping catalog = MapCatalog(engine->Ask("catalog 1"));
  keeper->Send(SIGKILL);
  EXPECT_TRUE(keeper->Wait().by_signal);
  EXPECT_TRUE(os::IsDead(&PageIn(catalog).keeper));
  engine->WaitForEnd();
}

// ---- the socket ------------------------------------------------------------------------------------

TEST_F(KeeperTest, TheSocketOfADeadInstanceIsReplaced) {
  auto dead = StartKeeper();
  auto old_engine = NextReadyEngine();
  dead->Send(SIGKILL);
  dead->Wait();
  old_engine->WaitForEnd();
  ASSERT_EQ(Socket(), os::SocketFile::kDead);

  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  EXPECT_EQ(Socket(), os::SocketFile::kLive);
  EXPECT_NE(engine->uuid[0], old_engine->uuid[0]);
}

TEST_F(KeeperTest, AnEngineThatOutlivesItsKeeperIsWaitedFor) {
  auto dead = StartKeeper();
  auto old_engine = NextReadyEngine();
  // As one that takes long to unmap its memory: it has the socket, and does not serve.
  old_engine->Say("outlive");
  EXPECT_EQ(old_engine->Hear(), "ok");
  ASSERT_EQ(::kill(old_engine->pid, SIGSTOP), 0);
  dead->Send(SIGKILL);
  dead->Wait();
  ASSERT_EQ(Socket(), os::SocketFile::kLive);
  auto keeper = StartKeeper();
  ASSERT_EQ(::kill(old_engine->pid, SIGKILL), 0);
  NextReadyEngine();
  EXPECT_EQ(Socket(), os::SocketFile::kLive);
}

TEST_F(KeeperTest, ALiveInstanceIsNeverReplaced) {
  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  auto other = StartKeeper();
  EXPECT_EQ(other->WaitForExitCode(), 1);
  EXPECT_EQ(Socket(), os::SocketFile::kLive);
  EXPECT_EQ(engine->Ask("chunk 7 seven"), "ok");
}

TEST_F(KeeperTest, AStrangersLiveSocketIsNotTouchedEither) {
  const os::UniqueFd stranger = os::ListenUnix(options_.socket, 0600).value();
  EXPECT_EQ(StartKeeper()->WaitForExitCode(), 1);
  EXPECT_THAT(FilesLeft(), ElementsAre("vineyard.sock"));
  EXPECT_EQ(Socket(), os::SocketFile::kLive);
}

TEST_F(KeeperTest, WhatIsNoSocketIsNotTouched) {
  std::ofstream(options_.socket) << "precious";
  EXPECT_EQ(StartKeeper()->WaitForExitCode(), 1);
  EXPECT_EQ(fs::file_size(options_.socket), 8u);
  fs::remove(options_.socket);
  fs::create_symlink(folder_ / "control", options_.socket);
  EXPECT_EQ(StartKeeper()->WaitForExitCode(), 1);
  EXPECT_THAT(FilesLeft(), ElementsAre("vineyard.sock"));
}

TEST_F(KeeperTest, OfManyThatBeginAtOnceOneWins) {
  std::vector<std::unique_ptr<Child>> keepers;
  for (int i = 0; i < 8; ++i) keepers.push_back(StartKeeper());
  auto engine = NextReadyEngine();
  size_t refused = 0;
  for (auto& keeper : keepers) {
    if (keeper->pid() == 0) continue;
    pid_t parent = 0;
    std::ifstream stat(fmt::format("/proc/{}/stat", engine->pid));
    std::string skipped;
    stat >> skipped >> skipped >> skipped >> parent;
    if (keeper->pid() == parent) continue;
    EXPECT_EQ(keeper->WaitForExitCode(), 1);
    ++refused;
  }
  EXPECT_EQ(refused, 7u);
  EXPECT_EQ(engine->Ask("chunk 7 seven"), "ok");
}

TEST_F(KeeperTest, AMissingFolderIsMadeOnlyUnderItsUsualName) {
  options_.socket = folder_ / "run" / "elsewhere" / "vineyard.sock";
  EXPECT_EQ(StartKeeper()->WaitForExitCode(), 1);
  EXPECT_THAT(FilesLeft(), IsEmpty());

  options_.socket = folder_ / "run" / "vineyard" / "vineyard.sock";
  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  EXPECT_EQ(Socket(), os::SocketFile::kLive);
  keeper->Send(SIGTERM);
  EXPECT_EQ(keeper->WaitForExitCode(), 0);
  EXPECT_THAT(FilesLeft(), IsEmpty());
}

// ---- the end ---------------------------------------------------------------------------------------

TEST_F(KeeperTest, AfterSigtermNothingIsLeft) {
  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  ASSERT_EQ(engine->Ask("chunk 7 seven"), "ok");
  ASSERT_EQ(engine->Ask(fmt::format("listener 2 {}", (folder_ / "run" / "data.sock").string())),
            "ok");
  const os::Mapping catalog = MapCatalog(engine->Ask("catalog 1"));
  keeper->Send(SIGTERM);
  EXPECT_EQ(keeper->WaitForExitCode(), 0);
  EXPECT_THAT(FilesLeft(), IsEmpty());
  EXPECT_TRUE(os::IsDead(&PageIn(catalog).keeper));
  engine->WaitForEnd();
}

TEST_F(KeeperTest, ASocketThatSomebodyElseListensOnNowStays) {
  const fs::path path = folder_ / "run" / "data.sock";
  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  ASSERT_EQ(engine->Ask(fmt::format("listener 2 {}", path.string())), "ok");
  fs::remove(path);
  const os::UniqueFd other = os::ListenUnix(path, 0600).value();
  keeper->Send(SIGTERM);
  EXPECT_EQ(keeper->WaitForExitCode(), 0);
  EXPECT_THAT(FilesLeft(), ElementsAre("data.sock"));
}

TEST_F(KeeperTest, ASecondSignalKillsAnEngineThatDoesNotEnd) {
  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  ASSERT_EQ(engine->Ask(fmt::format("ignore {}", SIGTERM)), "ok");
  keeper->Send(SIGINT);
  // The engine still has a keeper: it is being waited for.
  EXPECT_EQ(engine->Ask("chunk 7 seven"), "ok");
  keeper->Send(SIGTERM);
  EXPECT_EQ(keeper->WaitForExitCode(), 0);
  EXPECT_THAT(FilesLeft(), IsEmpty());
}

TEST_F(KeeperTest, SighupEndsNothing) {
  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  keeper->Send(SIGHUP);
  EXPECT_EQ(engine->Ask("chunk 7 seven"), "ok");
  keeper->Send(SIGTERM);
  EXPECT_EQ(keeper->WaitForExitCode(), 0);
}

TEST_F(KeeperTest, TheEngineMayEndTheInstance) {
  auto keeper = StartKeeper();
  NextReadyEngine()->Say("stop");
  EXPECT_EQ(keeper->WaitForExitCode(), 0);
  EXPECT_THAT(FilesLeft(), IsEmpty());
}

TEST_F(KeeperTest, ItEndsWithTheProcessItBelongsTo) {
  Child owner([] {
    while (true) ::pause();
    return 0;
  });
  options_.exit_with_parent = owner.pid();
  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  owner.Send(SIGKILL);
  EXPECT_EQ(keeper->WaitForExitCode(), 0);
  EXPECT_THAT(FilesLeft(), IsEmpty());
  engine->WaitForEnd();
}

TEST_F(KeeperTest, ItDoesNotBeginAfterTheProcessItBelongsTo) {
  Child owner([] { return 0; });
  options_.exit_with_parent = owner.pid();
  owner.Wait();
  EXPECT_EQ(StartKeeper()->WaitForExitCode(), 0);
  EXPECT_THAT(FilesLeft(), IsEmpty());
}

}  // namespace
}  // namespace vineyard::daemon

int main(int argc, char** argv) {
  if (std::getenv(vineyard::daemon::kEngineFdVariable) != nullptr) {
    return vineyard::daemon::RunFakeEngine(argv[1]);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
