// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What takes most of the memory: one thing after another (top), or in sums (du).
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

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

Status Sort(std::vector<Surveyed>& found, const std::string& by) {
  if (by == "size") {
    std::ranges::sort(found, [](const Surveyed& a, const Surveyed& b) {
      return std::pair(b.bytes, a.info.id.value()) < std::pair(a.bytes, b.info.id.value());
    });
  } else if (by == "age") {
    std::ranges::sort(found, std::less(), [](const Surveyed& s) {
      return std::pair(s.info.created_unix_ns, s.info.id.value());
    });
  } else {
    return Status::Invalid(fmt::format("--by: '{}' is none; say size or age", by));
  }
  return {};
}

Status ShowTop(Session& session, const TopOptions& options) {
  VY_ASSIGN_OR_RETURN(const size_t limit, ParseLimit(options.limit));
  return ShowOften(session, options.watch, [&](Client& client) -> Status {
    VY_ASSIGN_OR_RETURN(const Figures figures, client.GetFigures());
    VY_ASSIGN_OR_RETURN(std::vector<Surveyed> found, TakeSurvey(client));
    VY_RETURN_IF_ERROR(Sort(found, options.by));
    const bool more = found.size() > limit;
    const size_t all = found.size();
    if (more) found.resize(limit);
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
    for (const Surveyed& s : found) {
      const Result<Places> places = client.GetPlaces(s.info.id);
      if (places.status().Is(StatusCode::kNotFound)) continue;  // it has gone meanwhile
      VY_RETURN_IF_ERROR(places.status());
      const Creator& creator = s.info.creator;
      const bool known = s.info.created_unix_ns != 0;
      if (session.wants_json()) {
        nlohmann::json holders = nlohmann::json::array();
        for (const ClientInfo& holder : places->holders) holders.push_back(ClientJson(holder));
        nlohmann::json json = ObjectJson(s.info);
        for (const char* key : {"metadata", "buffers", "members"}) json.erase(key);
        json["bytes"] = s.bytes;
        json["names"] = s.names;
        json["where"] = WhereText(*places);
        json["held_by"] = std::move(holders);
        list.push_back(std::move(json));
        continue;
      }
      table.AddRow({s.info.id.ToString(), NamesText(s.names), s.info.type_name,
                    FormatBytes(s.bytes),
                    known ? FormatAge(std::chrono::nanoseconds(now - s.info.created_unix_ns)) : "-",
                    known ? people.Name(creator) : "-", WhereText(*places), HoldersText(*places)});
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
    if (more) Session::Say(fmt::format("of {}; --limit 0 shows all", Count(all, "object")));
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

Result<std::string> GroupOf(const Surveyed& s, const std::string& by, const People& people,
                            int64_t now) {
  if (by == "type") return s.info.type_name;
  if (by == "age") return AgeGroup(s.info.created_unix_ns, now);
  if (by == "creator") {
    if (s.info.created_unix_ns == 0) return std::string("unknown");
    return people.Name(s.info.creator);
  }
  return Status::Invalid(
      fmt::format("--by: '{}' is none; say state, volume, type, age or creator", by));
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
    VY_ASSIGN_OR_RETURN(const std::vector<Surveyed> found, TakeSurvey(client));
    const People people(clients);
    const int64_t now = UnixNow();
    for (const Surveyed& s : found) {
      VY_ASSIGN_OR_RETURN(const std::string group, GroupOf(s, options.by, people, now));
      ++sums[group].count;
      sums[group].bytes += s.bytes;
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
