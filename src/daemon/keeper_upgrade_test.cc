// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Another program for the engine: how it is tried, and what follows when it does not serve. And what follows when
// engines serve, and end by faults.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/keeper_protocol.h"
#include "daemon/test_keeper.h"

namespace vineyard::daemon {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kMainListener = "1 1 0 -";

class KeeperUpgrade : public KeeperTest {
 protected:
  void SetUp() override {
    KeeperTest::SetUp();
    fs::create_symlink(ThisProgram(), program_());
    options_.engine_command[0] = program_();
  }
  fs::path program_() const { return folder_ / "program"; }
  /// What lies where the program was: a script.
  void Install(const std::string& script) {
    std::ofstream(folder_ / "newer") << "#!/bin/sh\n" << script << "\n";
    fs::permissions(folder_ / "newer", fs::perms(0700));
    fs::rename(folder_ / "newer", program_());
  }
  /// What the engine is told of a trial that goes so.
  std::string Try(const std::string& how) {
    ::setenv("FAKE_TRIAL", how.c_str(), 1);
    auto keeper = StartKeeper();
    ::unsetenv("FAKE_TRIAL");
    auto engine = NextReadyEngine();
    const std::string told = engine->Ask("try");
    EXPECT_EQ(engine->Ask("chunk 7 seven"), "ok") << "the engine that runs goes on";
    keeper->Send(SIGTERM);
    EXPECT_EQ(keeper->WaitForExitCode(), 0);
    return told;
  }
};

TEST_F(KeeperUpgrade, AProgramThatCannotTakeOverIsRefusedAndTheEngineGoesOn) {
  EXPECT_EQ(Try("good"), "ok");
  EXPECT_THAT(Try("exit 3"), HasSubstr("exit code 3"));
  EXPECT_THAT(Try("exit 127"), HasSubstr("is not there"));
  EXPECT_THAT(Try("kill 11"), HasSubstr("signal 11"));
  EXPECT_THAT(Try("silent"), HasSubstr("did not say"));
  EXPECT_THAT(Try("protocol"), HasSubstr("version 2 of the keeper's protocol"));
  EXPECT_THAT(Try("catalog"), HasSubstr("does not read catalogs of version 1"));
  EXPECT_THAT(Try("ledger"), HasSubstr("does not read ledgers of version 1"));
  options_.trial_patience = milliseconds(50);
  EXPECT_THAT(Try("hang"), HasSubstr("in time"));
}

TEST_F(KeeperUpgrade, AProgramThatIsNotThereIsRefused) {
  auto keeper = StartKeeper();
  auto engine = NextReadyEngine();
  fs::remove(program_());
  EXPECT_THAT(engine->Ask("try"), HasSubstr("is not there"));
  Install("exit 0");
  EXPECT_THAT(engine->Ask("try"), HasSubstr("did not say"));
  Install("exec " + ThisProgram() + " \"$@\"");
  EXPECT_EQ(engine->Ask("try"), "ok");
}

TEST_F(KeeperUpgrade, AnEngineThatGivesWayIsFollowedAtOnceByTheOther) {
  auto keeper = StartKeeper();
  auto first = NextReadyEngine();
  ASSERT_EQ(first->Ask("chunk 7 seven"), "ok");
  Install("FAKE_ENGINE_MARK=newer exec " + ThisProgram() + " \"$@\"");
  ASSERT_EQ(first->Ask("try"), "ok");
  first->Say("exit 0");
  auto second = NextReadyEngine();
  EXPECT_EQ(second->mark, "newer");
  EXPECT_EQ(second->start, static_cast<uint64_t>(KeeperStart::kAfterKill));
  EXPECT_THAT(second->items, ElementsAre(kMainListener, "5 7 0 seven"));
}

TEST_F(KeeperUpgrade, WhereTheNewProgramDoesNotServeTheOneBeforeIsStartedAgain) {
  auto keeper = StartKeeper();
  auto first = NextReadyEngine();
  EXPECT_FALSE(first->former);
  ASSERT_EQ(first->Ask("chunk 7 seven"), "ok");
  Install("exit 1");
  first->Say("exit 0");
  auto second = NextReadyEngine();
  EXPECT_TRUE(second->former);
  EXPECT_EQ(second->generation, 4u) << "the new program has had two goes";
  EXPECT_THAT(second->items, ElementsAre(kMainListener, "5 7 0 seven"));
  // It is looked for anew whenever an engine is needed: also when there is nothing any more.
  fs::remove(program_());
  second->Say("kill 9");
  auto third = NextReadyEngine();
  EXPECT_TRUE(third->former);
  fs::create_symlink(ThisProgram(), program_());
  third->Say("kill 9");
  EXPECT_FALSE(NextReadyEngine()->former);
}

TEST_F(KeeperUpgrade, ANewProgramThatServesAndEndsByAFaultSoonIsFollowedByTheOneBefore) {
  options_.succession.probation = std::chrono::hours(1);
  auto keeper = StartKeeper();
  auto first = NextReadyEngine();
  EXPECT_FALSE(first->on_probation) << "there is none before it";
  ASSERT_EQ(first->Ask("chunk 7 seven"), "ok");
  Install("FAKE_ENGINE_MARK=newer exec " + ThisProgram() + " \"$@\"");
  ASSERT_EQ(first->Ask("try"), "ok");
  first->Say("exit 0");
  auto second = NextReadyEngine();
  EXPECT_EQ(second->mark, "newer");
  EXPECT_TRUE(second->on_probation);
  ASSERT_EQ(second->Ask("chunk 8 eight"), "ok");
  second->Say("kill 11");
  auto third = NextReadyEngine();
  EXPECT_EQ(third->mark, "-");
  EXPECT_TRUE(third->former);
  EXPECT_FALSE(third->on_probation);
  EXPECT_THAT(third->items, ElementsAre(kMainListener, "5 7 0 seven", "5 8 0 eight"));
  third->Say("kill 9");
  auto fourth = NextReadyEngine();
  EXPECT_TRUE(fourth->former) << "what failed is not tried again by itself";
  ASSERT_EQ(fourth->Ask("try"), "ok");
  fourth->Say("exit 0");
  EXPECT_EQ(NextReadyEngine()->mark, "newer") << "but when somebody asks for it";
}

TEST_F(KeeperUpgrade, ANewProgramThatHasServedWellStays) {
  options_.succession.probation = milliseconds(50);
  auto keeper = StartKeeper();
  auto first = NextReadyEngine();
  Install("FAKE_ENGINE_MARK=newer exec " + ThisProgram() + " \"$@\"");
  first->Say("exit 0");
  auto second = NextReadyEngine();
  EXPECT_TRUE(second->on_probation);
  EXPECT_EQ(second->Ask("settled"), "ok");
  second->Say("kill 11");
  auto third = NextReadyEngine();
  EXPECT_EQ(third->mark, "newer");
  EXPECT_FALSE(third->former);
  EXPECT_FALSE(third->on_probation);
}

TEST_F(KeeperUpgrade, ANewProgramThatHangsBeforeItServesIsEndedAndFollowedByTheOneBefore) {
  options_.succession.start = milliseconds(50);
  auto keeper = StartKeeper();
  auto first = NextReadyEngine();
  ASSERT_EQ(first->Ask("chunk 7 seven"), "ok");
  Install("exec sleep 100000");
  first->Say("exit 0");
  auto second = NextEngine();
  EXPECT_TRUE(second->former);
  EXPECT_EQ(second->generation, 3u) << "one such wait is enough";
  EXPECT_THAT(second->items, ElementsAre(kMainListener, "5 7 0 seven"));
  EXPECT_EQ(second->Ask("ready"), "ok");
}

TEST_F(KeeperUpgrade, ASlowStartOfTheOnlyProgramIsWaitedFor) {
  options_.succession.start = milliseconds(1);
  auto keeper = StartKeeper();
  auto first = NextEngine();
  first->Ask("chunk 7 seven");
  EXPECT_EQ(first->Ask("ready"), "ok");
  EXPECT_EQ(first->generation, 1u);
}

TEST_F(KeeperUpgrade, AnEngineThatDiesDuringATrialIsFollowedByAnother) {
  ::setenv("FAKE_TRIAL", "hang", 1);
  options_.trial_patience = std::chrono::hours(1);
  auto keeper = StartKeeper();
  ::unsetenv("FAKE_TRIAL");
  auto first = NextReadyEngine();
  first->Say("try");
  ::kill(first->pid, SIGKILL);
  auto second = NextReadyEngine();
  EXPECT_EQ(second->Ask("chunk 7 seven"), "ok");
  second->Say("try");
  keeper->Send(SIGTERM);
  EXPECT_EQ(keeper->WaitForExitCode(), 0);  // and no program on trial is left: see TearDown
}

// ---- faults

TEST_F(KeeperUpgrade, FaultsThatFollowEachOtherAreAnsweredEverMoreSlowlyAndAlways) {
  auto keeper = StartKeeper();
  const auto restart = [&](const char* by) {
    auto engine = NextReadyEngine();
    const auto before = std::chrono::steady_clock::now();
    engine->Say(by);
    engine->WaitForEnd();
    auto next = NextEngine();
    const auto took = std::chrono::steady_clock::now() - before;
    EXPECT_EQ(next->Ask("ready"), "ok");
    next->Say("kill 9");
    return took;
  };
  restart("kill 11");
  EXPECT_GE(restart("kill 11"), milliseconds(100));
  EXPECT_GE(restart("exit 1"), milliseconds(200));
  EXPECT_GE(restart("kill 6"), milliseconds(400));
  auto last = NextReadyEngine();
  EXPECT_EQ(last->generation, 9u);
}

}  // namespace
}  // namespace vineyard::daemon
