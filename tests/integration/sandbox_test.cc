// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What the processes of a real instance have given up, as the kernel tells it in /proc/PID/status. What
// that means is tried in src/os/sandbox_test.cc, from the inside.
#include <dirent.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

namespace fs = std::filesystem;
using testing::ChildOf;
using testing::HoldsPattern;
using testing::kLarge;
using testing::kSmall;
using testing::PutPattern;
using testing::TestDaemon;

const std::string kNoCapability(16, '0');

// "CapEff" → "0000000000000000"
std::map<std::string, std::string> ReadStatus(const std::string& path) {
  std::ifstream in(path);
  std::map<std::string, std::string> fields;
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(":\t");
    if (colon != std::string::npos) fields[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return fields;
}

std::map<std::string, std::string> StatusOf(pid_t pid) {
  return ReadStatus("/proc/" + std::to_string(pid) + "/status");
}

// The set of what can be gained by starting a program. Who has CAP_SETPCAP, as root has, may empty it.
enum class Bounding { kEmpty, kAny };
Bounding EmptyIfPossible() {
  constexpr uint64_t kSetPcap = uint64_t{1} << 8;
  const std::string permitted = StatusOf(::getpid())["CapPrm"];
  return ((std::stoull(permitted, nullptr, 16) & kSetPcap) != 0) ? Bounding::kEmpty
                                                                 : Bounding::kAny;
}

void ExpectConfined(pid_t pid, const std::string& what, Bounding bounding = EmptyIfPossible()) {
  for (const auto& thread : fs::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    auto status = ReadStatus(thread.path() / "status");
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
      EXPECT_EQ(status[set], kNoCapability) << what << " " << set;
    }
    EXPECT_EQ(status["NoNewPrivs"], "1") << what;
    if (bounding == Bounding::kEmpty) {
      EXPECT_EQ(status["CapBnd"], kNoCapability) << what;
    }
    if (!testing::IsInstrumented() && ::prctl(PR_GET_SECCOMP) >= 0) {
      EXPECT_EQ(status["Seccomp"], "2") << what;
    }
  }
}

// All kinds of memory there are: in records, in extents, made ahead of need.
void UseIt(TestDaemon& daemon, uint64_t seed) {
  Client client = daemon.Connect();
  for (uint64_t i = 0; i < 20; ++i) {
    ASSERT_OK_AND_ASSIGN(const ObjectId small, PutPattern(client, seed + i, kSmall));
    ASSERT_OK_AND_ASSIGN(const ObjectId large, PutPattern(client, seed + i, 4 * kLarge));
    EXPECT_TRUE(HoldsPattern(client.Get(small), seed + i, kSmall));
    EXPECT_TRUE(HoldsPattern(client.Get(large), seed + i, 4 * kLarge));
    ASSERT_OK(client.Delete({large}));
  }
}

TEST(Sandbox, TheEngineAndItsChildHaveNoRightsAndFewSystemCalls) {
  TestDaemon daemon;
  UseIt(daemon, 1);
  const pid_t engine = daemon.engine();
  ExpectConfined(engine, "engine");
  const pid_t toucher = ChildOf(engine);
  ASSERT_NE(toucher, 0) << "nobody touches pages";
  ExpectConfined(toucher, "page toucher");
}

TEST(Sandbox, TheNextEngineIsInItToo) {
  TestDaemon daemon;
  Client client = daemon.Connect();
  ASSERT_OK(PutPattern(client, 7, kSmall, "small"));
  ASSERT_OK(PutPattern(client, 8, 4 * kLarge, "large"));
  const pid_t first = daemon.engine();
  daemon.KillEngine();
  EXPECT_TRUE(HoldsPattern(client.Get("small"), 7, kSmall));
  EXPECT_TRUE(HoldsPattern(client.Get("large"), 8, 4 * kLarge));
  UseIt(daemon, 100);
  const pid_t second = daemon.engine();
  EXPECT_NE(second, first);
  ExpectConfined(second, "the second engine");
}

TEST(Sandbox, TheKeeperMayRemoveSocketsAnywhereAndNoMore) {
  constexpr uint64_t kDacOverride = uint64_t{1} << 1;
  TestDaemon daemon;
  auto status = StatusOf(daemon.keeper());
  EXPECT_EQ(std::stoull(status["CapPrm"], nullptr, 16) & ~kDacOverride, 0U);
  EXPECT_EQ(std::stoull(status["CapEff"], nullptr, 16) & ~kDacOverride, 0U);
  EXPECT_EQ(status["CapInh"], kNoCapability);
  if (EmptyIfPossible() == Bounding::kEmpty) {
    EXPECT_EQ(status["CapBnd"], kNoCapability);
  }
  EXPECT_EQ(status["NoNewPrivs"], "1");
  EXPECT_EQ(daemon.Stop(), 0);
}

TEST(Sandbox, SwitchedOffNothingIsGivenUpAndTheLogSaysSo) {
  TestDaemon daemon({.flags = {"--sandbox=off"}});
  UseIt(daemon, 1);
  auto mine = StatusOf(::getpid());
  for (const pid_t pid : {daemon.keeper(), daemon.engine(), ChildOf(daemon.engine())}) {
    auto status = StatusOf(pid);
    for (const char* field : {"CapPrm", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp"}) {
      EXPECT_EQ(status[field], mine[field]) << field;
    }
  }
  EXPECT_NE(daemon.log().find("without its sandbox"), std::string::npos) << daemon.log();
}

TEST(Sandbox, AnInstanceOfAnotherUserHasItToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root becomes somebody else";
  constexpr uid_t kNobody = 65534;
  if (!TestDaemon::UserMayRunIt(kNobody))
    GTEST_SKIP() << "the program lies where only root may read";
  TestDaemon daemon({.user = kNobody});
  UseIt(daemon, 1);
  ExpectConfined(daemon.engine(), "engine", Bounding::kAny);
  daemon.KillEngine();
  UseIt(daemon, 50);
}

}  // namespace
}  // namespace vineyard
