// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>

#include "base/testing.h"

namespace vineyard::os {
namespace {

namespace fs = std::filesystem;
using IfTaken = Directory::IfTaken;
using Rights = Directory::Rights;

class DirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "/directory_XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    path_ = folder;
    ASSERT_OK_AND_ASSIGN(folder_, Directory::Open(path_));
  }
  void TearDown() override { fs::remove_all(path_); }
  void Touch(const std::string& name) { std::ofstream(path_ + "/" + name) << name; }

  std::string path_;
  Directory folder_;
};

TEST_F(DirectoryTest, OpensFoldersOnly) {
  EXPECT_CODE(kNotFound, Directory::Open(path_ + "/none"));
  Touch("file");
  EXPECT_CODE(kInvalid, Directory::Open(path_ + "/file"));
  EXPECT_CODE(kInvalid, folder_.OpenChild("file"));
  EXPECT_CODE(kInvalid, folder_.MakeChild("file"));
  EXPECT_CODE(kNotFound, folder_.OpenChild("none"));
  ASSERT_OK(folder_.MakeChild("child"));
  EXPECT_OK(folder_.MakeChild("child"));
  EXPECT_OK(folder_.OpenChild("child"));
  fs::create_directory_symlink(path_ + "/child", path_ + "/link");
  EXPECT_CODE(kInvalid, folder_.OpenChild("link"));
  EXPECT_CODE(kInvalid, folder_.MakeChild("link"));
  EXPECT_OK(Directory::Open(path_ + "/link"));
}

TEST_F(DirectoryTest, NamesOfMoreThanOneComponentReachNothing) {
  ASSERT_OK(folder_.MakeChild("child"));
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("child/x"),
        std::string("/etc/passwd"), std::string("a\0b", 3)}) {
    EXPECT_CODE(kInvalid, folder_.OpenChild(name));
    EXPECT_CODE(kInvalid, folder_.MakeChild(name));
    EXPECT_CODE(kInvalid, folder_.Create(name, Caching::kThrough));
    EXPECT_CODE(kInvalid, folder_.OpenFile(name, Rights::kRead, Caching::kThrough));
    EXPECT_CODE(kInvalid, folder_.Rename("child", folder_, name, IfTaken::kRefuse));
    EXPECT_CODE(kInvalid, folder_.Rename(name, folder_, "x", IfTaken::kRefuse));
    EXPECT_CODE(kInvalid, folder_.Remove(name));
    EXPECT_CODE(kInvalid, folder_.Look(name));
    EXPECT_CODE(kInvalid, folder_.Lock(name));
  }
}

TEST_F(DirectoryTest, LinksAreNeitherFollowedNorWrittenThrough) {
  Touch("victim");
  fs::create_symlink(path_ + "/victim", path_ + "/link");
  fs::create_symlink(path_ + "/new", path_ + "/dangling");
  EXPECT_CODE(kInvalid, folder_.OpenFile("link", Rights::kReadWrite, Caching::kThrough));
  EXPECT_CODE(kAlreadyExists, folder_.Create("link", Caching::kThrough));
  EXPECT_CODE(kAlreadyExists, folder_.Create("dangling", Caching::kThrough));
  EXPECT_CODE(kInvalid, folder_.Lock("dangling"));
  EXPECT_EQ(folder_.Look("link")->kind, FileInfo::Kind::kLink);
  ASSERT_OK(folder_.Remove("link"));
  EXPECT_TRUE(fs::exists(path_ + "/victim"));
  EXPECT_FALSE(fs::exists(path_ + "/new"));
}

TEST_F(DirectoryTest, WhatIsNoOrdinaryFileIsNotOpenedAndNotWaitedFor) {
  ASSERT_EQ(::mkfifo((path_ + "/pipe").c_str(), 0600), 0);
  ASSERT_OK(folder_.MakeChild("child"));
  EXPECT_CODE(kInvalid, folder_.OpenFile("pipe", Rights::kRead, Caching::kThrough));
  EXPECT_CODE(kInvalid, folder_.OpenFile("child", Rights::kRead, Caching::kThrough));
}

TEST_F(DirectoryTest, RenamingReplacesOnlyWhereThatIsWanted) {
  Touch("a");
  Touch("b");
  EXPECT_CODE(kAlreadyExists, folder_.Rename("a", folder_, "b", IfTaken::kRefuse));
  EXPECT_TRUE(fs::exists(path_ + "/a"));
  ASSERT_OK(folder_.Rename("a", folder_, "b", IfTaken::kReplace));
  EXPECT_EQ(folder_.Look("b")->size, 1U);
  EXPECT_CODE(kNotFound, folder_.Rename("a", folder_, "c", IfTaken::kRefuse));
  ASSERT_OK_AND_ASSIGN(const Directory child, folder_.MakeChild("child"));
  ASSERT_OK(folder_.Rename("b", child, "c", IfTaken::kRefuse));
  EXPECT_EQ(child.Look("c")->kind, FileInfo::Kind::kFile);
  EXPECT_CODE(kNotFound, folder_.Remove("b"));
}

TEST_F(DirectoryTest, ALockHasOneHolderUntilItIsLetGo) {
  ASSERT_OK_AND_ASSIGN(UniqueFd lock, folder_.Lock("lock"));
  EXPECT_CODE(kAlreadyExists, folder_.Lock("lock"));
  // Who replaces the file locks a file that nobody else meets: the name counts.
  lock.Reset();
  EXPECT_OK(folder_.Lock("lock"));
}

TEST_F(DirectoryTest, EveryNameIsListedEachTime) {
  std::vector<std::string> wanted;
  for (int i = 0; i < 500; ++i) {
    wanted.push_back("file" + std::to_string(i));
    Touch(wanted.back());
  }
  std::ranges::sort(wanted);
  for (int round = 0; round < 2; ++round) {
    std::vector<std::string> names;
    ASSERT_OK(folder_.ForEach([&](std::string_view name) { names.emplace_back(name); }));
    std::ranges::sort(names);
    EXPECT_EQ(names, wanted);
  }
}

TEST_F(DirectoryTest, NewFilesAndFoldersAreTheirOwnersAlone) {
  ASSERT_OK(folder_.Create("file", Caching::kThrough));
  ASSERT_OK_AND_ASSIGN(const Directory child, folder_.MakeChild("child"));
  EXPECT_EQ(folder_.Look("file")->mode & 0077U, 0U);
  EXPECT_EQ(folder_.Look("file")->owner, ::geteuid());
  EXPECT_EQ(child.Look()->mode & 0077U, 0U);
  fs::permissions(path_ + "/child", fs::perms::all);
  ASSERT_OK(child.CloseToOthers());
  EXPECT_EQ(child.Look()->mode, 0700U);
  EXPECT_OK(child.Sync());
  const auto space = child.Space();
  ASSERT_OK(space);
  EXPECT_GE(space->total, space->free);
}

}  // namespace
}  // namespace vineyard::os
