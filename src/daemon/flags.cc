// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "daemon/flags.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "base/edit_distance.h"

namespace vineyard::daemon {

namespace {

constexpr auto kValue = FlagKind::kValue;
constexpr auto kSwitch = FlagKind::kSwitch;
constexpr auto kAction = FlagKind::kAction;
constexpr auto kEverywhere = FlagScope::kEverywhere;
constexpr auto kCommandLine = FlagScope::kCommandLine;

constexpr Flag Old(std::string_view name, FlagKind kind = kValue) {
  return {name, kind, FlagScope::kCommandLineAndFile, "", ""};
}

constexpr std::array kFlags = {
    Flag{"size", kValue, kEverywhere, "SIZE",
         "memory for the store: 8Gi, 50% (default: half of what cgroup or machine allow)"},
    Flag{"socket", kValue, kEverywhere, "PATH",
         "where clients connect (default: /var/run/vineyard.sock as root, else "
         "$XDG_RUNTIME_DIR/vineyard/vineyard.sock or ~/.local/vineyard/vineyard.sock)"},
    Flag{"socket_mode", kValue, kEverywhere, "OCTAL", "who may open the socket (default: 0660)"},
    Flag{"read_only_socket", kValue, kEverywhere, "PATH",
         "a second socket of the volume 'default': who comes through it can get and list, and "
         "change "
         "nothing (default: none)"},
    Flag{"read_only_socket_mode", kValue, kEverywhere, "OCTAL",
         "who may open the second socket (default: 0660)"},
    Flag{"guaranteed", kValue, kEverywhere, "SIZE",
         "what of --size other volumes always leave to the volume 'default' (default: nothing)"},
    Flag{"reserve_memory", kSwitch, kEverywhere, "", "take all of --size at the start"},
    Flag{"huge_pages", kValue, kEverywhere, "auto|on|off",
         "auto and on switch huge pages on for shared memory where this process may, as root may; "
         "off leaves the kernel's switches alone (default: auto)"},
    Flag{
        "sandbox", kSwitch, kEverywhere, "on|off",
        "off: the engine keeps its rights and may make any system call, to debug it (default: on)"},
    Flag{"spill_path", kValue, kEverywhere, "DIR",
         "a folder on a local disk to which large objects go when memory is short, and from which "
         "they come back (default: none)"},
    Flag{"spill_limit", kValue, kEverywhere, "SIZE",
         "the most that may lie there (default: what the disk has, but for 5% that stay free)"},
    Flag{"spill_lower_rate", kValue, kEverywhere, "RATE",
         "share of --size down to which objects go there once the upper one is passed (default: "
         "0.3)"},
    Flag{"spill_upper_rate", kValue, kEverywhere, "RATE",
         "share of --size from which on objects go there in the background (default: 0.8)"},
    Flag{"http", kValue, kEverywhere, "ADDRESS",
         "where figures are shown to browsers and to Prometheus, such as 127.0.0.1:8080 (default: "
         "nowhere)"},
    Flag{"http_token_file", kValue, kEverywhere, "FILE",
         "holds what who asks there must know; needed where other machines can reach the address"},
    Flag{"meta", kValue, kEverywhere, "local",
         "where metadata lives; anything but local needs a cluster"},
    Flag{"deployment", kValue, kEverywhere, "LABEL", "a label that status shows (default: local)"},
    Flag{"coredump", kSwitch, kEverywhere, "", "allow core dumps"},
    Flag{"log_level", kValue, kEverywhere, "LEVEL",
         "debug, info, warning, error or off (default: info)"},
    Flag{"log_format", kValue, kEverywhere, "text|json", "form of the lines on stderr"},
    Flag{"exit_with_parent", kValue, kCommandLine, "PID", "end when that process has ended"},
    Flag{"config", kValue, kCommandLine, "FILE", "more flags, in lines of key = value"},
    Flag{"print_config", kAction, kCommandLine, "",
         "prints the effective values and where each came from, in the form of a --config file"},
    Flag{"output", kValue, kCommandLine, "text|json", "form of --print-config; also -o"},
    Flag{"self_test", kAction, kCommandLine, "",
         "tells whether this program could run an engine here, and ends; asked before an upgrade"},
    Flag{"version", kAction, kCommandLine, "", "prints the version"},
    Flag{"help", kAction, kCommandLine, "", "prints this; also -h"},
    Old("rpc", kSwitch),
    Old("rpc_socket_port"),
    Old("rdma_endpoint"),
    Old("meta_timeout"),
    Old("skip_launch_etcd", kSwitch),
    Old("etcd_endpoint"),
    Old("etcd_prefix"),
    Old("etcd_cmd"),
    Old("etcd_data_dir"),
    Old("redis_endpoint"),
    Old("redis_prefix"),
    Old("redis_cmd"),
    Old("allocator"),
    Old("stream_threshold"),
    Old("sync_crds", kSwitch),
    Old("compression", kSwitch),
    Old("prometheus", kSwitch),
    Old("metrics", kSwitch),
    Old("htpasswd")};

const Flag* FindFlag(std::string name) {
  std::ranges::replace(name, '-', '_');
  if (name == "h") name = "help";
  if (name == "o") name = "output";
  const auto* const found = std::ranges::find(kFlags, name, &Flag::name);
  return found == kFlags.end() ? nullptr : found;
}

// "nocoredump" and "no-coredump" were ways to write "coredump=false".
const Flag* FindNegated(std::string_view name) {
  if (!name.starts_with("no")) return nullptr;
  name.remove_prefix(2);
  if (name.starts_with('-') || name.starts_with('_')) name.remove_prefix(1);
  const Flag* flag = FindFlag(std::string(name));
  return flag != nullptr && flag->kind == kSwitch ? flag : nullptr;
}

std::vector<std::string_view> Names() {
  std::vector<std::string_view> names;
  std::ranges::transform(kFlags, std::back_inserter(names), &Flag::name);
  return names;
}

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// Words in lines of at most 100 columns, the first of which begins at `column`, others at `indent`.
std::string Wrapped(std::string_view text, size_t column, size_t indent) {
  constexpr size_t kColumns = 100;
  std::string out;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    if (!out.empty() && column + 1 + word.size() > kColumns) {
      out.append("\n").append(indent, ' ');
      column = indent;
    } else if (!out.empty()) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

// Reads the command line from left to right; the last of several values for a flag counts.
class CommandLine {
 public:
  explicit CommandLine(std::span<const char* const> args) : args_(args) {}

  Result<GivenValues> Read() {
    while (next_ < args_.size()) VY_RETURN_IF_ERROR(ReadOne());
    return std::move(given_);
  }

 private:
  Status ReadOne() {
    const std::string_view arg = args_[next_++];
    const size_t dashes = arg.starts_with("--") ? 2 : arg.starts_with('-') ? 1 : 0;
    if (dashes == 0 || arg.size() == dashes) {
      return Status::Invalid(fmt::format(
          "unexpected argument '{}'; every value belongs to a flag, as in --size 8Gi", arg));
    }
    const size_t equals = arg.find('=');
    const std::string name(arg.substr(dashes, equals - dashes));
    std::optional<std::string> value;
    if (equals != std::string_view::npos) value = arg.substr(equals + 1);

    const Flag* flag = FindFlag(name);
    if (flag == nullptr && !value) {
      flag = FindNegated(name);
      if (flag != nullptr) value = "false";
    }
    if (flag == nullptr) {
      return Status::Invalid(fmt::format("unknown flag --{}{}", name, DidYouMeanFlag(name)));
    }
    if (!value) {
      VY_ASSIGN_OR_RETURN(value, ValueOf(*flag));
    } else if (flag->kind == kAction) {
      return Status::Invalid(fmt::format("--{} takes no value, and was given '{}'", name, *value));
    }
    given_.insert_or_assign(flag->name, GivenValue{std::move(*value), Source::kCommandLine,
                                                   fmt::format("--{}", flag->name)});
    return Status::OK();
  }

  static std::string DidYouMeanFlag(std::string name) {
    std::ranges::replace(name, '-', '_');
    const std::string hint = DidYouMean(name, Names(), "--");
    return hint.empty() ? "; --help lists those there are" : hint;
  }

  // The value of a flag that came without "=".
  Result<std::optional<std::string>> ValueOf(const Flag& flag) {
    const std::string_view next = next_ < args_.size() ? args_[next_] : std::string_view();
    if (flag.kind == kAction) return std::optional<std::string>("true");
    if (flag.kind == kSwitch) {
      if (!ParseSwitch(next)) return std::optional<std::string>("true");
    } else if (next_ >= args_.size() || next.starts_with("--")) {
      return Status::Invalid(fmt::format("--{0} needs a value: --{0} {1}", flag.name,
                                         flag.placeholder.empty() ? "VALUE" : flag.placeholder));
    }
    ++next_;
    return std::optional<std::string>(next);
  }

  std::span<const char* const> args_;
  size_t next_ = 0;
  GivenValues given_;
};

void AddEnvironment(const GetEnvironment& environment, GivenValues& given) {
  for (const Flag& flag : kFlags) {
    if (flag.scope != kEverywhere) continue;
    std::string name = "VINEYARD_";
    for (const char c : flag.name) {
      name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    std::optional<std::string> value = environment(name);
    if (!value || value->empty()) continue;
    given.try_emplace(flag.name, std::move(*value), Source::kEnvironment, name);
  }
}

Status AddFileLine(std::string_view line, const std::string& place, GivenValues& from_file) {
  const size_t equals = line.find('=');
  const std::string key(Trim(line.substr(0, equals)));
  if (equals == std::string_view::npos || key.empty()) {
    return Status::Invalid(
        fmt::format("{}: '{}' is no setting; write key = value, as in size = 8Gi", place, line));
  }
  const Flag* flag = FindFlag(key);
  if (flag == nullptr) {
    return Status::Invalid(
        fmt::format("{}: unknown key '{}'{}", place, key, DidYouMean(key, Names())));
  }
  if (flag->scope == kCommandLine) {
    return Status::Invalid(fmt::format("{}: '{}' is for the command line only", place, key));
  }
  GivenValue value{std::string(Trim(line.substr(equals + 1))), Source::kFile,
                   fmt::format("{}: {}", place, flag->name)};
  if (from_file.try_emplace(flag->name, std::move(value)).second) return Status::OK();
  return Status::Invalid(fmt::format("{}: '{}' is set a second time; keep one", place, key));
}

Status AddFile(const std::string& path, std::string_view text, GivenValues& given) {
  GivenValues from_file;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = Trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.starts_with('#')) continue;
    VY_RETURN_IF_ERROR(AddFileLine(line, fmt::format("{}:{}", path, number), from_file));
  }
  given.merge(from_file);  // keeps what is there already
  return Status::OK();
}

}  // namespace

std::span<const Flag> AllFlags() { return kFlags; }

std::string_view SourceName(Source source) {
  switch (source) {
    case Source::kDefault: return "default";
    case Source::kFile: return "file";
    case Source::kEnvironment: return "environment";
    case Source::kCommandLine: return "flag";
  }
  return "unknown";
}

std::optional<bool> ParseSwitch(std::string_view text) {
  for (const std::string_view yes : {"true", "yes", "on", "1"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"false", "no", "off", "0"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

std::string DidYouMean(std::string_view word, std::span<const std::string_view> known,
                       std::string_view prefix) {
  const std::optional<std::string_view> nearest = NearestWord(word, known);
  return nearest ? fmt::format("; did you mean {}{}?", prefix, *nearest) : "";
}

Result<GivenValues> CollectFlags(std::span<const char* const> args,
                                 const GetEnvironment& environment, const ReadFile& read_file) {
  VY_ASSIGN_OR_RETURN(GivenValues given, CommandLine(args).Read());
  if (given.contains("help") || given.contains("version")) return given;
  AddEnvironment(environment, given);
  if (const auto config = given.find("config"); config != given.end()) {
    const std::string path = config->second.value;
    const Result<std::string> text = read_file(path);
    if (!text.ok()) return text.status().WithContext("--config");
    VY_RETURN_IF_ERROR(AddFile(path, *text, given));
  }
  return given;
}

std::string HelpText() {
  std::string text =
      R"(vineyardd keeps data in shared memory, once per machine, for all processes on it.

usage: vineyardd [--flag VALUE]...

)";
  std::string old;
  for (const Flag& flag : kFlags) {
    if (flag.help.empty()) {
      fmt::format_to(std::back_inserter(old), "{}--{}", old.empty() ? "" : " ", flag.name);
      continue;
    }
    const std::string left = fmt::format("--{} {}", flag.name, flag.placeholder);
    fmt::format_to(std::back_inserter(text), "  {:<26} {}\n", left, Wrapped(flag.help, 29, 29));
  }
  fmt::format_to(std::back_inserter(text), R"(
A flag may also be given as VINEYARD_<FLAG> in the environment, or in the file of --config; the
command line goes before the environment, and that before the file. --config itself, what only
prints, and the flags below have no place in the environment. --flag VALUE and --flag=VALUE are the
same, and so are "-" and "_"; a switch alone means true.

Accepted from older scripts, with a word on what each still means:
  {}

example: an instance of 8 GiB, and a look at it from another shell
  vineyardd --socket /tmp/vineyard.sock --size 8Gi
  VINEYARD_IPC_SOCKET=/tmp/vineyard.sock vineyardctl status
)",
                 Wrapped(old, 2, 2));
  return text;
}

}  // namespace vineyard::daemon
