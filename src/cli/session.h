// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Session: one run of vineyardctl: what every command shares, and what it has to say.
//
// Data is collected and written to stdout at the end, in one piece; talk goes to stderr at once.
// One thread. The options are filled in by the parser before the action runs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "vineyard/client.h"
#include "vineyard/status.h"

namespace vineyard::cli {

inline constexpr std::string_view kProgram = "vineyardctl";

class Session {
 public:
  // Options of every command, as they were written.
  std::optional<std::string> socket;
  std::string timeout = "60s";
  std::string output = "table";

  /// What the verb that was chosen does. A failure it returns is said and makes the exit code.
  std::function<Status()> action;

  [[nodiscard]] bool wants_json() const { return output == "json"; }

  /// A client of the volume that --socket, or else the search, finds. Every failure to get one but a
  /// wrong argument is kUnavailable.
  Result<Client> Connect(Timeout wait_for_instance = Timeout(0));
  /// The socket that Connect uses.
  Result<std::string> FindSocket() const;

  /// Data, for stdout. Text from others must have been escaped.
  void Print(std::string_view text) { data_ += text; }
  void PrintJson(const nlohmann::json& document);
  /// A remark, at once on stderr. Escaped here.
  static void Say(std::string_view text);

  /// Writes what was printed. Returns OK when the reader has gone: it has seen enough.
  Status Flush();
  [[nodiscard]] bool reader_is_gone() const { return reader_is_gone_; }

 private:
  std::string data_;
  bool reader_is_gone_ = false;
};

/// A document as text whose strings cannot steer a terminal; what is no UTF-8 in it is replaced.
std::string JsonText(const nlohmann::json& document);
/// The same in one line, with its end.
std::string JsonLine(const nlohmann::json& document);
/// Text from others as a line.
std::string EscapedLine(std::string_view text);

/// "5m" of an option, as milliseconds.
Result<Timeout> ParseTimeout(std::string_view option, std::string_view text);
/// "100" of --limit; SIZE_MAX for 0, which means all.
Result<size_t> ParseLimit(const std::string& text);
/// "memory" or "disk".
Result<Durability> ParseDurability(std::string_view text);
Result<ObjectId> ParseId(std::string_view text);

/// 0 ok, 1 failed, 2 usage, 3 not found, 4 unreachable.
int ExitCode(StatusCode code);
inline constexpr int kExitUsage = 2;

}  // namespace vineyard::cli
