// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <csignal>
#include <string>
#include <vector>

#include "cli/app.h"
#include "os/process.h"

int main(int argc, char** argv) {
  vineyard::os::FillStandardDescriptors();
  // A reader such as `head` may go before all is written: Session::Flush sees it by an error.
  std::signal(SIGPIPE, SIG_IGN);
  return vineyard::cli::RunProgram(
      std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
