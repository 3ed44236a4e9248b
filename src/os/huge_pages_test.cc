// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The switches are files of a folder made for the test; a "never" that is written becomes "advise"
// without the brackets that the kernel would show, so tests of writing look at the file.
#include "os/huge_pages.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/testing.h"
#include "os/user.h"

namespace vineyard::os {
namespace {

namespace fs = std::filesystem;

class HugePages : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "huge_pages_test.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  void Set(const std::string& name, const std::string& text) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text << "\n";
  }
  std::string Text(const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(root_ / name).rdbuf();
    return text.str();
  }

  fs::path root_;
};

TEST_F(HugePages, AreMissingWhereTheKernelKnowsNone) {
  const HugePageState state = PrepareHugePages(HugePageMode::kAuto, root_.string());
  EXPECT_FALSE(state.large);
  EXPECT_FALSE(state.middle);
  EXPECT_FALSE(state.changed);
  EXPECT_NE(state.hint.find("use a kernel"), std::string::npos) << "there is no file to write to";
}

TEST_F(HugePages, OffChangesNothing) {
  Set("shmem_enabled", "always within_size advise [never] deny force");
  const HugePageState state = PrepareHugePages(HugePageMode::kOff, root_.string());
  EXPECT_FALSE(state.large);
  EXPECT_FALSE(state.changed);
  EXPECT_EQ(Text("shmem_enabled"), "always within_size advise [never] deny force\n");
  EXPECT_NE(state.hint.find("echo advise"), std::string::npos);
}

TEST_F(HugePages, WhatAPersonDeniedStaysDenied) {
  Set("shmem_enabled", "always within_size advise never [deny] force");
  const HugePageState state = PrepareHugePages(HugePageMode::kOn, root_.string());
  EXPECT_FALSE(state.large);
  EXPECT_FALSE(state.changed);
}

TEST_F(HugePages, NonsenseIsNoHugePages) {
  Set("shmem_enabled", "] what [");
  EXPECT_FALSE(PrepareHugePages(HugePageMode::kAuto, root_.string()).large);
}

TEST_F(HugePages, AreFoundWhereTheyAreOn) {
  for (const char* value : {"[always] never", "[within_size]", "never [advise]", "[force] deny"}) {
    Set("shmem_enabled", value);
    const HugePageState state = PrepareHugePages(HugePageMode::kAuto, root_.string());
    EXPECT_TRUE(state.large) << value;
    EXPECT_FALSE(state.changed) << value;
    EXPECT_TRUE(state.hint.empty()) << value;
  }
}

TEST_F(HugePages, MiddleOnesMayFollowTheLargeOnes) {
  Set("shmem_enabled", "[advise]");
  Set("hugepages-256kB/shmem_enabled", "always [inherit] never");
  EXPECT_TRUE(PrepareHugePages(HugePageMode::kOff, root_.string()).middle);
}

TEST_F(HugePages, NeverBecomesAdviseWhereThisProcessMayWrite) {
  Set("shmem_enabled", "always within_size advise [never] deny force");
  PrepareHugePages(HugePageMode::kAuto, root_.string());
  EXPECT_EQ(Text("shmem_enabled"), "advise");
}

}  // namespace
}  // namespace vineyard::os
