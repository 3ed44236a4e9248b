// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The flags of vineyardd by name, and where a value for each was given. What the values mean stands
// in config.cc.
//
// Not CLI11, which vineyardctl uses: here each flag may also stand in the environment and in a file,
// "-" and "_" are one, and a switch may be followed by its value ("--coredump true").
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "vineyard/status.h"

namespace vineyard::daemon {

enum class FlagKind : uint8_t {
  kValue,
  kSwitch,  ///< true or false; true when it stands alone
  kAction,  ///< never has a value
};

/// Where a flag may be given. A flag without meaning in this version is not looked for in the
/// environment, where it may be meant for clients or for others.
enum class FlagScope : uint8_t { kEverywhere, kCommandLineAndFile, kCommandLine };

struct Flag {
  std::string_view name;
  FlagKind kind = FlagKind::kValue;
  FlagScope scope = FlagScope::kEverywhere;
  std::string_view placeholder;  ///< "SIZE", for the help
  std::string_view help;         ///< Empty: accepted for the sake of older scripts.
};

std::span<const Flag> AllFlags();

/// In growing precedence.
enum class Source : uint8_t { kDefault, kFile, kEnvironment, kCommandLine };
std::string_view SourceName(Source source);

struct GivenValue {
  std::string value;
  Source source = Source::kDefault;
  std::string where;  ///< "--size", "VINEYARD_SIZE", "vineyardd.conf:3: size": for messages
};
/// By the flag's name; only those that were given somewhere.
using GivenValues = std::map<std::string_view, GivenValue>;

using GetEnvironment = std::function<std::optional<std::string>(const std::string& name)>;
using ReadFile = std::function<Result<std::string>(const std::string& path)>;

/// Collects what was given: command line over environment (VINEYARD_<FLAG>, not empty) over the file
/// of --config. `args` are those behind the program's name. With --help or --version on the command
/// line nothing else is read.
Result<GivenValues> CollectFlags(std::span<const char* const> args,
                                 const GetEnvironment& environment, const ReadFile& read_file);

/// true, yes, on, 1 and their opposites.
std::optional<bool> ParseSwitch(std::string_view text);

/// "; did you mean --size?", or nothing when no name is near.
std::string DidYouMean(std::string_view word, std::span<const std::string_view> known,
                       std::string_view prefix = "");

/// What --help prints.
std::string HelpText();

}  // namespace vineyard::daemon
