// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The socket's file: whose it is, when it is replaced, and that only one keeper has it.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/test_keeper.h"

namespace vineyard::daemon {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

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

}  // namespace
}  // namespace vineyard::daemon
