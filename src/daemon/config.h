// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Config: all that vineyardd was told, read once at the start and never changed.
//
// A value comes from the command line, else from the environment (VINEYARD_<FLAG>), else from the
// file of --config, else it is the default. The file has lines of "key = value", keys named like
// flags, and comments on lines of their own that begin with "#".
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/logging.h"
#include "daemon/flags.h"
#include "os/huge_pages.h"
#include "os/memory_info.h"
#include "vineyard/status.h"

namespace vineyard::daemon {

/// What Load reads beside the arguments; tests bring their own.
struct Environment {
  GetEnvironment get;
  ReadFile read_file;
  std::optional<os::MemoryInfo> memory;  ///< nullopt: could not be found out
  bool is_root = false;
  std::string working_directory;

  static Environment OfThisProcess();
};

struct Config {
  enum class Action : uint8_t { kServe, kSelfTest, kPrintConfig, kPrintVersion, kPrintHelp };
  enum class Form : uint8_t { kText, kJson };

  /// `args` without the program's name. kNeedsCluster for what asks for other instances, kInvalid
  /// for every other mistake; the message is one line that says which value, where, and how to mend
  /// it. The result has been validated, unless it asks for help or the version only.
  static Result<Config> Load(std::span<const char* const> args, const Environment& environment);

  /// The folder of this instance in spill_path: that of its socket, so that the next one at that socket finds
  /// it.
  [[nodiscard]] std::string SpillFolder() const;

  /// What no single value shows: values that contradict each other or the machine.
  [[nodiscard]] Status Validate() const;

  /// What --print-config prints. As text it can be read again by --config.
  [[nodiscard]] std::string Print() const;

  Action action = Action::kServe;
  Form form = Form::kText;  ///< of --print-config

  std::string socket;  ///< Absolute. Its folder need not be there yet.
  mode_t socket_mode = 0660;
  std::string read_only_socket;  ///< Absolute; empty: there is none.
  mode_t read_only_socket_mode = 0660;
  uint64_t size = 0;          ///< Bytes.
  std::string size_reason;    ///< "half of the 16 GiB that the control group allows"; may be empty
  uint64_t guaranteed = 0;    ///< Bytes of size that other volumes leave to 'default'.
  uint64_t memory_bytes = 0;  ///< What control group and machine allow; 0 where nobody knows.
  bool reserve_memory = false;
  os::HugePageMode huge_pages = os::HugePageMode::kAuto;
  bool sandbox = true;
  /// Where figures and the page are served over HTTP: "127.0.0.1:8080". Empty: nowhere.
  std::string http;
  std::string
      http_token_file;  ///< Absolute. Who asks over HTTP must know what it holds. Empty: everybody may.
  std::string deployment = "local";
  bool coredump = false;
  std::optional<pid_t> exit_with_parent;  ///< The instance ends when this process does.
  log::Level log_level = log::Level::kInfo;
  log::Format log_format = log::Format::kText;

  std::string spill_path;               ///< Absolute; empty: nothing is spilled.
  std::optional<uint64_t> spill_limit;  ///< Bytes; nullopt: what the disk has.
  double spill_lower_rate = 0.3;        ///< Shares of size.
  double spill_upper_rate = 0.8;

  /// What the user should know about flags that do nothing, a line each, to be said at the start.
  std::vector<std::string> notices;

  /// What was given and where: everything else is a default.
  GivenValues given;
};

}  // namespace vineyard::daemon
