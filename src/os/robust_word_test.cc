// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/robust_word.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/testing.h"
#include "os/mapping.h"

namespace vineyard::os {
namespace {

class RobustWordTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fd_ = CreateMemfd("robust_word_test", PageSize()).value();
    writable_ = Mapping::Open(fd_, PageSize(), Access::kReadWrite).value();
    const UniqueFd again = Reopen(fd_, Access::kRead).value();
    readable_ = Mapping::Open(again, PageSize(), Access::kRead).value();
  }
  RobustWord* word() { return reinterpret_cast<RobustWord*>(writable_.data()); }
  const RobustWord* seen() { return reinterpret_cast<const RobustWord*>(readable_.data()); }

  UniqueFd fd_;
  Mapping writable_;
  Mapping readable_;
};

TEST_F(RobustWordTest, IsDeadBeforeAnybodyHoldsIt) { EXPECT_TRUE(IsDead(seen())); }

TEST_F(RobustWordTest, IsAliveWhileItsThreadLivesAndDeadAfter) {
  std::thread holder([&] {
    ASSERT_OK(HoldRobustWord(word()));
    EXPECT_FALSE(IsDead(seen()));
  });
  holder.join();
  EXPECT_TRUE(IsDead(seen()));
}

TEST_F(RobustWordTest, IsDeadOnceReleased) {
  ASSERT_OK(HoldRobustWord(word()));
  EXPECT_FALSE(IsDead(seen()));
  ReleaseRobustWord(word());
  EXPECT_TRUE(IsDead(seen()));
}

TEST_F(RobustWordTest, IsDeadAfterItsHolderWasKilled) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool held = HoldRobustWord(word()).ok();
    [[maybe_unused]] const ssize_t n = ::write(ready[1], held ? "y" : "n", 1);
    while (true) ::pause();
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  EXPECT_FALSE(IsDead(seen()));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(IsDead(seen()));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(RobustWordTest, AForkedChildOfItsHolderDoesNotKeepItAlive) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t holder = ::fork();
  if (holder == 0) {
    if (!HoldRobustWord(word()).ok()) ::_exit(1);
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      while (true) ::pause();
    }
    [[maybe_unused]] const ssize_t n = ::write(ready[1], &grandchild, sizeof grandchild);
    ::kill(::getpid(), SIGKILL);
  }
  pid_t grandchild = 0;
  ASSERT_EQ(::read(ready[0], &grandchild, sizeof grandchild),
            static_cast<ssize_t>(sizeof grandchild));
  ::waitpid(holder, nullptr, 0);
  EXPECT_TRUE(IsDead(seen()));
  ::kill(grandchild, SIGKILL);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(RobustWordTest, ManyAreMarkedAtOneDeath) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (size_t i = 0; i < PageSize() / sizeof(RobustWord); ++i) {
      if (!HoldRobustWord(word() + i).ok()) ::_exit(1);
    }
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  for (size_t i = 0; i < PageSize() / sizeof(RobustWord); ++i) EXPECT_TRUE(IsDead(seen() + i));
}

}  // namespace
}  // namespace vineyard::os
