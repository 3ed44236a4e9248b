// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests of the keeper: keepers that are real processes, forked from the test. Their engine is this
// program again, started with other arguments (fake_engine.h), to which the test talks over a socket of
// its own.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/keeper.h"
#include "layout/catalog.h"
#include "os/fd.h"
#include "os/mapping.h"
#include "os/process.h"
#include "os/socket.h"

namespace vineyard::daemon {

/// This program's path.
std::string ThisProgram();

/// A child of the test, killed when the test ends if it is still there.
class Child {
 public:
  explicit Child(const std::function<int()>& run);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  [[nodiscard]] pid_t pid() const { return pid_; }
  void Send(int number) const;
  os::ProcessEnd Wait();
  int WaitForExitCode();

 private:
  pid_t pid_;
};

/// The test's end of the talk with one fake engine.
class EngineTalk {
 public:
  explicit EngineTalk(os::UniqueFd socket);
  EngineTalk(const EngineTalk&) = delete;
  EngineTalk& operator=(const EngineTalk&) = delete;
  ~EngineTalk();

  void Say(const std::string& line);
  /// Empty at the engine's end.
  std::string Hear();
  std::string Ask(const std::string& line) {
    Say(line);
    return Hear();
  }
  void WaitForEnd() const;

  uint64_t generation = 0;
  uint64_t start = 99;
  pid_t pid = 0;
  uint64_t uuid[2] = {0, 0};
  std::string mark;
  bool former = false;  // the program that served before
  bool on_probation = false;
  std::vector<std::string> items;  // "KIND A B TEXT"

 private:
  FILE* hear_;
  FILE* say_;
  os::UniqueFd process_;
};

class KeeperTest : public ::testing::Test {
 protected:
  void SetUp() override;
  /// Waits for engines too: no test leaves any behind.
  void TearDown() override;

  std::unique_ptr<Child> StartKeeper();
  /// The next engine that has started.
  std::unique_ptr<EngineTalk> NextEngine();
  std::unique_ptr<EngineTalk> NextReadyEngine();
  std::vector<std::string> FilesLeft();
  os::SocketFile Socket() { return os::ProbeUnix(options_.socket).value(); }

  std::filesystem::path folder_;
  KeeperOptions options_;
  os::UniqueFd control_;
};

os::Mapping MapCatalog(const std::string& path);
const layout::KeeperPage& PageIn(const os::Mapping& catalog);

}  // namespace vineyard::daemon
