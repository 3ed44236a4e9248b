// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/verbs.h"

#include <limits>

#include <fmt/format.h>

namespace vineyard::cli {

CLI::App& AddCommand(CLI::App& parent, const CommandText& text) {
  CLI::App* app = parent.add_subcommand(std::string(text.name), std::string(text.description));
  std::string footer;
  if (!text.json.empty()) footer = fmt::format("-o json prints\n  {}\n\n", text.json);
  app->footer(footer + fmt::format("example: {}", text.example));
  return *app;
}

size_t OneMoreThan(size_t limit) {
  return limit == std::numeric_limits<size_t>::max() ? limit : limit + 1;
}

void SayThereAreMore(size_t limit) {
  Session::Say(fmt::format("there are more than these {}; --limit 0 shows all", limit));
}

Done DoToEach(const std::vector<std::string>& names,
              const std::function<Status(const std::string&)>& act) {
  Done done;
  for (const std::string& name : names) {
    Status status = act(name);
    if (status.ok()) {
      done.names.push_back(name);
      continue;
    }
    if (!done.failure.ok()) Session::Say(done.failure.message());
    done.failure = std::move(status);
    if (!done.failure.Is(StatusCode::kNotFound)) break;
  }
  return done;
}

}  // namespace vineyard::cli
