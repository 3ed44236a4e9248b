// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/size.h"
#include "daemon/settings.h"
#include "os/tcp.h"
#include "os/text_file.h"
#include "os/user.h"

namespace vineyard::daemon {

namespace {

struct OldFlag {
  std::string_view name;
  std::string_view reason;
};
constexpr std::string_view kNoEtcd = "metadata lives in the instance, and no etcd is used";
constexpr std::string_view kNoRedis = "metadata lives in the instance, and no redis is used";
constexpr std::string_view kNoMetrics =
    "they are served at the address that --http names, under /metrics, and nowhere without it";
constexpr std::array kOldFlags = {
    OldFlag{"meta_timeout", kNoEtcd},
    OldFlag{"skip_launch_etcd", kNoEtcd},
    OldFlag{"etcd_endpoint", kNoEtcd},
    OldFlag{"etcd_prefix", kNoEtcd},
    OldFlag{"etcd_cmd", kNoEtcd},
    OldFlag{"etcd_data_dir", kNoEtcd},
    OldFlag{"redis_endpoint", kNoRedis},
    OldFlag{"redis_prefix", kNoRedis},
    OldFlag{"redis_cmd", kNoRedis},
    OldFlag{"allocator", "memory is given out in whole pages, and there is one way to do it"},
    OldFlag{"stream_threshold", "there are no streams yet"},
    OldFlag{"sync_crds", "an instance does not talk to kubernetes"},
    OldFlag{"compression", "it was for the network service, and there is none"},
    OldFlag{"prometheus", kNoMetrics},
    OldFlag{"metrics", kNoMetrics},
    OldFlag{"htpasswd", "who may open the socket may use the instance; see --socket_mode"}};

const GivenValue* Find(const GivenValues& given, std::string_view name) {
  const auto found = given.find(name);
  return found == given.end() ? nullptr : &found->second;
}

// A switch that was given, and true.
Result<bool> IsSwitchedOn(const GivenValues& given, std::string_view name) {
  const GivenValue* value = Find(given, name);
  if (value == nullptr) return false;
  const Result<bool> on = ReadSwitch(value->value);
  if (!on.ok()) return on.status().WithContext(value->where);
  return *on;
}

// The network service was on by default once; here it is asked for by naming it, its port or its
// RDMA endpoint, unless --rpc=false says that none is wanted.
Status ReadNetworkFlags(Config& config) {
  const GivenValue* rpc = Find(config.given, "rpc");
  VY_ASSIGN_OR_RETURN(const bool wanted, IsSwitchedOn(config.given, "rpc"));
  if (wanted) {
    return Status::NeedsCluster(fmt::format(
        "{}: the network service needs a cluster, and this version runs alone; say --rpc=false",
        rpc->where));
  }
  for (const char* name : {"rpc_socket_port", "rdma_endpoint"}) {
    const GivenValue* value = Find(config.given, name);
    if (value == nullptr || value->value.empty()) continue;
    if (rpc == nullptr) {
      return Status::NeedsCluster(fmt::format(
          "{}: '{}' asks for the network service, which needs a cluster, and this version runs "
          "alone; leave it out, or say --rpc=false",
          value->where, value->value));
    }
    config.notices.push_back(fmt::format(
        "{} has no meaning in this version: there is no network service", value->where));
  }
  return Status::OK();
}

Status ReadOldFlags(Config& config) {
  VY_RETURN_IF_ERROR(ReadNetworkFlags(config));
  for (const OldFlag& old : kOldFlags) {
    const GivenValue* value = Find(config.given, old.name);
    if (value == nullptr) continue;
    config.notices.push_back(
        fmt::format("{} has no meaning in this version: {}", value->where, old.reason));
  }
  const Config defaults;
  for (const auto& [name, is_default] :
       {std::pair("spill_limit", config.spill_limit == defaults.spill_limit),
        std::pair("spill_lower_rate", config.spill_lower_rate == defaults.spill_lower_rate),
        std::pair("spill_upper_rate", config.spill_upper_rate == defaults.spill_upper_rate)}) {
    if (is_default || !config.spill_path.empty()) continue;
    config.notices.push_back(
        fmt::format("{} has no effect without --spill_path: nothing is spilled",
                    Find(config.given, name)->where));
  }
  return Status::OK();
}

// A switch without meaning must still be one.
Status CheckSwitches(const GivenValues& given) {
  for (const Flag& flag : AllFlags()) {
    if (flag.kind == FlagKind::kSwitch) VY_RETURN_IF_ERROR(IsSwitchedOn(given, flag.name).status());
  }
  return Status::OK();
}

// Values go into messages, notices and --print-config, each of which is made of lines.
Status CheckCharacters(const GivenValues& given) {
  for (const auto& [name, value] : given) {
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' '; };
    if (std::ranges::any_of(value.value, is_control)) {
      return Status::Invalid(fmt::format(
          "{}: holds a line break or another control character; take it out", value.where));
    }
    if (value.value.starts_with(' ') || value.value.ends_with(' ')) {
      return Status::Invalid(fmt::format(
          "{}: '{}' begins or ends with a space, which a file of key = value could not; "
          "take it out",
          value.where, value.value));
    }
  }
  return Status::OK();
}

Result<Config::Form> ReadForm(const GivenValues& given) {
  const GivenValue* value = Find(given, "output");
  if (value == nullptr || value->value == "text") return Config::Form::kText;
  if (value->value == "json") return Config::Form::kJson;
  return Status::Invalid(
      fmt::format("{}: '{}' is neither text nor json", value->where, value->value));
}

// Not a setting of AllSettings(): the number of a process means nothing in a file, or at another start.
Status ReadParent(Config& config) {
  const GivenValue* value = Find(config.given, "exit_with_parent");
  if (value == nullptr) return Status::OK();
  pid_t pid = 0;
  const char* end = value->value.data() + value->value.size();
  const auto [stop, error] = std::from_chars(value->value.data(), end, pid);
  if (error != std::errc() || stop != end || pid <= 0) {
    return Status::Invalid(
        fmt::format("{}: '{}' is not the number of a process", value->where, value->value));
  }
  config.exit_with_parent = pid;
  return Status::OK();
}

Status SetDefaultSocket(Config& config, const Environment& environment) {
  if (environment.is_root) {
    config.socket = "/var/run/vineyard.sock";
    return Status::OK();
  }
  const std::string runtime = environment.get("XDG_RUNTIME_DIR").value_or("");
  const std::string home = environment.get("HOME").value_or("");
  if (runtime.starts_with('/')) {
    config.socket = runtime + "/vineyard/vineyard.sock";
  } else if (home.starts_with('/')) {
    config.socket = home + "/.local/vineyard/vineyard.sock";
  } else {
    return Status::Invalid(
        "--socket: there is no default without XDG_RUNTIME_DIR or HOME; say --socket PATH");
  }
  return Status::OK();
}

Status SetDefaultSize(Config& config, const Environment& environment) {
  if (!environment.memory) {
    return Status::Invalid(
        "--size: there is no default, as the memory of this machine is unknown; say --size 8Gi");
  }
  config.size = environment.memory->limit() / 2;
  config.size_reason = "half of " + DescribeMemory(*environment.memory);
  return Status::OK();
}

Status CheckHttp(const Config& config) {
  if (config.http.empty()) {
    if (config.http_token_file.empty()) return Status::OK();
    return Status::Invalid(
        "--http_token_file: it is of use only with --http; say --http 127.0.0.1:8080 as well");
  }
  VY_ASSIGN_OR_RETURN(const os::TcpAddress address, os::ParseTcpAddress(config.http));
  if (address.IsLoopback() || !config.http_token_file.empty()) return Status::OK();
  return Status::Invalid(
      fmt::format("--http: other machines can reach {}; say --http_token_file FILE, with a secret "
                  "in it that who asks must "
                  "know, or --http 127.0.0.1:{}",
                  config.http, address.port));
}

}  // namespace

Environment Environment::OfThisProcess() {
  Environment environment;
  environment.get = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
  environment.read_file = os::ReadTextFile;
  if (Result<os::MemoryInfo> memory = os::ReadMemoryInfo(); memory.ok()) {
    environment.memory = *memory;
  }
  environment.is_root = os::IsRoot();
  std::error_code error;  // without a folder a relative --socket stays relative
  environment.working_directory = std::filesystem::current_path(error).string();
  return environment;
}

Result<Config> Config::Load(std::span<const char* const> args, const Environment& environment) {
  Config config;
  VY_ASSIGN_OR_RETURN(config.given, CollectFlags(args, environment.get, environment.read_file));
  for (const auto& [name, action] :
       {std::pair("self_test", Action::kSelfTest), std::pair("print_config", Action::kPrintConfig),
        std::pair("version", Action::kPrintVersion), std::pair("help", Action::kPrintHelp)}) {
    if (config.given.contains(name)) config.action = action;
  }
  if (config.action == Action::kPrintHelp || config.action == Action::kPrintVersion) return config;

  // As of old, some of these say with an empty value what they say when they are not given; read_only_socket, so that
  // what --print-config says can be read.
  constexpr std::array kMayBeEmpty = {"size", "spill_path",     "spill_limit", "read_only_socket",
                                      "http", "http_token_file"};
  std::erase_if(config.given, [&](const auto& entry) {
    return entry.second.value.empty() &&
           std::ranges::find(kMayBeEmpty, entry.first) != kMayBeEmpty.end();
  });
  if (environment.memory) config.memory_bytes = environment.memory->limit();
  VY_RETURN_IF_ERROR(CheckCharacters(config.given));
  VY_RETURN_IF_ERROR(CheckSwitches(config.given));
  VY_ASSIGN_OR_RETURN(config.form, ReadForm(config.given));
  for (const Setting& setting : AllSettings()) {
    const GivenValue* value = Find(config.given, setting.name);
    if (value == nullptr) continue;
    VY_RETURN_IF_ERROR(setting.read(value->value, environment, config).WithContext(value->where));
  }
  VY_RETURN_IF_ERROR(ReadParent(config));
  if (config.socket.empty()) VY_RETURN_IF_ERROR(SetDefaultSocket(config, environment));
  if (config.size == 0) VY_RETURN_IF_ERROR(SetDefaultSize(config, environment));
  VY_RETURN_IF_ERROR(ReadOldFlags(config));
  VY_RETURN_IF_ERROR(config.Validate());
  return config;
}

Status Config::Validate() const {
  constexpr uint64_t kLeastSize = uint64_t{1} << 20;
  if (size < kLeastSize) {
    return Status::Invalid(
        fmt::format("--size: {} is too small; the least is {}, and 8Gi means 8 GiB",
                    FormatSize(size), FormatSize(kLeastSize)));
  }
  if (reserve_memory && memory_bytes != 0 && size > memory_bytes) {
    return Status::Invalid(fmt::format(
        "--reserve_memory: {} cannot be taken at the start, as there are only {}; lower --size",
        FormatSize(size), FormatSize(memory_bytes)));
  }
  if (guaranteed > size) {
    return Status::Invalid(fmt::format("--guaranteed: {} is more than --size, {}; lower it",
                                       FormatSize(guaranteed), FormatSize(size)));
  }
  if (read_only_socket == socket) {
    return Status::Invalid(fmt::format(
        "--read_only_socket: '{}' is --socket as well; choose another path for readers", socket));
  }
  if (spill_lower_rate > spill_upper_rate) {
    return Status::Invalid(
        fmt::format("--spill_lower_rate: {} is above --spill_upper_rate, {}; lower it",
                    spill_lower_rate, spill_upper_rate));
  }
  return CheckHttp(*this);
}

// One component. Two sockets whose names differ in their slashes only would share it: the second instance is
// refused, as the folder is held.
std::string Config::SpillFolder() const {
  constexpr size_t kMostName = 200;
  std::string name = socket;
  std::ranges::replace(name, '/', '-');
  name.erase(0, name.find_first_not_of('-'));
  if (name.starts_with('.')) name.insert(0, "_");
  if (name.size() > kMostName) name.erase(0, name.size() - kMostName);
  return name;
}

std::string Config::Print() const {
  const auto source_of = [&](const Setting& setting) {
    const GivenValue* value = Find(given, setting.name);
    return value == nullptr ? Source::kDefault : value->source;
  };
  if (form == Form::kJson) {
    nlohmann::ordered_json values;
    for (const Setting& setting : AllSettings()) {
      values[setting.name] = {{"value", setting.show(*this)},
                              {"source", SourceName(source_of(setting))}};
    }
    const nlohmann::ordered_json whole = {
        {"settings", values}, {"size_reason", size_reason}, {"notices", notices}};
    return whole.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  }
  std::string text = fmt::format("# size: {}", FormatSize(size));
  if (!size_reason.empty()) text.append(", ").append(size_reason);
  text += '\n';
  for (const std::string& notice : notices) text.append("# ").append(notice).append("\n");
  for (const Source source :
       {Source::kCommandLine, Source::kEnvironment, Source::kFile, Source::kDefault}) {
    std::string block;
    for (const Setting& setting : AllSettings()) {
      if (source_of(setting) != source) continue;
      const nlohmann::json value = setting.show(*this);
      fmt::format_to(std::back_inserter(block), "{} = {}\n", setting.name,
                     value.is_string() ? value.get<std::string>() : value.dump());
    }
    if (!block.empty()) {
      fmt::format_to(std::back_inserter(text), "\n# from: {}\n{}", SourceName(source), block);
    }
  }
  return text;
}

}  // namespace vineyard::daemon
