// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/spill_place.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "daemon/config.h"

namespace vineyard::daemon {
namespace {

// A child of an engine that was killed, before it has closed what it inherited.
TEST(SpillPlace, WhoHoldsItForAMomentStillIsWaitedFor) {
  std::string folder = std::filesystem::temp_directory_path() / "vineyard-test-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  Config config;
  config.spill_path = folder;
  config.socket = "/s";
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  pid_t child = -1;
  {
    ASSERT_OK_AND_ASSIGN(const auto mine, TakeSpillPlace(config));
    child = ::fork();
    if (child == 0) {
      char nothing;
      (void)!::read(go[0], &nothing, 1);
      ::usleep(50'000);
      ::_exit(0);
    }
  }
  EXPECT_EQ(::write(go[1], "", 1), 1);
  EXPECT_OK(TakeSpillPlace(config));
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  for (const int end : go) ::close(end);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace vineyard::daemon
