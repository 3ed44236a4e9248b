// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/duration.h"
#include "cli/nouns.h"
#include "cli/verbs.h"

namespace vineyard::cli {

namespace {

nlohmann::json NameJson(const NameInfo& info) {
  nlohmann::json json = {
      {"name", info.name}, {"id", info.id.ToString()}, {"version", info.version}};
  if (info.ttl) json["ttl_ms"] = info.ttl->count();
  if (info.durable) json["durable"] = true;
  if (info.keep) json["keep"] = true;
  if (info.linger) {
    json["linger_ms"] = info.linger->count();
    json["client_pid"] = info.client_pid;
  }
  return json;
}

std::string SecondsText(Timeout time) {
  return fmt::format("{:.1f}s", static_cast<double>(time.count()) / 1000);
}

std::string EndText(const NameInfo& info) {
  std::string text = info.ttl ? SecondsText(*info.ttl) : "";
  if (info.linger) {
    text += fmt::format("{}with process {}", text.empty() ? "" : ", or ", info.client_pid);
    if (info.linger->count() > 0) text += " + " + SecondsText(*info.linger);
  }
  return text.empty() ? "-" : text;
}

std::vector<std::string> NameCells(const NameInfo& info) {
  return {info.name, info.id.ToString(), fmt::to_string(info.version), EndText(info)};
}

struct LsOptions {
  std::string pattern = "*";
  std::string prefix;
  std::string limit = "0";
  bool regex = false;
};

Status Ls(Session& session, const LsOptions& options) {
  ListNamesOptions list;
  VY_ASSIGN_OR_RETURN(const size_t limit, ParseLimit(options.limit));
  list.limit = OneMoreThan(limit);
  list.prefix = !options.prefix.empty();
  list.regex = options.regex;
  if (list.prefix && (list.regex || options.pattern != "*")) {
    return Status::Invalid("--prefix goes without PATTERN and --regex; leave one out");
  }
  list.pattern = list.prefix ? options.prefix : options.pattern;
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  VY_ASSIGN_OR_RETURN(const std::vector<NameInfo> names, client.ListNames(list));
  const ListForm<NameInfo> form = {
      .things = "names",
      .columns = {{"NAME"}, {"ID"}, {"VERSION", Align::kRight}, {"ENDS", Align::kRight}},
      .json = NameJson,
      .cells = NameCells};
  PrintListUpTo(session, form, names, limit);
  return Status::OK();
}

struct GetArguments {
  std::string name;
  bool wait = false;
};

Status Get(Session& session, const GetArguments& arguments) {
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  GetOptions options;
  options.wait = arguments.wait;
  VY_ASSIGN_OR_RETURN(const NameInfo info, client.GetName(arguments.name, options));
  if (session.wants_json()) {
    session.PrintJson(NameJson(info));
  } else {
    session.Print(info.id.ToString() + "\n");
  }
  return Status::OK();
}

struct PutArguments {
  std::string name;
  std::string id;
  std::string ttl;
  std::string durability = "memory";
  bool keep = false;
};

Status Put(Session& session, const PutArguments& arguments) {
  VY_ASSIGN_OR_RETURN(const ObjectId id, ParseId(arguments.id));
  NameOptions options;
  if (!arguments.ttl.empty()) {
    VY_ASSIGN_OR_RETURN(const auto ttl, ParseDuration(arguments.ttl));
    options.ttl = std::chrono::ceil<Timeout>(ttl);
  }
  VY_ASSIGN_OR_RETURN(options.durability, ParseDurability(arguments.durability));
  options.keep = arguments.keep;
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  VY_ASSIGN_OR_RETURN(const uint64_t version, client.PutName(arguments.name, id, options));
  if (session.wants_json()) {
    session.PrintJson(NameJson({.name = arguments.name,
                                .id = id,
                                .version = version,
                                .ttl = options.ttl,
                                .durable = options.durability == Durability::kDisk,
                                .keep = options.keep}));
  } else {
    Session::Say(
        fmt::format("'{}' points to {}, version {}", arguments.name, id.ToString(), version));
  }
  return Status::OK();
}

Status Rm(Session& session, const std::vector<std::string>& names) {
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  const Done dropped =
      DoToEach(names, [&](const std::string& name) { return client.DropName(name); });
  if (session.wants_json()) {
    session.PrintJson({{"dropped", dropped.names}});
  } else if (!dropped.names.empty()) {
    Session::Say(fmt::format("dropped {}", Count(dropped.names.size(), "name")));
  }
  return dropped.failure;
}

void AddLs(CLI::App& name, Session& session) {
  CLI::App& ls = AddCommand(
      name, {.name = "ls",
             .description = "Lists names and what they point to.",
             .json = R"({"names": [{"name", "id", "version"}, ...], "more": false}, where more tells
  that --limit cut the list)",
             .example = R"(the names of one experiment, and how many there are
  vineyardctl name ls --prefix experiment-7/
  vineyardctl name ls 'experiment-?/*' -o json | jq '.names | length')"});
  ls.alias("list");
  LsOptions& options = RunWhenChosen(ls, session, Ls);
  ls.add_option("PATTERN", options.pattern, "a glob with *, ? and [...]; all if left out");
  ls.add_flag("--regex", options.regex, "PATTERN is a regular expression (ECMAScript)");
  ls.add_option("--prefix", options.prefix, "names that begin so, instead of PATTERN")
      ->type_name("TEXT");
  ls.add_option("--limit", options.limit, "at most so many, 0 for all; all by default")
      ->type_name("N");
}

void AddGet(CLI::App& name, Session& session) {
  CLI::App& get =
      AddCommand(name, {.name = "get",
                        .description = "Prints the id of the object that a name points to.",
                        .json = R"({"name", "id", "version"})",
                        .example = R"(wait for a name, at most five minutes
  vineyardctl name get weights --wait --timeout 5m)"});
  GetArguments& arguments = RunWhenChosen(get, session, Get);
  get.add_option("NAME", arguments.name, "as 'vineyardctl name ls' shows it")->required();
  get.add_flag("--wait", arguments.wait, "until the name exists, for as long as --timeout allows");
}

void AddPut(CLI::App& name, Session& session) {
  CLI::App& put = AddCommand(
      name,
      {.name = "put",
       .description = "Points a name at an object, whatever it pointed to before.\n"
                      "The name only refers: an object that was stored under no name does not go "
                      "with it.",
       .json =
           R"({"name", "id", "version"}, and "ttl_ms" with --ttl, "durable" with --durability disk,
  "keep" with --keep)",
       .example = R"ex(give an object a second name, for an hour
  vineyardctl name put best-weights "$(vineyardctl name get weights)" --ttl 1h)ex"});
  PutArguments& arguments = RunWhenChosen(put, session, Put);
  put.add_option("NAME", arguments.name, "any text")->required();
  put.add_option("ID", arguments.id, "as 'vineyardctl object ls' shows it")->required();
  put.add_option("--ttl", arguments.ttl, "the name is dropped after this time: 90s, 10m, 1h")
      ->type_name("DURATION");
  put.add_option("--durability", arguments.durability,
                 "memory, or disk: the name and its object outlive the instance")
      ->type_name("memory|disk");
  put.add_flag("--keep", arguments.keep,
               "the object stays in memory for as long as the name points to it");
}

void AddRm(CLI::App& name, Session& session) {
  CLI::App& rm = AddCommand(
      name, {.name = "rm",
             .description = "Drops names.\n"
                            "An object that was stored under a name goes with its last one.",
             .json = R"({"dropped": [NAME, ...]})",
             .example = R"(one name, and one that begins with a dash
  vineyardctl name rm weights
  vineyardctl name rm -- -odd-)"});
  rm.alias("delete");
  rm.alias("drop");
  std::vector<std::string>& names = RunWhenChosen(rm, session, Rm);
  rm.add_option("NAME", names, "as 'vineyardctl name ls' shows it")->required();
}

}  // namespace

void AddName(CLI::App& root, Session& session) {
  CLI::App& name = AddCommand(
      root, {.name = "name",
             .description = "Names: what points to objects and can be pointed elsewhere.",
             .json = {},
             .example = R"(see all names, and drop one
  vineyardctl name ls
  vineyardctl name rm weights)"});
  name.alias("names");
  AddLs(name, session);
  AddGet(name, session);
  AddPut(name, session);
  AddRm(name, session);
}

}  // namespace vineyard::cli
