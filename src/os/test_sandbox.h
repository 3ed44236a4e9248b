// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests of the sandbox: each forks a process, puts it into the sandbox as an engine does, and tries there
// what must fail and what must go on working.
#pragma once

#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "os/sandbox.h"
#include "os/test_fork.h"

namespace vineyard::os {

inline constexpr int kCannotEnter = 100;

// Of a process that has entered an engine's sandbox: the exit code, or minus a signal's number.
inline int RunInside(const std::function<int()>& run, const ReachableFiles& files = {}) {
  return RunForked([&] {
    SandboxReport report;
    if (!GiveUpRights(files, &report).ok()) return kCannotEnter;
    if (!RestrictCallsOfEngine(files, -1, &report).ok()) return kCannotEnter + 1;
    return run();
  });
}

// What this kernel can take away, by its own word: a sandbox that does nothing must not skip its tests.
inline SandboxReport Possible() {
  SandboxReport report;
  report.landlock = static_cast<int>(
      ::syscall(SYS_landlock_create_ruleset, nullptr, size_t{0}, LANDLOCK_CREATE_RULESET_VERSION));
  report.calls = ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
  return report;
}

class Folder {
 public:
  Folder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "vineyard-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data()) == nullptr ? std::string() : pattern;
    EXPECT_FALSE(path_.empty());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(const char* name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Inside : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { possible_ = Possible(); }
  void SetUp() override {
    if (IsInstrumented()) GTEST_SKIP() << "with a sanitizer there is no sandbox";
  }
  static bool HasLandlock(int level = 1) { return possible_.landlock >= level; }
  static bool HasCalls() { return possible_.calls; }
  static inline SandboxReport possible_;
  Folder folder_;
};

}  // namespace vineyard::os
