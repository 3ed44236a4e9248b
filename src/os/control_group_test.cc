// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/control_group.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>

#include "os/processor.h"

namespace vineyard::os {
namespace {

// A folder with the few files of /proc and /sys that count.
class ControlGroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = ::testing::TempDir() + "/control_group_XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    root_ = path;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::optional<double> Quota() { return ReadProcessorQuota(root_); }

  std::string root_;
};

TEST_F(ControlGroupTest, AreVisitedFromTheProcessesOwnUpwards) {
  Write("/proc/self/cgroup", "3:cpu,cpuacct:/one\n0::/two/deep\n");
  Write("/sys/fs/cgroup/cpu/one/x", "v1");
  Write("/sys/fs/cgroup/two/x", "v2");
  std::vector<std::string> seen;
  VisitControlGroups(root_, "cpu", [&](const ControlGroup& group) {
    seen.push_back(std::to_string(group.version()) + group.Read("x"));
  });
  const std::vector<std::string> expected = {"1v1", "1", "2", "2v2", "2", "2", "2", "2"};
  EXPECT_EQ(seen, expected);
}

TEST_F(ControlGroupTest, WithoutAnyThereIsNoQuota) {
  EXPECT_EQ(Quota(), std::nullopt);
  Write("/proc/self/cgroup", "0::/a\n");
  EXPECT_EQ(Quota(), std::nullopt);
  for (const char* text : {"max 100000\n", "", "junk", "50000", "50000 0", "1000 junk"}) {
    Write("/sys/fs/cgroup/a/cpu.max", text);
    if (std::string(text) == "50000") {
      EXPECT_EQ(Quota(), 1.0);  // a quota without a period is taken for one that is all of it
    } else {
      EXPECT_EQ(Quota(), std::nullopt) << text;
    }
  }
}

TEST_F(ControlGroupTest, TheLeastQuotaCounts) {
  Write("/proc/self/cgroup", "0::/a/b\n");
  Write("/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
  EXPECT_EQ(Quota(), 4.0);
  Write("/sys/fs/cgroup/a/cpu.max", "25000 50000\n");
  EXPECT_EQ(Quota(), 0.5);
}

TEST_F(ControlGroupTest, VersionOneIsReadToo) {
  Write("/proc/self/cgroup", "3:cpu,cpuacct:/jobs\n");
  Write("/sys/fs/cgroup/cpu/jobs/cpu.cfs_period_us", "100000\n");
  Write("/sys/fs/cgroup/cpu/jobs/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(Quota(), std::nullopt);
  Write("/sys/fs/cgroup/cpu/jobs/cpu.cfs_quota_us", "150000\n");
  EXPECT_EQ(Quota(), 1.5);
}

TEST(ControlGroupParsing, JunkGivesNothing) {
  for (const char* text : {"", "::", "0::", "0::relative", "4:memory", "4:memory:", "\n\n"}) {
    EXPECT_EQ(ParseGroupPath(text, ""), std::nullopt) << text;
    EXPECT_EQ(ParseGroupPath(text, "memory"), std::nullopt) << text;
  }
  EXPECT_EQ(ParseGroupPath("4:memory_pressure:/x\n", "memory"), std::nullopt);
}

TEST(ControlGroupParsing, PathsMayHoldColons) {
  EXPECT_EQ(ParseGroupPath("0::/a:b\n", ""), "/a:b");
}

TEST(Processor, AtLeastOneMayBeUsed) { EXPECT_GE(UsableProcessors(), 1); }

}  // namespace
}  // namespace vineyard::os
