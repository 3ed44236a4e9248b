// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/session.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/duration.h"
#include "cli/escape.h"

namespace vineyard::cli {

Result<std::string> Session::FindSocket() const {
  // A script's variable that was never set: the search could find an instance that was not meant.
  if (socket && socket->empty()) {
    return Status::Invalid("--socket is empty; write the path of a socket, or leave it out");
  }
  return vineyard::FindSocket({.socket = socket, .config = {}});
}

Result<Client> Session::Connect(Timeout wait_for_instance) {
  ConnectOptions options;
  VY_ASSIGN_OR_RETURN(options.timeout, ParseTimeout("--timeout", timeout));
  VY_ASSIGN_OR_RETURN(options.socket, FindSocket());
  options.wait_for_instance = wait_for_instance;
  Result<Client> client = Client::Connect(options);
  if (client.ok()) return client;
  const bool nobody_listens = client.status().Is(StatusCode::kUnavailable);
  return Status::Unavailable(
      client.status().message() +
      (nobody_listens ? "; start vineyardd there, or name another socket with --socket" : ""));
}

void Session::PrintJson(const nlohmann::json& document) { data_ += JsonText(document) + "\n"; }

void Session::Say(std::string_view text) {
  const std::string line = fmt::format("{}: {}\n", kProgram, EscapeForTerminal(text));
  std::fwrite(line.data(), 1, line.size(), stderr);  // a failure cannot be told to anybody
}

Status Session::Flush() {
  const std::string data = std::move(data_);
  data_.clear();
  if (data.empty()) return Status::OK();
  errno = 0;
  const size_t written = std::fwrite(data.data(), 1, data.size(), stdout);
  if (written == data.size() && std::fflush(stdout) == 0) return Status::OK();
  reader_is_gone_ = errno == EPIPE;
  if (reader_is_gone_) return Status::OK();
  return Status::IOError(fmt::format("cannot write the output: {}", std::strerror(errno)));
}

std::string JsonText(const nlohmann::json& document) {
  return EscapeJson(document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string JsonLine(const nlohmann::json& document) {
  return EscapeJson(document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)) + "\n";
}

std::string EscapedLine(std::string_view text) { return EscapeForTerminal(text) + "\n"; }

Result<Timeout> ParseTimeout(std::string_view option, std::string_view text) {
  const auto duration = ParseDuration(text);
  if (!duration.ok()) return duration.status().WithContext(option);
  return std::chrono::ceil<Timeout>(*duration);
}

Result<Durability> ParseDurability(std::string_view text) {
  if (text == "memory") return Durability::kMemory;
  if (text == "disk") return Durability::kDisk;
  return Status::Invalid(fmt::format("--durability: '{}' is none; say memory or disk", text));
}

Result<size_t> ParseLimit(const std::string& text) {
  size_t limit = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, limit);
  if (error != std::errc() || stop != end) {
    return Status::Invalid(
        fmt::format("--limit: '{}' is no count; write a whole number, 0 for all", text));
  }
  return limit == 0 ? std::numeric_limits<size_t>::max() : limit;
}

Result<ObjectId> ParseId(std::string_view text) {
  if (const std::optional<ObjectId> id = ObjectId::Parse(text)) return *id;
  return Status::Invalid(fmt::format(
      "'{}' is no id; one is an 'o' and 16 hex digits, as 'vineyardctl object ls' shows", text));
}

int ExitCode(StatusCode code) {
  constexpr int kFailed = 1;
  switch (code) {
    case StatusCode::kOk: return 0;
    case StatusCode::kInvalid: return kExitUsage;
    case StatusCode::kNotFound: return 3;
    case StatusCode::kUnavailable: return 4;
    case StatusCode::kAlreadyExists:
    case StatusCode::kOutOfMemory:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kPermissionDenied:
    case StatusCode::kNotSupported:
    case StatusCode::kNeedsCluster:
    case StatusCode::kCorrupted:
    case StatusCode::kConflict:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kInternal:
    case StatusCode::kIOError:
    case StatusCode::kCancelled:
    case StatusCode::kLimitExceeded:
    case StatusCode::kTypeMismatch:
    case StatusCode::kProtocol: return kFailed;
  }
  return kFailed;
}

}  // namespace vineyard::cli
