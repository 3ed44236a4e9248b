// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/find_socket.h"

#include <array>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "os/text_file.h"

namespace vineyard::client {

namespace {

namespace fs = std::filesystem;

constexpr std::array kConfigNames = {"vineyard-config.yaml", "vineyard/vineyard-config.yaml"};
constexpr std::array kSocketNames = {"vineyard.sock", "vineyard/vineyard.sock"};

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// A key or a value at the front of `text`, with or without quotes, up to one of `ends`; takes it off.
std::string TakeScalar(std::string_view& text, std::string_view ends) {
  text = Trim(text);
  std::string value;
  if (!text.empty() && (text[0] == '"' || text[0] == '\'')) {
    const size_t close = text.find(text[0], 1);
    value = text.substr(1, close == std::string_view::npos ? close : close - 1);
    text.remove_prefix(close == std::string_view::npos ? text.size() : close + 1);
    text = Trim(text);
    return value;
  }
  size_t end = 0;
  while (end < text.size() && ends.find(text[end]) == std::string_view::npos) {
    if (text[end] == '#' && (end == 0 || text[end - 1] == ' ' || text[end - 1] == '\t')) break;
    ++end;
  }
  value = Trim(text.substr(0, end));
  text.remove_prefix(end);
  return value;
}

bool TakeColon(std::string_view& text) {
  if (!text.starts_with(':')) return false;
  text = Trim(text.substr(1));
  return true;
}

// Of "{IPCSocket: /a.sock, RPCEndpoint: …}", of which `text` is what follows the brace.
std::optional<std::string> ValueInBraces(std::string_view text, std::string_view wanted) {
  while (!text.empty()) {
    const std::string key = TakeScalar(text, ":,}");
    const bool has_value = TakeColon(text);
    std::string value = has_value ? TakeScalar(text, ",}") : "";
    if (key == wanted && !value.empty()) return value;
    if (!text.starts_with(',')) break;
    text.remove_prefix(1);
  }
  return std::nullopt;
}

// The file that VINEYARD_CONFIG means.
Result<fs::path> ConfigFile(const fs::path& named) {
  std::error_code error;
  if (!fs::is_directory(named, error)) return named;
  for (const char* name : kConfigNames) {
    if (Exists(named / name)) return named / name;
  }
  return Status::Invalid(
      fmt::format("the folder '{}' holds no {}", named.string(), kConfigNames[0]));
}

Result<std::string> SocketOfConfig(const fs::path& file) {
  VY_ASSIGN_OR_RETURN(const std::string text, os::ReadTextFile(file.string()));
  const std::optional<std::string> socket = ValueInYaml(text, "IPCSocket");
  if (!socket) {
    return Status::Invalid(
        fmt::format("'{}' has no IPCSocket in a section Vineyard", file.string()));
  }
  return (file.parent_path() / *socket).string();
}

Status InNamedConfig(const SocketSearch& search, const Status& what) {
  return Status::Invalid(fmt::format(
      "{}: {}", search.config ? "the configuration" : "VINEYARD_CONFIG", what.message()));
}

// Where instances listen that were told nothing.
std::optional<std::string> UsualSocket(const SocketSearch& search, const Environment& environment) {
  for (const char* name : kSocketNames) {
    const fs::path path = fs::path(search.run_directory) / name;
    if (Exists(path)) return path.string();
  }
  for (const auto& [variable, below] : {std::pair("XDG_RUNTIME_DIR", "vineyard/vineyard.sock"),
                                        std::pair("HOME", ".local/vineyard/vineyard.sock")}) {
    const std::string folder = environment(variable).value_or("");
    const fs::path path = fs::path(folder) / below;
    if (folder.starts_with('/') && Exists(path)) return path.string();
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> ValueInYaml(std::string_view text, std::string_view wanted) {
  bool in_section = false;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (Trim(line).empty() || Trim(line).starts_with('#')) continue;
    const bool indented = line.starts_with(' ') || line.starts_with('\t');
    const std::string key = TakeScalar(line, ":");
    if (!TakeColon(line)) continue;
    if (!indented) in_section = key == "Vineyard";
    if (!in_section) continue;
    if (!indented && line.starts_with('{')) return ValueInBraces(line.substr(1), wanted);
    if (!indented || key != wanted) continue;
    std::string value = TakeScalar(line, "");
    if (!value.empty()) return value;
  }
  return std::nullopt;
}

Result<std::string> FindSocket(const SocketSearch& search, const Environment& environment) {
  if (search.socket) {
    if (!search.socket->empty()) return *search.socket;
    return Status::Invalid("the path of the socket is empty");
  }
  if (std::optional<std::string> socket = environment("VINEYARD_IPC_SOCKET")) {
    return *std::move(socket);
  }
  const std::optional<std::string> config =
      search.config ? search.config : environment("VINEYARD_CONFIG");
  if (config) {
    const Result<fs::path> file = ConfigFile(*config);
    Result<std::string> socket = file.ok() ? SocketOfConfig(*file) : file.status();
    if (socket.ok()) return socket;
    return InNamedConfig(search, socket.status());
  }
  if (environment("VINEYARD_RPC_ENDPOINT")) {
    return Status::NeedsCluster(
        "VINEYARD_RPC_ENDPOINT is set, and no socket: connecting to another node needs a cluster");
  }
  for (const char* name : kConfigNames) {
    const Result<std::string> socket = SocketOfConfig(fs::path(search.run_directory) / name);
    if (socket.ok() && Exists(*socket)) return socket;
  }
  if (std::optional<std::string> socket = UsualSocket(search, environment))
    return *std::move(socket);
  return Status::Unavailable(
      "no instance was found: start vineyardd, or name its socket (VINEYARD_IPC_SOCKET, --socket)");
}

Result<std::optional<std::string>> FindSetting(std::string_view key, const SocketSearch& search,
                                               const Environment& environment) {
  const std::optional<std::string> config =
      search.config ? search.config : environment("VINEYARD_CONFIG");
  if (config) {
    const Result<fs::path> file = ConfigFile(*config);
    const Result<std::string> text = file.ok() ? os::ReadTextFile(file->string()) : file.status();
    if (!text.ok()) return InNamedConfig(search, text.status());
    return ValueInYaml(*text, key);
  }
  for (const char* name : kConfigNames) {
    const Result<std::string> text = os::ReadTextFile(fs::path(search.run_directory) / name);
    if (!text.ok()) continue;
    if (std::optional<std::string> value = ValueInYaml(*text, key)) return value;
  }
  return std::optional<std::string>();
}

namespace {

std::optional<std::string> ProcessEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

}  // namespace

}  // namespace vineyard::client

namespace vineyard {

Result<std::string> FindSocket(const SocketSearch& search) {
  return client::FindSocket(search, client::ProcessEnvironment);
}

Result<std::optional<std::string>> FindSetting(std::string_view key, const SocketSearch& search) {
  return client::FindSetting(key, search, client::ProcessEnvironment);
}

}  // namespace vineyard
