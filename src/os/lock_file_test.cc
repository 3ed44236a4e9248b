// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/lock_file.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

namespace vineyard::os {
namespace {

class LockFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "/lock_file_XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    path_ = folder + "/lock";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  std::string path_;
};

TEST_F(LockFileTest, OneHolderAtATimeAndRemovedWithItsRemoval) {
  LockFile first = LockFile::TryAcquire(path_).value();
  EXPECT_EQ(LockFile::TryAcquire(path_).status().code(), StatusCode::kAlreadyExists);
  first.Remove();
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_TRUE(LockFile::TryAcquire(path_).ok());
}

TEST_F(LockFileTest, TheFileOfAKilledHolderLocksNobodyOut) {
  const pid_t child = ::fork();
  if (child == 0) {
    LockFile lock = LockFile::TryAcquire(path_).value();
    ::kill(::getpid(), SIGKILL);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_TRUE(LockFile::TryAcquire(path_).ok());
}

TEST_F(LockFileTest, AHolderWhoseFileWasReplacedDoesNotRemoveTheOther) {
  LockFile old = LockFile::TryAcquire(path_).value();
  std::filesystem::remove(path_);
  LockFile fresh = LockFile::TryAcquire(path_).value();
  old.Remove();
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_EQ(LockFile::TryAcquire(path_).status().code(), StatusCode::kAlreadyExists);
}

TEST_F(LockFileTest, ALinkIsNotFollowed) {
  std::filesystem::create_symlink(folder_ + "/elsewhere", path_);
  EXPECT_FALSE(LockFile::TryAcquire(path_).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/elsewhere"));
}

}  // namespace
}  // namespace vineyard::os
