// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Who is there and what they hold, and what waits.
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/nouns.h"
#include "cli/people.h"
#include "cli/verbs.h"
#include "cli/watch.h"

namespace vineyard::cli {

namespace {

struct Options {
  bool all = false;
  std::string watch;
};

std::string Seconds(std::chrono::milliseconds time) {
  return fmt::format("{:.1f}s", static_cast<double>(time.count()) / 1000);
}

std::vector<std::string> ClientCells(const ClientInfo& client) {
  const auto bytes = [](uint64_t count) {
    return count == 0 ? std::string("-") : FormatBytes(count);
  };
  return {client.program.empty() ? "?" : client.program,
          fmt::to_string(client.pid),
          client.pod.empty() ? "-" : client.pod,
          client.volume,
          bytes(client.mapped_bytes),
          bytes(client.writing_bytes),
          bytes(client.pinned_bytes),
          bytes(client.idle_bytes),
          fmt::to_string(client.waiting),
          fmt::to_string(client.requests),
          client.connected ? FormatAge(client.known_for) : "away"};
}

Status ShowClients(Session& session, const Options& options) {
  return ShowOften(session, options.watch, [&](Client& client) -> Status {
    VY_ASSIGN_OR_RETURN(std::vector<ClientInfo> clients, client.ListClients(options.all));
    const auto holds = [](const ClientInfo& c) {
      return c.mapped_bytes + c.writing_bytes + c.pinned_bytes;
    };
    std::ranges::sort(clients, [&](const ClientInfo& a, const ClientInfo& b) {
      return std::pair(holds(b), a.number) < std::pair(holds(a), b.number);
    });
    const ListForm<ClientInfo> form = {.things = "clients",
                                       .columns = {{"PROGRAM"},
                                                   {"PID", Align::kRight},
                                                   {"POD"},
                                                   {"VOLUME"},
                                                   {"MAPPED", Align::kRight},
                                                   {"WRITING", Align::kRight},
                                                   {"PINNED", Align::kRight},
                                                   {"IDLE", Align::kRight},
                                                   {"WAITING", Align::kRight},
                                                   {"REQUESTS", Align::kRight},
                                                   {"SINCE", Align::kRight}},
                                       .json = ClientJson,
                                       .cells = ClientCells};
    PrintList(session, form, std::span<const ClientInfo>(clients));
    return {};
  });
}

std::string AwaitedText(const WaitInfo& wait) {
  switch (wait.kind) {
    case WaitInfo::Kind::kName: return "the name " + wait.name;
    case WaitInfo::Kind::kStream: return "a chunk of " + wait.object.ToString();
    case WaitInfo::Kind::kRoom: return "room in " + wait.object.ToString();
    case WaitInfo::Kind::kMemory:
    case WaitInfo::Kind::kQuota:
    case WaitInfo::Kind::kDisk: break;
  }
  return FormatBytes(wait.bytes) + (wait.kind == WaitInfo::Kind::kQuota  ? " of the quota"
                                    : wait.kind == WaitInfo::Kind::kDisk ? " from or to the disk"
                                                                         : " of memory");
}

nlohmann::json WaitJson(const WaitInfo& wait) {
  nlohmann::json json = {{"kind", WaitKindName(wait.kind)},
                         {"request", wait.request},
                         {"volume", wait.volume},
                         {"client", wait.client},
                         {"pid", wait.pid},
                         {"request_id", wait.request_id},
                         {"bytes", wait.bytes},
                         {"since_ms", wait.since.count()},
                         {"left_ms", wait.left.count()}};
  if (!wait.name.empty()) json["name"] = wait.name;
  if (wait.object.value() != 0) json["stream"] = wait.object.ToString();
  return json;
}

Status ShowWaits(Session& session, const Options& options) {
  return ShowOften(session, options.watch, [&](Client& client) -> Status {
    VY_ASSIGN_OR_RETURN(const std::vector<ClientInfo> clients, client.ListClients(options.all));
    VY_ASSIGN_OR_RETURN(const std::vector<WaitInfo> waits, client.ListWaits(options.all));
    const People people(clients);
    if (session.wants_json()) {
      nlohmann::json list = nlohmann::json::array();
      for (const WaitInfo& wait : waits) {
        nlohmann::json json = WaitJson(wait);
        json["program"] = people.Program(wait.pid);
        list.push_back(std::move(json));
      }
      session.PrintJson({{"waits", std::move(list)}});
      return {};
    }
    if (waits.empty()) {
      Session::Say("nothing waits");
      return {};
    }
    Table table({{"WHO"},
                 {"VOLUME"},
                 {"REQUEST"},
                 {"WAITS FOR"},
                 {"SINCE", Align::kRight},
                 {"GIVES UP IN", Align::kRight}});
    for (const WaitInfo& wait : waits) {
      table.AddRow({people.Name(wait.pid), wait.volume, wait.request, AwaitedText(wait),
                    Seconds(wait.since), Seconds(wait.left)});
    }
    session.Print(table.ToString());
    return {};
  });
}

void AddOptions(CLI::App& verb, Options& options) {
  verb.add_flag("--all", options.all,
                "of all volumes: for the owner of the instance, at its first socket");
  AddWatch(verb, options.watch);
}

}  // namespace

void AddClients(CLI::App& root, Session& session) {
  CLI::App& clients = AddCommand(
      root,
      {.name = "clients",
       .description = "Who uses the instance, and what they hold: who holds most comes first.",
       .json = R"({"clients": [{"client", "program", "pid", "uid", "pod", "volume", "connected",
  "read_only", "known_for_ms", "mapped_bytes", "mapped_blobs", "writing_bytes",
  "idle_bytes", "pinned_bytes", "waiting", "requests"}]})",
       .example = R"(who has memory mapped that was deleted, or can't be evicted
  vineyardctl clients
  vineyardctl clients --all -o json | jq '.clients[] | select(.mapped_bytes > 0)')"});
  AddOptions(clients, RunWhenChosen(clients, session, ShowClients));
}

void AddWaits(CLI::App& root, Session& session) {
  CLI::App& waits = AddCommand(
      root,
      {.name = "waits",
       .description = "Requests that wait: whose, for what, since when.\n"
                      "The longest comes first.",
       .json = R"({"waits": [{"kind": "memory|quota|disk|name|stream|room in a stream", "request",
  "volume", "client", "program", "pid", "request_id", "bytes", "since_ms", "left_ms",
  "name", "stream"}]})",
       .example = R"(see what hangs
  vineyardctl waits --watch 1s)"});
  AddOptions(waits, RunWhenChosen(waits, session, ShowWaits));
}

}  // namespace vineyard::cli
