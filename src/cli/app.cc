// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/app.h"

#include <algorithm>

#include <fmt/format.h>

#include <CLI/CLI.hpp>  // the parts that CLI/App.hpp only declares

#include "cli/arguments.h"
#include "cli/help.h"
#include "cli/nouns.h"

namespace vineyard::cli {

namespace {

constexpr std::string_view kFooter =
    R"('vineyardctl COMMAND VERB --help' explains each, with the keys of its JSON and an example.

Data goes to stdout, remarks to stderr. The exit code is 0 when all went well, 1 when something
failed, 2 for a wrong command line, 3 when something was not found, 4 when no instance answers.

Without --socket the instance is looked for as programs do: VINEYARD_IPC_SOCKET; the file that
VINEYARD_CONFIG names; /var/run/vineyard-config.yaml and /var/run/vineyard/vineyard-config.yaml;
/var/run/vineyard.sock and /var/run/vineyard/vineyard.sock; the socket of an own vineyardd in
$XDG_RUNTIME_DIR/vineyard/ or ~/.local/vineyard/.

example: look at an instance, and hand out a part of it
  vineyardctl status
  vineyardctl object ls --limit 10
  vineyardctl volume create data --size 4Gi)";

Status Run(Session& session, std::vector<std::string> args) {
  const std::unique_ptr<CLI::App> app = BuildApp(session);
  if (args.empty()) {
    return Status::Invalid("which command? 'vineyardctl --help' lists them");
  }
  if (args[0] == "help") {  // "help object ls" is "object ls --help"
    std::ranges::rotate(args, args.begin() + 1);
    args.back() = "--help";
  }
  VY_ASSIGN_OR_RETURN(Arguments arguments, ReadArguments(*app, args));
  switch (arguments.kind) {
    case Arguments::Kind::kHelp: session.Print(HelpText(*arguments.app)); return Status::OK();
    case Arguments::Kind::kVersion:
      session.Print(fmt::format("{} {}\n", kProgram, Version()));
      return Status::OK();
    case Arguments::Kind::kRun: break;
  }
  try {
    app->parse(std::move(arguments.sealed));
  } catch (const CLI::Error& error) {
    return Status::Invalid(error.what());
  }
  VY_CHECK(session.action != nullptr);
  return session.action();
}

}  // namespace

std::unique_ptr<CLI::App> BuildApp(Session& session) {
  auto app = std::make_unique<CLI::App>(
      "vineyardctl looks after a vineyard instance: its objects, names and volumes.",
      std::string(kProgram));
  app->add_option("--socket", session.socket, "socket of the instance or of a volume")
      ->type_name("PATH");
  app->add_option("--timeout", session.timeout, "longest wait for an answer; 60s by default")
      ->type_name("DURATION");
  app->add_option("-o,--output", session.output, "form of the output; table by default")
      ->type_name("table|json");
  app->set_version_flag("--version", std::string(Version()), "print the version");
  app->footer(std::string(kFooter));
  AddStatus(*app, session);
  AddTop(*app, session);
  AddDu(*app, session);
  AddWhy(*app, session);
  AddClients(*app, session);
  AddWaits(*app, session);
  AddTrace(*app, session);
  AddObject(*app, session);
  AddName(*app, session);
  AddVolume(*app, session);
  AddUpgrade(*app, session);
  AddCompletion(*app, session);
  ExpectSealed(*app);
  return app;
}

int RunProgram(std::vector<std::string> args) {
  Session session;
  Status status = Run(session, std::move(args));
  const Status flushed = session.Flush();
  if (status.ok()) status = flushed;
  if (!status.ok()) {
    Session::Say(status.message().empty() ? StatusCodeName(status.code()) : status.message());
  }
  return ExitCode(status.code());
}

}  // namespace vineyard::cli
