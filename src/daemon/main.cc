// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// vineyardd: the processes of an instance. The one that a user starts is the keeper; it starts the
// same program again, with the same arguments and the number of a socket in the environment, as its
// engine, and once more where --http asks for it.
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
#include "daemon/http_process.h"
#include "daemon/keeper.h"
#include "http/serve.h"
#include "os/fd.h"
#include "os/process.h"
#include "os/tcp.h"

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

// The socket that a keeper listens on, and that keeper.
Result<std::pair<os::UniqueFd, pid_t>> HttpListener(const char* value) {
  int fd = -1;
  pid_t keeper = 0;
  const char* end = value + std::strlen(value);
  auto read = std::from_chars(value, end, fd);
  if (read.ec == std::errc() && read.ptr != end && *read.ptr == ',') {
    read = std::from_chars(read.ptr + 1, end, keeper);
  }
  os::UniqueFd listener(read.ec == std::errc() && read.ptr == end ? fd : -1);
  if (keeper <= 0 || !os::CloseOnExec(listener).ok()) {
    return Status::Invalid(
        fmt::format("{} is '{}', which names no open descriptor; only a keeper sets it: take it "
                    "out of the environment",
                    kHttpVariable, value));
  }
  ::unsetenv(kHttpVariable);
  return std::pair(std::move(listener), keeper);
}

int RunHttp(const Config& config, const char* value) {
  auto given = HttpListener(value);
  if (!given.ok()) {
    Say(stderr, fmt::format("vineyardd: {}\n", given.status().message()));
    return kWrongUsage;
  }
  os::DieWithParent();
  if (!os::IsChildOf(given->second)) return 0;
  const Status served = http::Serve(std::move(given->first), {.instance_socket = config.socket,
                                                              .token_file = config.http_token_file,
                                                              .sandbox = config.sandbox});
  log::Error("the process that answers HTTP ends", {{"why", served.message()}});
  return kFailed;
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
  if (!config.http.empty()) {
    const auto address = os::ParseTcpAddress(config.http);
    const auto token = http::ReadToken(config.http_token_file);
    if (!address.ok() || !token.ok()) {
      const Status& why = address.ok() ? token.status() : address.status();
      Say(stderr, fmt::format("vineyardd: {}\n", why.message()));
      return kWrongUsage;
    }
    options.http = *address;
  }
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
  if (const char* value = std::getenv(kHttpVariable)) return RunHttp(*config, value);
  if (config->action == Config::Action::kSelfTest) return RunSelfTest(*config, os::UniqueFd());
  return RunAsKeeper(*config, args);
}

}  // namespace
}  // namespace vineyard::daemon

int main(int argc, char** argv) {
  const auto count = static_cast<size_t>(argc > 0 ? argc - 1 : 0);
  return vineyard::daemon::Main(std::span<const char* const>(argv + 1, count));
}
