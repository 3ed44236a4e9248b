// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "testing/test_group.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "os/control_group.h"
#include "os/text_file.h"
#include "testing/test_daemon.h"

namespace vineyard::testing {

namespace {

struct Place {
  std::string folder;
  bool v1;
};

// Where the test's own group lies; in a container that may be the mount itself.
std::optional<Place> OwnGroup(std::string_view controller) {
  const auto self = os::ReadTextFile("/proc/self/cgroup");
  if (!self.ok()) return std::nullopt;
  for (const bool v1 : {true, false}) {
    const auto path = os::ParseGroupPath(*self, v1 ? controller : "");
    if (!path) continue;
    const std::string mount = v1 ? fmt::format("/sys/fs/cgroup/{}", controller) : "/sys/fs/cgroup";
    for (const std::string& folder : {mount + *path, mount}) {
      if (::access((folder + "/cgroup.procs").c_str(), F_OK) == 0) return Place{folder, v1};
    }
  }
  return std::nullopt;
}

}  // namespace

std::unique_ptr<TestGroup> TestGroup::Make(std::string_view controller, std::string* why) {
  static std::atomic<int> made = 0;
  const std::optional<Place> place = OwnGroup(controller);
  if (!place) {
    *why = fmt::format("no control group of '{}' is mounted", controller);
    return nullptr;
  }
  const std::string folder =
      fmt::format("{}/vineyard-test-{}-{}", place->folder, ::getpid(), ++made);
  if (::mkdir(folder.c_str(), 0755) != 0) {
    *why = fmt::format("cannot make {}: {}", folder, std::strerror(errno));
    return nullptr;
  }
  std::unique_ptr<TestGroup> group(new TestGroup(folder, place->v1));
  const std::string_view limit = controller == "pids" ? "pids.max"
                                 : place->v1          ? "memory.limit_in_bytes"
                                                      : "memory.max";
  if (::access(fmt::format("{}/{}", folder, limit).c_str(), W_OK) == 0) return group;
  *why = fmt::format("'{}' is not passed on to groups below {}", controller, place->folder);
  return nullptr;
}

TestGroup::~TestGroup() {
  EXPECT_TRUE(Eventually([&] { return ::rmdir(folder_.c_str()) == 0 || errno == ENOENT; }))
      << folder_ << " is left";
}

bool TestGroup::Write(std::string_view file, const std::string& text) const {
  std::ofstream out(fmt::format("{}/{}", folder_, file));
  out << text << std::flush;
  return out.good();
}

uint64_t TestGroup::Read(std::string_view file) const {
  const auto text = os::ReadTextFile(fmt::format("{}/{}", folder_, file));
  EXPECT_TRUE(text.ok()) << file;
  return text.ok() ? os::ParseNumber(*text).value_or(UINT64_MAX) : UINT64_MAX;
}

bool TestGroup::Add(pid_t pid) const { return Write("cgroup.procs", std::to_string(pid)); }

bool TestGroup::LimitMemory(uint64_t bytes) const {
  return Write(v1_ ? "memory.limit_in_bytes" : "memory.max", std::to_string(bytes));
}

bool TestGroup::LimitTasks(uint64_t count) const {
  return Write("pids.max", std::to_string(count));
}

uint64_t TestGroup::MostMemory() const {
  return Read(v1_ ? "memory.max_usage_in_bytes" : "memory.peak");
}

uint64_t TestGroup::Tasks() const { return Read("pids.current"); }

}  // namespace vineyard::testing
