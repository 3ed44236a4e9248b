// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/process.h"
#include "os/crash_point.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/testing.h"
#include "os/test_fork.h"

namespace vineyard::os {
namespace {

// Runs in a child; gives its exit code, or minus the signal that ended it.
template <typename Run>
int InChild(Run run) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(run());
  const ProcessEnd end = Reap(child).value();
  return end.by_signal ? -end.code : end.code;
}

TEST(Process, NoOneCanWatchAProcessThatIsGone) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_OK(Reap(child));
  EXPECT_FALSE(OpenPidFd(child).ok());
  EXPECT_FALSE(Reap(child).ok());
}

TEST(Process, AProgramIsKnownByItsFileAndWhatIsInThat) {
  std::string folder = std::filesystem::temp_directory_path() / "process_test_XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/program";
  std::ofstream(path) << "one";
  const UniqueFd open = OpenProgram(path).value();
  ASSERT_OK_AND_ASSIGN(const ProgramFile before, LookAtProgram(open));
  EXPECT_EQ(LookAtProgram(OpenProgram(path).value()).value(), before);
  std::ofstream(path) << "three";
  ASSERT_OK_AND_ASSIGN(const ProgramFile changed, LookAtProgram(open));
  EXPECT_FALSE(changed == before);
  EXPECT_TRUE(changed.IsSameAs(before));
  std::ofstream(path + ".new") << "three";
  std::filesystem::rename(path + ".new", path);
  EXPECT_FALSE(LookAtProgram(OpenProgram(path).value()).value().IsSameAs(before));
  EXPECT_EQ(LookAtProgram(open).value(), changed) << "it is still there for whoever has it open";
  EXPECT_FALSE(OpenProgram(folder + "/absent").ok());
  std::filesystem::remove_all(folder);
}

TEST(Process, APidfdTellsTheEndAlsoWhileAForkedChildLives) {
  int wait[2];
  int grandchild_pipe[2];
  ASSERT_EQ(::pipe(wait), 0);
  ASSERT_EQ(::pipe(grandchild_pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      while (true) ::pause();
    }
    [[maybe_unused]] ssize_t n = ::write(grandchild_pipe[1], &grandchild, sizeof grandchild);
    char byte;
    n = ::read(wait[0], &byte, 1);
    ::_exit(0);
  }
  pid_t grandchild = 0;
  ASSERT_EQ(::read(grandchild_pipe[0], &grandchild, sizeof grandchild),
            static_cast<ssize_t>(sizeof grandchild));
  ASSERT_OK_AND_ASSIGN(const UniqueFd pidfd, OpenPidFd(child));
  EXPECT_FALSE(HasEnded(pidfd));
  ASSERT_EQ(::write(wait[1], "x", 1), 1);
  pollfd p{pidfd.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&p, 1, -1), 1);
  EXPECT_TRUE(HasEnded(pidfd));
  ::kill(grandchild, SIGKILL);
  ASSERT_OK(Reap(child));
  for (const int fd : {wait[0], wait[1], grandchild_pipe[0], grandchild_pipe[1]}) ::close(fd);
}

TEST(Process, NoPidfdIsNoEnd) { EXPECT_FALSE(HasEnded(UniqueFd())); }

TEST(Process, DiesWithItsParent) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    if (::fork() == 0) {
      DieWithParent();
      [[maybe_unused]] const ssize_t n = ::write(pipe[1], "x", 1);
      while (true) ::pause();
    }
    while (true) ::pause();
  }
  ::close(pipe[1]);
  char byte;
  ASSERT_EQ(::read(pipe[0], &byte, 1), 1);
  ::kill(parent, SIGKILL);
  ASSERT_OK(Reap(parent));
  // The pipe ends only when the grandchild has gone too.
  EXPECT_EQ(::read(pipe[0], &byte, 1), 0);
  ::close(pipe[0]);
}

TEST(Process, SpawnSaysWhenTheProgramIsNotThere) {
  EXPECT_CODE(kInvalid, Spawn({}));
  ASSERT_OK_AND_ASSIGN(const pid_t child, Spawn({.command = {"/no/such/program"}}));
  const ProcessEnd end = Reap(child).value();
  EXPECT_FALSE(end.by_signal);
  EXPECT_EQ(end.code, 127);
}

TEST(Process, SpawnPassesEnvironmentAndOneDescriptor) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const std::string script = "printf '%s' \"$GREETING\" >&" + std::to_string(pipe[1]) + "; exit 3";
  ASSERT_OK_AND_ASSIGN(const pid_t child, Spawn({.command = {"/bin/sh", "-c", script},
                                                 .environment = {{"GREETING", "hello"}},
                                                 .inherited_fd = pipe[1]}));
  EXPECT_EQ(Reap(child).value().code, 3);
  char text[16] = {};
  ASSERT_EQ(::read(pipe[0], text, sizeof text), 5);
  EXPECT_STREQ(text, "hello");
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(Process, ReapTellsASignalFromAnExit) {
  EXPECT_EQ(InChild([] { return 5; }), 5);
  EXPECT_EQ(InChild([] {
              ::kill(::getpid(), SIGKILL);
              return 0;
            }),
            -SIGKILL);
}

TEST(Process, WatchedSignalsAreReadAndIgnoredOnesStayIgnored) {
  EXPECT_EQ(InChild([] {
              std::signal(SIGHUP, SIG_IGN);
              const auto watched = WatchSignals({SIGTERM, SIGHUP});
              if (!watched.ok() || NextSignal(*watched) != 0) return 1;
              ::kill(::getpid(), SIGHUP);
              ::kill(::getpid(), SIGTERM);
              if (NextSignal(*watched) != SIGTERM) return 2;
              return NextSignal(*watched) == 0 ? 0 : 3;
            }),
            0);
}

TEST(Process, StandardDescriptorsAreFilledSoThatNoFileGetsTheirNumbers) {
  EXPECT_EQ(InChild([] {
              ::close(0);
              ::close(1);
              ::close(2);
              FillStandardDescriptors();
              const int fd = ::open("/dev/null", O_RDONLY);
              return fd > STDERR_FILENO ? 0 : 1;
            }),
            0);
}

TEST(Process, ALimitOfItsOwnMemoryLeavesSharedMemoryAlone) {
  EXPECT_EQ(RunForked([] {
              if (!LimitPrivateMemory(uint64_t{256} << 20).ok()) return 1;
              constexpr size_t kMuch = size_t{1} << 30;
              const int both = PROT_READ | PROT_WRITE;
              void* shared = ::mmap(nullptr, kMuch, both, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
              if (shared == MAP_FAILED) return 2;
              void* own = ::mmap(nullptr, kMuch, both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              return own == MAP_FAILED ? 0 : 3;
            }),
            0);
}

TEST(Process, NameOfAProcess) {
  EXPECT_EQ(ProcessName(::getpid()).empty(), false);
  EXPECT_EQ(ProcessName(-1), "");
}

TEST(Process, CrashPointsAreOffUnlessAskedFor) {
  EXPECT_EQ(InChild([] {
              ::unsetenv("VINEYARD_CRASH_AT");
              LoadCrashPoint(1);
              CrashPoint("here");
              return 0;
            }),
            0);
}

TEST(Process, ACrashPointKillsAtItsNthPass) {
  const auto passes = [](const char* setting, int times) {
    return InChild([&] {
      ::setenv("VINEYARD_CRASH_AT", setting, 1);
      LoadCrashPoint(1);
      CrashPoint("elsewhere");
      for (int i = 0; i < times; ++i) CrashPoint("here");
      return 0;
    });
  };
  EXPECT_EQ(passes("here", 1), -SIGKILL);
  EXPECT_EQ(passes("here:3", 2), 0);
  EXPECT_EQ(passes("here:3", 3), -SIGKILL);
  EXPECT_EQ(passes("her", 5), 0);
}

TEST(Process, SeveralEnginesDieAtOnePlaceEach) {
  const auto dies = [](uint64_t generation) {
    return InChild([&] {
      ::setenv("VINEYARD_CRASH_AT", "there:7,here:2,elsewhere", 1);
      ::setenv("VINEYARD_CRASH_GENERATION", "3-9", 1);
      LoadCrashPoint(generation);
      for (int i = 0; i < 2; ++i) CrashPoint("here");
      return 0;
    });
  };
  for (const uint64_t generation : {2UL, 3UL, 5UL, 6UL, 8UL, 10UL}) EXPECT_EQ(dies(generation), 0);
  for (const uint64_t generation : {4UL, 7UL}) EXPECT_EQ(dies(generation), -SIGKILL);
}

TEST(Process, ProgramsAreCalledWhatPeopleCallThem) {
  EXPECT_EQ(ProgramOf({"/usr/bin/vineyardctl", "top"}), "vineyardctl");
  EXPECT_EQ(ProgramOf({"python3", "/srv/steps/train.py", "--fast"}), "train.py");
  EXPECT_EQ(ProgramOf({"/usr/bin/python3.11", "-W", "ignore", "-u", "train.py"}), "train.py");
  EXPECT_EQ(ProgramOf({"python", "-m", "pipeline.step", "x"}), "-m pipeline.step");
  EXPECT_EQ(ProgramOf({"python", "-c", "import vineyard"}), "python");
  EXPECT_EQ(ProgramOf({"python"}), "python");
  EXPECT_EQ(ProgramOf({}), "");
  EXPECT_EQ(ProgramOf({std::string(1000, 'x')}).size(), 128U);
  EXPECT_FALSE(ProgramOfThisProcess().empty());
}

}  // namespace
}  // namespace vineyard::os
