// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What takes most of the memory: one thing after another (top), or in sums (du).
#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/nouns.h"
#include "cli/object_text.h"
#include "cli/people.h"
#include "cli/verbs.h"
#include "cli/watch.h"
#include "vineyard/survey.h"

namespace vineyard::cli {

namespace {

std::string NamesText(const std::vector<std::string>& names) {
  if (names.empty()) return "-";
  if (names.size() == 1) return names[0];
  return fmt::format("{} and {} more", names[0], names.size() - 1);
}

std::string WhereText(const Places& places) {
  if (places.memory_bytes + places.spilled_bytes == 0) return "memory";
  if (places.spilled_bytes == 0) return "memory";
  return places.memory_bytes == 0 ? "disk" : "memory, disk";
}

std::string HoldersText(const Places& places) {
  if (places.holders.empty()) return places.in_use ? "somebody" : "-";
  const ClientInfo& first = places.holders[0];
  std::string text = fmt::format("{} ({})", first.program.empty() ? "?" : first.program, first.pid);
  if (places.holders.size() > 1) text += fmt::format(" and {} more", places.holders.size() - 1);
  return text;
}

std::string MemoryLine(const Figures& figures) {
  const uint64_t percent = figures.limit == 0
                               ? 0
                               : static_cast<uint64_t>(100.0 * static_cast<double>(figures.held) /
                                                       static_cast<double>(figures.limit));
  return fmt::format("held {} of {} ({}%), ready {}, on disk {}\n", FormatBytes(figures.held),
                     FormatBytes(figures.limit), percent, FormatBytes(figures.ready),
                     FormatBytes(figures.disk_bytes));
}

// ---- top

struct TopOptions {
  std::string limit = "20";
  std::string by = "size";
  std::string watch;
};

// So many of them, what comes first first.
std::vector<Survey::Object> FirstOf(std::vector<Survey::Object> objects, const std::string& by,
                                    size_t limit) {
  const auto larger = [](const Survey::Object& a, const Survey::Object& b) {
    return std::pair(b.bytes, a.id) < std::pair(a.bytes, b.id);
  };
  const auto older = [](const Survey::Object& a, const Survey::Object& b) {
    return std::pair(a.created_unix_ns, a.id) < std::pair(b.created_unix_ns, b.id);
  };
  const auto end = objects.begin() + static_cast<ptrdiff_t>(std::min(limit, objects.size()));
  if (by == "age") {
    std::partial_sort(objects.begin(), end, objects.end(), older);
  } else {
    std::partial_sort(objects.begin(), end, objects.end(), larger);
  }
  objects.erase(end, objects.end());
  return objects;
}

// Those of the objects that are shown.
Result<std::unordered_map<ObjectId, std::vector<std::string>>> NamesOf(
    Client& client, std::span<const Survey::Object> objects) {
  std::unordered_map<ObjectId, std::vector<std::string>> found;
  for (const Survey::Object& object : objects) found[object.id];
  VY_ASSIGN_OR_RETURN(std::vector<NameInfo> names, client.ListNames());
  for (NameInfo& name : names) {
    const auto it = found.find(name.id);
    if (it != found.end()) it->second.push_back(std::move(name.name));
  }
  return found;
}

// A blob has no description; kNotFound: the object has gone meanwhile.
Result<ObjectInfo> InfoOf(Client& client, const Survey& survey, const Survey::Object& object) {
  if (object.id.is_blob()) {
    ObjectInfo info;
    info.id = object.id;
    info.type_name = survey.types[object.type];
    info.nbytes = object.bytes.value_or(0);
    return info;
  }
  VY_ASSIGN_OR_RETURN(const Object found, client.Get(object.id, {.map_buffers = false}));
  return found.info();
}

Result<nlohmann::json> TopJson(Client& client, const Survey& survey, const Survey::Object& object,
                               const std::vector<std::string>& names, const Places& places) {
  VY_ASSIGN_OR_RETURN(const ObjectInfo info, InfoOf(client, survey, object));
  nlohmann::json holders = nlohmann::json::array();
  for (const ClientInfo& holder : places.holders) holders.push_back(ClientJson(holder));
  nlohmann::json json = ObjectJson(info);
  for (const char* key : {"metadata", "buffers", "members"}) json.erase(key);
  json["bytes"] = object.bytes.value_or(0);
  json["names"] = names;
  json["where"] = WhereText(places);
  json["held_by"] = std::move(holders);
  return json;
}

Status ShowTop(Session& session, const TopOptions& options) {
  VY_ASSIGN_OR_RETURN(const size_t limit, ParseLimit(options.limit));
  return ShowOften(session, options.watch, [&](Client& client) -> Status {
    VY_ASSIGN_OR_RETURN(const Figures figures, client.GetFigures());
    VY_ASSIGN_OR_RETURN(const Survey survey, client.TakeSurvey());
    const std::vector<Survey::Object> first = FirstOf(survey.objects, options.by, limit);
    VY_ASSIGN_OR_RETURN(const auto names, NamesOf(client, first));
    const bool more = first.size() < survey.objects.size();
    VY_ASSIGN_OR_RETURN(const std::vector<ClientInfo> clients, client.ListClients());
    const People people(clients);
    nlohmann::json list = nlohmann::json::array();
    Table table({{"ID"},
                 {"NAME"},
                 {"TYPE"},
                 {"SIZE", Align::kRight},
                 {"AGE", Align::kRight},
                 {"MADE BY"},
                 {"WHERE"},
                 {"USED BY"}});
    const int64_t now = UnixNow();
    for (const Survey::Object& object : first) {
      const Result<Places> places = client.GetPlaces(object.id);
      if (places.status().Is(StatusCode::kNotFound)) continue;  // it has gone meanwhile
      VY_RETURN_IF_ERROR(places.status());
      if (session.wants_json()) {
        auto json = TopJson(client, survey, object, names.at(object.id), *places);
        if (json.status().Is(StatusCode::kNotFound)) continue;
        VY_RETURN_IF_ERROR(json.status());
        list.push_back(std::move(*json));
        continue;
      }
      const bool known = object.created_unix_ns != 0;
      table.AddRow({object.id.ToString(), NamesText(names.at(object.id)), survey.types[object.type],
                    FormatBytes(object.bytes.value_or(0)),
                    known ? FormatAge(std::chrono::nanoseconds(now - object.created_unix_ns)) : "-",
                    known ? people.Name(survey.creators[object.creator]) : "-", WhereText(*places),
                    HoldersText(*places)});
    }
    if (session.wants_json()) {
      session.PrintJson({{"held", figures.held},
                         {"limit", figures.limit},
                         {"ready", figures.ready},
                         {"disk_bytes", figures.disk_bytes},
                         {"objects", std::move(list)},
                         {"more", more}});
      return {};
    }
    session.Print(MemoryLine(figures));
    session.Print(table.ToString());
    if (more) {
      Session::Say(
          fmt::format("of {}; --limit 0 shows all", Count(survey.objects.size(), "object")));
    }
    return {};
  });
}

// ---- du

struct DuOptions {
  std::string by = "state";
  bool all = false;
  std::string watch;
};

struct Sum {
  uint64_t count = 0;
  uint64_t bytes = 0;
};

std::string AgeGroup(int64_t created_unix_ns, int64_t now) {
  using std::chrono::nanoseconds;
  const nanoseconds age(now - created_unix_ns);
  if (created_unix_ns == 0) return "unknown";
  if (age < std::chrono::minutes(1)) return "less than a minute";
  if (age < std::chrono::hours(1)) return "less than an hour";
  if (age < std::chrono::hours(24)) return "less than a day";
  return "a day or more";
}

// Of each number of a creator in the survey.
std::vector<std::string> NamesOfCreators(const Survey& survey, const People& people) {
  std::vector<std::string> names;
  for (const Creator& creator : survey.creators) names.push_back(people.Name(creator));
  return names;
}

void PrintSums(Session& session, const DuOptions& options, const std::map<std::string, Sum>& sums,
               bool counts) {
  std::vector<std::pair<std::string, Sum>> sorted(sums.begin(), sums.end());
  std::ranges::sort(sorted, [](const auto& a, const auto& b) {
    return std::tie(b.second.bytes, a.first) < std::tie(a.second.bytes, b.first);
  });
  nlohmann::json list = nlohmann::json::array();
  Table with_counts({{options.by}, {"OBJECTS", Align::kRight}, {"SIZE", Align::kRight}});
  Table without({{options.by}, {"SIZE", Align::kRight}});
  Sum total;
  for (const auto& [group, sum] : sorted) {
    total.count += sum.count;
    total.bytes += sum.bytes;
    nlohmann::json json = {{options.by, group}, {"bytes", sum.bytes}};
    if (counts) json["objects"] = sum.count;
    list.push_back(std::move(json));
    if (counts) with_counts.AddRow({group, fmt::to_string(sum.count), FormatBytes(sum.bytes)});
    if (!counts) without.AddRow({group, FormatBytes(sum.bytes)});
  }
  if (session.wants_json()) {
    session.PrintJson({{"by", options.by}, {"groups", std::move(list)}, {"bytes", total.bytes}});
    return;
  }
  with_counts.AddRow({"all", fmt::to_string(total.count), FormatBytes(total.bytes)});
  without.AddRow({"all", FormatBytes(total.bytes)});
  session.Print(counts ? with_counts.ToString() : without.ToString());
}

void AddStates(const VolumeFigures& volume, std::map<std::string, Sum>& sums) {
  const MemoryFigures& m = volume.memory;
  const std::pair<const char*, uint64_t> states[] = {
      {"sealed", m.sealed},        {"being written", m.writing},
      {"idle in clients", m.idle}, {"deleted but mapped", m.lingering},
      {"moving", m.moving},        {"small objects", m.records},
      {"arena slack", m.slack},    {"catalog", m.catalog}};
  for (const auto& [state, bytes] : states) sums[state].bytes += bytes;
}

Status ShowDu(Session& session, const DuOptions& options) {
  return ShowOften(session, options.watch, [&](Client& client) -> Status {
    std::map<std::string, Sum> sums;
    if (options.by == "state" || options.by == "volume") {
      VY_ASSIGN_OR_RETURN(const Figures figures,
                          client.GetFigures(options.all || options.by == "volume"));
      for (const VolumeFigures& volume : figures.volumes) {
        if (options.by == "volume") {
          sums[volume.name] = {.count = volume.objects, .bytes = volume.held};
        } else {
          AddStates(volume, sums);
        }
      }
      if (options.by == "state") {
        if (options.all) sums["pool, free"].bytes += figures.ready;
        if (figures.disk_bytes > 0 && session.wants_json() == false) {
          Session::Say(fmt::format("and {} on the disk", FormatBytes(figures.disk_bytes)));
        }
      }
      PrintSums(session, options, sums, options.by == "volume");
      return {};
    }
    if (options.all)
      return Status::Invalid(
          "--all goes with --by state or volume; otherwise ask at each volume's socket");
    VY_ASSIGN_OR_RETURN(const std::vector<ClientInfo> clients, client.ListClients());
    VY_ASSIGN_OR_RETURN(const Survey survey, client.TakeSurvey());
    const std::vector<std::string> creators = NamesOfCreators(survey, People(clients));
    const int64_t now = UnixNow();
    for (const Survey::Object& object : survey.objects) {
      const bool is_known = object.created_unix_ns != 0;
      Sum& sum = sums[options.by == "type"  ? survey.types[object.type]
                      : options.by == "age" ? AgeGroup(object.created_unix_ns, now)
                      : is_known            ? creators[object.creator]
                                            : std::string("unknown")];
      ++sum.count;
      sum.bytes += object.bytes.value_or(0);
    }
    PrintSums(session, options, sums, true);
    return {};
  });
}

}  // namespace

void AddTop(CLI::App& root, Session& session) {
  CLI::App& top = AddCommand(
      root,
      {.name = "top",
       .description = "The largest (or oldest) objects, who made them, and who uses them.\n"
                      "Sizes are with all parts.",
       .json = R"({"held", "limit", "ready", "disk_bytes", "objects": [{"id", "type_name", "bytes",
  "nbytes", "names", "created", "created_unix_ns", "creator": {"pid", "uid", "pod",
  "program"}, "labels", "where": "memory|disk|memory, disk", "held_by": [as of clients]}],
  "more"})",
       .example = R"(see what fills the memory, live
  vineyardctl top --watch 2s
  vineyardctl top --by age --limit 5)"});
  TopOptions& options = RunWhenChosen(top, session, ShowTop);
  top.add_option("--limit", options.limit, "at most so many; 0: all; 20 by default")
      ->type_name("N");
  top.add_option("--by", options.by, "what comes first: the largest, or the oldest")
      ->type_name("size|age");
  AddWatch(top, options.watch);
}

void AddDu(CLI::App& root, Session& session) {
  CLI::App& du =
      AddCommand(root, {.name = "du",
                        .description = "Sums of memory: by state, volume, type, age or creator.\n"
                                       "By state it is every page that the volume holds.",
                        .json = R"({"by", "groups": [{BY: group, "bytes", "objects"}], "bytes"})",
                        .example = R"(where the memory is, and whose the objects are
  vineyardctl du
  vineyardctl du --by creator
  vineyardctl du --by volume)"});
  DuOptions& options = RunWhenChosen(du, session, ShowDu);
  du.add_option("--by", options.by, "what to add up by; state by default")
      ->type_name("state|volume|type|age|creator");
  du.add_flag("--all", options.all,
              "of all volumes: for the owner of the instance, at its first socket");
  AddWatch(du, options.watch);
}

}  // namespace vineyard::cli
