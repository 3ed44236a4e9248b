// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// TestGroup: for tests, a control group of its own below the one that the test runs in, of version 1 or 2, whichever
// this machine has for a controller and lets the test make.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace vineyard::testing {

class TestGroup {
 public:
  /// Null, and why, where none can be made: no right to, or no such controller.
  static std::unique_ptr<TestGroup> Make(std::string_view controller, std::string* why);
  TestGroup(const TestGroup&) = delete;
  TestGroup& operator=(const TestGroup&) = delete;
  /// Once all that are in it have ended.
  ~TestGroup();

  /// From now on; what it has already is not counted. False: it is gone, or may not.
  bool Add(pid_t pid) const;
  bool LimitMemory(uint64_t bytes) const;
  bool LimitTasks(uint64_t count) const;
  /// Memory that its members have made the kernel find, at any one time.
  [[nodiscard]] uint64_t MostMemory() const;
  [[nodiscard]] uint64_t Tasks() const;

 private:
  TestGroup(std::string folder, bool v1) : folder_(std::move(folder)), v1_(v1) {}
  [[nodiscard]] bool Write(std::string_view file, const std::string& text) const;
  [[nodiscard]] uint64_t Read(std::string_view file) const;

  std::string folder_;
  bool v1_;
};

}  // namespace vineyard::testing
