// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// How an instance ends, and that nothing is left of it.
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/test_keeper.h"

namespace vineyard::daemon {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

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
