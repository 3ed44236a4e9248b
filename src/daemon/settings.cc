// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/settings.h"

#include <array>
#include <charconv>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/size.h"
#include "os/tcp.h"

namespace vineyard::daemon {

namespace {

using nlohmann::json;

Status NoneOf(const std::string& text, std::span<const std::string_view> words) {
  std::string list;
  for (size_t i = 0; i < words.size(); ++i) {
    list += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    list += words[i];
  }
  return Status::Invalid(fmt::format("'{}' is none of {}{}", text, list, DidYouMean(text, words)));
}

Status ReadSize(const std::string& text, const Environment& environment, Config& config) {
  const bool is_share = text.ends_with('%');
  if (is_share && !environment.memory) {
    return Status::Invalid(
        fmt::format("'{}' of an unknown memory is unknown; write a size such as 8Gi", text));
  }
  const uint64_t total = environment.memory ? environment.memory->limit() : 0;
  VY_ASSIGN_OR_RETURN(config.size, ParseSizeOrShare(text, total));
  if (config.size == 0) {
    return Status::Invalid(fmt::format("'{}' is nothing; write a size such as 8Gi or 50%", text));
  }
  if (is_share) config.size_reason = text + " of " + DescribeMemory(*environment.memory);
  if (total != 0 && config.size > total) {
    config.notices.push_back(fmt::format("--size: {} is more than {}", FormatSize(config.size),
                                         DescribeMemory(*environment.memory)));
  }
  return Status::OK();
}

Result<std::string> ReadSocketPath(const std::string& text, const Environment& environment) {
  const std::filesystem::path folder(environment.working_directory);
  const std::filesystem::path path = (folder / text).lexically_normal();
  // "a/." ends in a slash only now.
  if (!path.has_filename() || path.filename() == "." || path.filename() == "..") {
    return Status::Invalid(
        fmt::format("'{}' is no path of a socket; write one such as /tmp/vineyard.sock", text));
  }
  return path.string();
}

Result<mode_t> ReadMode(const std::string& text) {
  const std::string digits = text.starts_with("0o") ? text.substr(2) : text;
  unsigned mode = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, mode, 8);
  if (error != std::errc() || stop != end || mode > 0777) {
    return Status::Invalid(fmt::format("'{}' is no mode; write octal digits such as 0660", text));
  }
  if ((mode & 0600) != 0600) {
    return Status::Invalid(
        fmt::format("'{}' shuts out the owner of the instance; write 0600 or more", text));
  }
  return mode_t{mode};
}

Status ReadSpillPath(const std::string& text, const Environment& environment, Config& config) {
  const std::filesystem::path folder(environment.working_directory);
  config.spill_path = (folder / text).lexically_normal().string();
  return Status::OK();
}

Status ReadSpillLimit(const std::string& text, const Environment&, Config& config) {
  VY_ASSIGN_OR_RETURN(config.spill_limit, ParseSize(text));
  return Status::OK();
}

Status ReadRate(const std::string& text, double& rate) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, rate);
  if (error == std::errc() && stop == end && rate >= 0 && rate <= 1) return Status::OK();
  return Status::Invalid(fmt::format("'{}' is no rate; write a number from 0 to 1", text));
}

Status ReadMeta(const std::string& text, const Environment&, Config&) {
  if (text == "local") return Status::OK();
  if (text == "etcd" || text == "redis") {
    return Status::NeedsCluster(fmt::format(
        "'{}' needs a cluster, and this version runs alone; leave --meta out, or say local", text));
  }
  return NoneOf(text, std::array<std::string_view, 3>{"local", "etcd", "redis"});
}

struct ModeName {
  os::HugePageMode mode;
  std::string_view name;
};
constexpr std::array kHugePageModes = {ModeName{os::HugePageMode::kAuto, "auto"},
                                       ModeName{os::HugePageMode::kOn, "on"},
                                       ModeName{os::HugePageMode::kOff, "off"}};

Status ReadHugePages(const std::string& text, const Environment&, Config& config) {
  const std::optional<bool> on = ParseSwitch(text);
  if (on) {
    config.huge_pages = *on ? os::HugePageMode::kOn : os::HugePageMode::kOff;
  } else if (text == "auto") {
    config.huge_pages = os::HugePageMode::kAuto;
  } else {
    return NoneOf(text, std::array<std::string_view, 3>{"auto", "on", "off"});
  }
  return Status::OK();
}

json ShowHugePages(const Config& config) {
  for (const ModeName& entry : kHugePageModes) {
    if (entry.mode == config.huge_pages) return entry.name;
  }
  return nullptr;
}

Status ReadLogLevel(const std::string& text, const Environment&, Config& config) {
  if (const std::optional<log::Level> level = log::ParseLevel(text)) {
    config.log_level = *level;
    return Status::OK();
  }
  return NoneOf(text, std::array<std::string_view, 5>{"debug", "info", "warning", "error", "off"});
}

Status ReadLogFormat(const std::string& text, const Environment&, Config& config) {
  if (text != "text" && text != "json") {
    return NoneOf(text, std::array<std::string_view, 2>{"text", "json"});
  }
  config.log_format = text == "json" ? log::Format::kJson : log::Format::kText;
  return Status::OK();
}

using Env = Environment;

// In the order in which they are shown.
constexpr std::array kSettings = {
    Setting{"size", ReadSize, [](const Config& c) -> json { return c.size; }},
    Setting{"socket",
            [](const std::string& text, const Env& environment, Config& c) {
              VY_ASSIGN_OR_RETURN(c.socket, ReadSocketPath(text, environment));
              return Status::OK();
            },
            [](const Config& c) -> json { return c.socket; }},
    Setting{"socket_mode",
            [](const std::string& text, const Env&, Config& c) {
              VY_ASSIGN_OR_RETURN(c.socket_mode, ReadMode(text));
              return Status::OK();
            },
            [](const Config& c) -> json { return fmt::format("{:04o}", c.socket_mode); }},
    Setting{"read_only_socket",
            [](const std::string& text, const Env& environment, Config& c) {
              VY_ASSIGN_OR_RETURN(c.read_only_socket, ReadSocketPath(text, environment));
              return Status::OK();
            },
            [](const Config& c) -> json { return c.read_only_socket; }},
    Setting{"read_only_socket_mode",
            [](const std::string& text, const Env&, Config& c) {
              VY_ASSIGN_OR_RETURN(c.read_only_socket_mode, ReadMode(text));
              return Status::OK();
            },
            [](const Config& c) -> json { return fmt::format("{:04o}", c.read_only_socket_mode); }},
    Setting{"guaranteed",
            [](const std::string& text, const Env&, Config& c) {
              VY_ASSIGN_OR_RETURN(c.guaranteed, ParseSize(text));
              return Status::OK();
            },
            [](const Config& c) -> json { return c.guaranteed; }},
    Setting{"reserve_memory",
            [](const std::string& text, const Env&, Config& c) {
              VY_ASSIGN_OR_RETURN(c.reserve_memory, ReadSwitch(text));
              return Status::OK();
            },
            [](const Config& c) -> json { return c.reserve_memory; }},
    Setting{"huge_pages", ReadHugePages, ShowHugePages},
    Setting{"sandbox",
            [](const std::string& text, const Env&, Config& c) {
              VY_ASSIGN_OR_RETURN(c.sandbox, ReadSwitch(text));
              return Status::OK();
            },
            [](const Config& c) -> json { return c.sandbox; }},
    Setting{"http",
            [](const std::string& text, const Env&, Config& c) {
              VY_ASSIGN_OR_RETURN(const os::TcpAddress address, os::ParseTcpAddress(text));
              c.http = address.ToString();
              return Status::OK();
            },
            [](const Config& c) -> json { return c.http; }},
    Setting{"http_token_file",
            [](const std::string& text, const Env& environment, Config& c) {
              const std::filesystem::path folder(environment.working_directory);
              c.http_token_file = (folder / text).lexically_normal().string();
              return Status::OK();
            },
            [](const Config& c) -> json { return c.http_token_file; }},
    Setting{"meta", ReadMeta, [](const Config&) -> json { return "local"; }},
    Setting{"deployment",
            [](const std::string& text, const Env&, Config& c) {
              c.deployment = text;
              return Status::OK();
            },
            [](const Config& c) -> json { return c.deployment; }},
    Setting{"coredump",
            [](const std::string& text, const Env&, Config& c) {
              VY_ASSIGN_OR_RETURN(c.coredump, ReadSwitch(text));
              return Status::OK();
            },
            [](const Config& c) -> json { return c.coredump; }},
    Setting{"log_level", ReadLogLevel,
            [](const Config& c) -> json { return log::LevelName(c.log_level); }},
    Setting{"log_format", ReadLogFormat,
            [](const Config& c) -> json {
              return c.log_format == log::Format::kJson ? "json" : "text";
            }},
    Setting{"spill_path", ReadSpillPath, [](const Config& c) -> json { return c.spill_path; }},
    Setting{
        "spill_limit", ReadSpillLimit,
        [](const Config& c) -> json { return c.spill_limit ? json(*c.spill_limit) : json(""); }},
    Setting{"spill_lower_rate",
            [](const std::string& text, const Env&, Config& c) {
              return ReadRate(text, c.spill_lower_rate);
            },
            [](const Config& c) -> json { return c.spill_lower_rate; }},
    Setting{"spill_upper_rate",
            [](const std::string& text, const Env&, Config& c) {
              return ReadRate(text, c.spill_upper_rate);
            },
            [](const Config& c) -> json { return c.spill_upper_rate; }},
};

}  // namespace

std::span<const Setting> AllSettings() { return kSettings; }

Result<bool> ReadSwitch(std::string_view text) {
  const std::optional<bool> on = ParseSwitch(text);
  if (!on) return Status::Invalid(fmt::format("'{}' is neither true nor false", text));
  return *on;
}

std::string DescribeMemory(const os::MemoryInfo& memory) {
  if (memory.cgroup_bytes) {
    return fmt::format("the {} that the control group allows", FormatSize(*memory.cgroup_bytes));
  }
  return fmt::format("the {} of this machine", FormatSize(memory.machine_bytes));
}

}  // namespace vineyard::daemon
