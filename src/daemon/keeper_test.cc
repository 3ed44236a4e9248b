// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Engines that end, what the next one is given, and what readers see of it in their catalogs.
#include "daemon/keeper.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/fake_engine.h"
#include "daemon/keeper_protocol.h"
#include "daemon/test_keeper.h"

namespace vineyard::daemon {
namespace {

namespace fs = std::filesystem;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kMainListener = "1 1 0 -";

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

TEST_F(KeeperTest, NoRequestIsBlamedForAnEngineThatNeverServed) {
  auto keeper = StartKeeper();
  NextReadyEngine()->Say("kill 9");
  NextEngine()->Say("exit 1");
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

}  // namespace
}  // namespace vineyard::daemon

int main(int argc, char** argv) {
  if (std::getenv(vineyard::daemon::kEngineFdVariable) != nullptr) {
    if (std::string_view(argv[argc - 1]) == "--self_test") return vineyard::daemon::RunFakeTrial();
    return vineyard::daemon::RunFakeEngine(argv[1]);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
