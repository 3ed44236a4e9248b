// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <memory>

#include "cli/completion_scripts.h"
#include "cli/nouns.h"
#include "cli/verbs.h"

namespace vineyard::cli {

void AddCompletion(CLI::App& root, Session& session) {
  CLI::App& completion =
      AddCommand(root, {.name = "completion",
                        .description = "Prints a script that completes vineyardctl in a shell.",
                        .json = {},
                        .example = R"(for this shell, and for every bash from now on
  source <(vineyardctl completion bash)
  vineyardctl completion bash > ~/.local/share/bash-completion/completions/vineyardctl)"});
  auto shell = std::make_shared<std::string>();
  completion.add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->type_name("bash|zsh|fish");
  completion.callback([&root, &session, shell] {
    session.action = [&root, &session, shell] {
      session.Print(*shell == "bash"  ? BashCompletion(root)
                    : *shell == "zsh" ? ZshCompletion(root)
                                      : FishCompletion(root));
      return Status::OK();
    };
  });
}

}  // namespace vineyard::cli
