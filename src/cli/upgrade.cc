// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/nouns.h"
#include "cli/verbs.h"

namespace vineyard::cli {

namespace {

struct UpgradeOptions {
  bool no_watch = false;
};

Status Upgrade(Session& session, const UpgradeOptions& options) {
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  VY_ASSIGN_OR_RETURN(const InstanceStatus before, client.GetStatus());
  VY_ASSIGN_OR_RETURN(const InstanceStatus now, client.Upgrade({.watch = !options.no_watch}));
  if (session.wants_json()) {
    session.PrintJson({{"version_before", before.version},
                       {"version", now.version},
                       {"generation_before", before.generation},
                       {"generation", now.generation},
                       {"former_program", now.former_program},
                       {"on_probation", now.on_probation}});
  } else {
    session.Print(fmt::format("{} to {} (generation {} to {})\n", before.version, now.version,
                              before.generation, now.generation));
  }
  if (!now.former_program) return Status::OK();
  return Status::FailedPrecondition(
      "the program that is installed passed its trial, and then did not begin or ended by a fault; "
      "the one before serves again, with all that was stored: see the instance's log");
}

}  // namespace

void AddUpgrade(CLI::App& root, Session& session) {
  CLI::App& upgrade = AddCommand(
      root,
      {.name = "upgrade",
       .description =
           "Lets an instance run the program that is installed now.\n"
           "Put that where the instance was started from, by mv and not by writing into the file.\n"
           "It is tried first, and then watched for some seconds: if it fails, the one before\n"
           "serves again. What is stored stays; clients notice nothing but a moment's wait.",
       .json = R"({"version_before", "version", "generation_before", "generation",
  "former_program", "on_probation"})",
       .example = R"(a new program, for an instance that runs
  install vineyardd /usr/local/bin/vineyardd.new
  mv /usr/local/bin/vineyardd.new /usr/local/bin/vineyardd
  vineyardctl upgrade)"});
  UpgradeOptions& options = RunWhenChosen(upgrade, session, Upgrade);
  upgrade.add_flag("--no-watch", options.no_watch,
                   "return as soon as it serves, which may not be for long");
}

}  // namespace vineyard::cli
