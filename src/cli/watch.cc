// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/watch.h"

#include <unistd.h>

#include <thread>

namespace vineyard::cli {

namespace {
constexpr std::string_view kClearScreen = "\x1b[H\x1b[2J\x1b[3J";
}  // namespace

void AddWatch(CLI::App& verb, std::string& watch) {
  verb.add_option("--watch", watch, "show it again and again, as often as that, until Ctrl-C")
      ->type_name("DURATION");
}

Status ShowOften(Session& session, const std::string& watch,
                 const std::function<Status(Client&)>& show) {
  Timeout pause{0};
  if (!watch.empty()) {
    VY_ASSIGN_OR_RETURN(pause, ParseTimeout("--watch", watch));
  }
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  const bool to_terminal = ::isatty(STDOUT_FILENO) == 1;
  while (true) {
    if (pause.count() > 0 && to_terminal && !session.wants_json()) session.Print(kClearScreen);
    VY_RETURN_IF_ERROR(show(client));
    if (pause.count() == 0) return {};
    VY_RETURN_IF_ERROR(session.Flush());
    if (session.reader_is_gone()) return {};
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace vineyard::cli
