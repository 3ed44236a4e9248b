// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// vineyardd: both processes of an instance. The one that a user starts is the keeper; it starts the
// same program again, with the same arguments and the number of a socket in the environment, as its
// engine.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/logging.h"
#include "base/size.h"
#include "daemon/config.h"
#include "daemon/engine.h"
#include "daemon/flags.h"
#include "daemon/keeper.h"
#include "os/fd.h"
#include "os/process.h"

namespace vineyard::daemon {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

void Say(FILE* where, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), where);
  std::fflush(where);
}

// The end of the socket to the keeper that started this process.
Result<os::UniqueFd> KeeperSocket(const char* number) {
  int fd = -1;
  const char* end = number + std::strlen(number);
  const auto [stop, error] = std::from_chars(number, end, fd);
  os::UniqueFd socket(error == std::errc() && stop == end ? fd : -1);
  if (!os::CloseOnExec(socket).ok()) {
    return Status::Invalid(fmt::format(
        "{} is '{}', which is no open descriptor; only a keeper sets it: take it out of the "
        "environment",
        kEngineFdVariable, number));
  }
  ::unsetenv(kEngineFdVariable);
  return socket;
}

// What a keeper has started: an engine, or a program that it tries.
int RunForKeeper(const Config& config, const char* number) {
  os::DieWithParent();  // a keeper that has ended before this is noticed by the end of the socket
  auto socket = KeeperSocket(number);
  if (!socket.ok()) {
    Say(stderr, fmt::format("vineyardd: {}\n", socket.status().message()));
    return kWrongUsage;
  }
  if (config.action == Config::Action::kSelfTest) return RunSelfTest(config, *socket);
  return RunEngine(config, std::move(socket).value());
}

// Like crash points in the program that is shipped: what is tested is what runs.
std::chrono::milliseconds PeriodOfTest(const char* variable, std::chrono::milliseconds otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::chrono::milliseconds(std::strtol(text, nullptr, 10));
}

int RunAsKeeper(const Config& config, std::span<const char* const> args) {
  auto program = os::ProgramPath();
  if (!program.ok()) {
    Say(stderr, fmt::format("vineyardd: {}\n", program.status().message()));
    return kFailed;
  }
  for (const std::string& notice : config.notices) log::Warning("note", {{"what", notice}});
  log::Info("instance begins",
            {{"version", VINEYARD_VERSION},
             {"socket", config.socket},
             {"size", FormatSize(config.size)},
             {"size_is", config.size_reason.empty() ? "as told" : config.size_reason},
             {"descriptors", os::RaiseFdLimit()}});
  os::SetCoreDumps(config.coredump ? os::CoreDumps::kAllowed : os::CoreDumps::kNone);
  KeeperOptions options{.socket = config.socket,
                        .socket_mode = config.socket_mode,
                        .read_only_socket = config.read_only_socket,
                        .read_only_socket_mode = config.read_only_socket_mode,
                        .engine_command = {std::move(program).value()},
                        .exit_with_parent = config.exit_with_parent,
                        .sandbox = config.sandbox};
  options.succession.probation =
      PeriodOfTest("VINEYARD_PROBATION_MS", options.succession.probation);
  options.succession.start = PeriodOfTest("VINEYARD_START_MS", options.succession.start);
  options.engine_command.insert(options.engine_command.end(), args.begin(), args.end());
  return RunKeeper(options);
}

int Main(std::span<const char* const> args) {
  auto config = Config::Load(args, Environment::OfThisProcess());
  if (!config.ok()) {
    Say(stderr, fmt::format("vineyardd: {}\n", config.status().message()));
    return kWrongUsage;
  }
  switch (config->action) {
    case Config::Action::kPrintHelp: Say(stdout, HelpText()); return 0;
    case Config::Action::kPrintVersion: Say(stdout, "vineyardd " VINEYARD_VERSION "\n"); return 0;
    case Config::Action::kPrintConfig: Say(stdout, config->Print()); return 0;
    case Config::Action::kSelfTest:
    case Config::Action::kServe: break;
  }
  log::Configure(config->log_level, config->log_format);
  if (const char* number = std::getenv(kEngineFdVariable)) return RunForKeeper(*config, number);
  if (config->action == Config::Action::kSelfTest) return RunSelfTest(*config, os::UniqueFd());
  return RunAsKeeper(*config, args);
}

}  // namespace
}  // namespace vineyard::daemon

int main(int argc, char** argv) {
  const auto count = static_cast<size_t>(argc > 0 ? argc - 1 : 0);
  return vineyard::daemon::Main(std::span<const char* const>(argv + 1, count));
}
