// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/memory_info.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace vineyard::os {
namespace {

constexpr uint64_t kGi = uint64_t{1} << 30;

// A folder with the few files of /proc and /sys that count.
class MemoryInfoTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = ::testing::TempDir() + "/memory_info_XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    root_ = path;
    Write("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree:        1 kB\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  uint64_t Limit() { return ReadMemoryInfo(root_).value().limit(); }

  std::string root_;
};

TEST_F(MemoryInfoTest, WithoutMeminfoItIsAnError) {
  EXPECT_EQ(ReadMemoryInfo(root_ + "/nowhere").status().code(), StatusCode::kNotFound);
  Write("/proc/meminfo", "MemFree: 12 kB\n");
  EXPECT_FALSE(ReadMemoryInfo(root_).ok());
}

TEST_F(MemoryInfoTest, AGroupThatSaysNothingLeavesTheMachine) {
  EXPECT_EQ(Limit(), 16 * kGi) << "no control groups at all";
  Write("/proc/self/cgroup", "0::/a/b\n");
  EXPECT_EQ(Limit(), 16 * kGi) << "not mounted";
  Write("/sys/fs/cgroup/a/b/memory.max", "max\n");
  EXPECT_EQ(Limit(), 16 * kGi);
  Write("/sys/fs/cgroup/a/b/memory.max", "nonsense\n");
  EXPECT_EQ(Limit(), 16 * kGi);
  Write("/sys/fs/cgroup/a/b/memory.max", std::to_string(32 * kGi));
  EXPECT_EQ(ReadMemoryInfo(root_).value().cgroup_bytes, std::nullopt) << "more than there is";
}

TEST_F(MemoryInfoTest, TheLeastOfAGroupAndThoseAboveItCounts) {
  Write("/proc/self/cgroup", "0::/a/b\n");
  Write("/sys/fs/cgroup/a/b/memory.max", std::to_string(8 * kGi));
  EXPECT_EQ(Limit(), 8 * kGi);
  Write("/sys/fs/cgroup/a/memory.max", std::to_string(4 * kGi));
  EXPECT_EQ(Limit(), 4 * kGi);
}

TEST_F(MemoryInfoTest, VersionOneIsReadToo) {
  Write("/proc/self/cgroup", "9:name=systemd:/x\n4:hugetlb,memory:/jobs/7\n0::/\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Limit(), 16 * kGi) << "how version 1 says 'no limit'";
  Write("/sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes", std::to_string(2 * kGi) + "\n");
  EXPECT_EQ(Limit(), 2 * kGi);
}

TEST_F(MemoryInfoTest, AContainerThatSeesTheHostsPathHasItsLimitAtTheMount) {
  Write("/proc/self/cgroup", "4:memory:/docker/0123abcd\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", std::to_string(kGi) + "\n");
  EXPECT_EQ(Limit(), kGi);
}

TEST_F(MemoryInfoTest, AvailableIsTheLeastOfWhatTheMachineAndItsGroupsHaveLeft) {
  EXPECT_FALSE(ReadAvailableMemory(root_).ok()) << "no MemAvailable";
  Write("/proc/meminfo", "MemTotal:       16777216 kB\nMemAvailable:    8388608 kB\n");
  EXPECT_EQ(ReadAvailableMemory(root_).value(), 8 * kGi);
  Write("/proc/self/cgroup", "0::/a/b\n");
  Write("/sys/fs/cgroup/a/memory.max", std::to_string(6 * kGi) + "\n");
  EXPECT_EQ(ReadAvailableMemory(root_).value(), 6 * kGi) << "it does not say what it uses";
  Write("/sys/fs/cgroup/a/memory.current", std::to_string(5 * kGi) + "\n");
  EXPECT_EQ(ReadAvailableMemory(root_).value(), kGi);
  Write("/sys/fs/cgroup/a/memory.stat", "inactive_file_x 1\ninactive_file 2147483648\n");
  EXPECT_EQ(ReadAvailableMemory(root_).value(), 3 * kGi) << "caches make way";
  Write("/sys/fs/cgroup/a/b/memory.max", std::to_string(kGi) + "\n");
  Write("/sys/fs/cgroup/a/b/memory.current", std::to_string(2 * kGi) + "\n");
  EXPECT_EQ(ReadAvailableMemory(root_).value(), 0u) << "more than its limit";
}

TEST_F(MemoryInfoTest, AvailableMemoryIsReadFromVersionOneToo) {
  Write("/proc/meminfo", "MemAvailable:    8388608 kB\n");
  Write("/proc/self/cgroup", "4:memory:/jobs/7\n");
  Write("/sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes", std::to_string(4 * kGi) + "\n");
  Write("/sys/fs/cgroup/memory/jobs/7/memory.usage_in_bytes", std::to_string(3 * kGi) + "\n");
  Write("/sys/fs/cgroup/memory/jobs/7/memory.stat", "total_inactive_file 1073741824\n");
  EXPECT_EQ(ReadAvailableMemory(root_).value(), 2 * kGi);
}

TEST(MemoryInfoParsing, JunkGivesNothing) {
  for (const char* text :
       {"", "MemTotal:", "MemTotal: kB", "MemTotal: 12", "MemTotal: -1 kB",
        "MemTotal: 99999999999999999999 kB", "MemTotal: 18446744073709551615 kB"}) {
    EXPECT_EQ(ParseMemTotal(text), std::nullopt) << text;
  }
}

TEST(MemoryInfo, ThisMachineHasSomeMemory) {
  const Result<MemoryInfo> info = ReadMemoryInfo();
  ASSERT_TRUE(info.ok()) << info.status().ToString();
  EXPECT_GT(info->limit(), 0u);
  EXPECT_LE(info->limit(), info->machine_bytes);
}

}  // namespace
}  // namespace vineyard::os
