// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What an instance is told: the input is lines; those that begin with "-", and what stands behind a "+", are
// arguments, "VINEYARD_X=y" is the environment, "USER" and "CGROUP" where it runs, all others are the file. What
// is accepted prints as a file that means the same.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config.h"

namespace vineyard::daemon {
namespace {

struct Told {
  std::vector<std::string> args;
  std::map<std::string, std::string> environment;
  std::string file;
};

Told Split(std::string_view text) {
  Told told;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string line(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const size_t equals = line.find('=');
    if (line.starts_with('-')) {
      told.args.push_back(line);
    } else if (line.starts_with('+')) {
      told.args.push_back(line.substr(1));
    } else if (line.starts_with("VINEYARD_") && equals != std::string::npos) {
      told.environment[line.substr(0, equals)] = line.substr(equals + 1);
    } else if (line == "HOME" || line == "XDG_RUNTIME_DIR" || line == "USER" || line == "CGROUP") {
      told.environment[line] = "/folder";
    } else {
      told.file += line + "\n";
    }
  }
  return told;
}

Environment EnvironmentOf(const Told& told) {
  Environment environment;
  environment.get = [&told](const std::string& name) -> std::optional<std::string> {
    const auto it = told.environment.find(name);
    if (it == told.environment.end()) return std::nullopt;
    return it->second;
  };
  environment.read_file = [&told](const std::string& path) -> Result<std::string> {
    if (path.ends_with("none")) return Status::NotFound("no such file");
    return told.file;
  };
  if (!told.environment.contains("XDG_RUNTIME_DIR")) {
    environment.memory = os::MemoryInfo{.machine_bytes = uint64_t{1} << 34, .cgroup_bytes = {}};
    if (told.environment.contains("CGROUP")) environment.memory->cgroup_bytes = uint64_t{1} << 33;
  }
  environment.is_root = !told.environment.contains("HOME") && !told.environment.contains("USER");
  environment.working_directory = "/folder";
  return environment;
}

Result<Config> Load(const Told& told) {
  std::vector<const char*> args;
  for (const std::string& arg : told.args) args.push_back(arg.c_str());
  return Config::Load(args, EnvironmentOf(told));
}

void TryAgain(const Config& config, const Told& told) {
  Config plain = config;
  plain.form = Config::Form::kText;
  Told again{.args = {"--config=file"}, .environment = {}, .file = plain.Print()};
  if (told.environment.contains("HOME")) again.environment["HOME"] = "/folder";
  // How much memory there is stays as it is: a size is judged by it.
  for (const char* variable : {"XDG_RUNTIME_DIR", "CGROUP"}) {
    if (told.environment.contains(variable)) again.environment[variable] = "/folder";
  }
  const auto same = Load(again);
  VY_CHECK(same.ok());
  VY_CHECK(same->size == config.size && same->socket == config.socket &&
           same->socket_mode == config.socket_mode && same->spill_path == config.spill_path &&
           same->spill_limit == config.spill_limit && same->deployment == config.deployment &&
           same->read_only_socket == config.read_only_socket && same->sandbox == config.sandbox);
}

}  // namespace
}  // namespace vineyard::daemon

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard::daemon;
  const Told told = Split({reinterpret_cast<const char*>(data), size});
  const auto config = Load(told);
  if (!config.ok()) {
    VY_CHECK(config.status().message().find('\n') == std::string::npos);
    return 0;
  }
  if (config->action == Config::Action::kPrintHelp) VY_CHECK(!HelpText().empty());
  if (config->action == Config::Action::kPrintHelp) return 0;
  if (config->action == Config::Action::kPrintVersion) return 0;
  VY_CHECK(!config->Print().empty() && !config->SpillFolder().contains('/'));
  TryAgain(*config, told);
  return 0;
}
