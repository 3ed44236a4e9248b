// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/nouns.h"
#include "cli/verbs.h"

namespace vineyard::cli {

namespace {

nlohmann::json StatusJson(const InstanceStatus& status, const std::string& socket) {
  return {{"socket", socket},
          {"volume", status.volume},
          {"instance_uuid", status.instance_uuid},
          {"instance_id", status.instance_id},
          {"version", status.version},
          {"deployment", status.deployment},
          {"generation", status.generation},
          {"former_program", status.former_program},
          {"on_probation", status.on_probation},
          {"read_only", status.read_only},
          {"memory_usage", status.memory_usage},
          {"memory_limit", status.memory_limit},
          {"memory_held", status.memory_held},
          {"memory_lingering", status.memory_lingering},
          {"memory_overhead", status.memory_overhead},
          {"memory_ready", status.memory_ready},
          {"instance_limit", status.instance_limit},
          {"objects", status.objects},
          {"blobs", status.blobs},
          {"names", status.names},
          {"leases", status.leases},
          {"connections", status.connections},
          {"waiting", status.waiting},
          {"spilled_bytes", status.spilled_bytes},
          {"spilled_blobs", status.spilled_blobs},
          {"disk_bytes", status.disk_bytes},
          {"loads", status.loads},
          {"evictions", status.evictions},
          {"damaged", status.damaged},
          {"memory_guaranteed", status.memory_guaranteed},
          {"memory_kept", status.memory_kept},
          {"not_on_disk", status.not_on_disk},
          {"set_aside", status.set_aside},
          {"not_restored", status.not_restored},
          {"kept_by_names", status.kept_by_names}};
}

std::string StatusText(const InstanceStatus& status, const std::string& socket) {
  Sheet sheet;
  sheet.Add("volume", status.volume);
  sheet.Add("socket", socket);
  sheet.Add("instance", fmt::format("{} (number {}, {})", status.instance_uuid, status.instance_id,
                                    status.deployment));
  sheet.Add("version", status.version);
  sheet.Add("generation",
            fmt::format("{} (grows with each start of the engine)", status.generation));
  if (status.former_program) {
    sheet.Add("program", "the one before: that which is installed does not serve, see the log");
  } else if (status.on_probation) {
    sheet.Add("program", "new: if it ends by a fault now, the one before comes back");
  }
  if (status.read_only) sheet.Add("rights", "this socket is for reading only");
  const uint64_t percent =
      status.memory_limit == 0
          ? 0
          : static_cast<uint64_t>(100.0 * static_cast<double>(status.memory_usage) /
                                  static_cast<double>(status.memory_limit));
  sheet.Add("memory used", fmt::format("{} of {} ({}%)", FormatBytes(status.memory_usage),
                                       FormatBytes(status.memory_limit), percent));
  sheet.Add("memory held", fmt::format("{} of {}, by all volumes", FormatBytes(status.memory_held),
                                       FormatBytes(status.instance_limit)));
  sheet.Add("  lingering", FormatBytes(status.memory_lingering) + ", deleted but still mapped");
  sheet.Add("  overhead", FormatBytes(status.memory_overhead));
  sheet.Add("memory ready", FormatBytes(status.memory_ready) + ", free, with its pages made");
  if (status.memory_guaranteed > 0) {
    sheet.Add("guaranteed", FormatBytes(status.memory_guaranteed) + ", left to this volume");
  }
  if (status.memory_kept > 0) {
    sheet.Add("memory kept", FormatBytes(status.memory_kept) + ", free, and for other volumes");
  }
  if (status.disk_bytes > 0 || status.evictions > 0 || status.damaged > 0) {
    sheet.Add("spilled", fmt::format("{} of this volume, in {}", FormatBytes(status.spilled_bytes),
                                     Count(status.spilled_blobs, "blob")));
    sheet.Add("on disk",
              fmt::format("{}, of all volumes; {}, {}", FormatBytes(status.disk_bytes),
                          Count(status.evictions, "eviction"), Count(status.loads, "load")));
    if (status.damaged > 0) {
      sheet.Add("damaged",
                Count(status.damaged, "blob") + " could not be brought back: see the log");
    }
  }
  if (status.kept_by_names > 0) {
    sheet.Add("kept by names", FormatBytes(status.kept_by_names) + " of this volume, in memory");
  }
  if (status.not_on_disk > 0) {
    sheet.Add("not on disk", Count(status.not_on_disk, "durable record") + ", not yet");
  }
  if (status.set_aside + status.not_restored > 0) {
    sheet.Add("not back",
              fmt::format("{} set aside, {} left on the disk: see the log",
                          Count(status.set_aside, "damaged file"), status.not_restored));
  }
  sheet.Add("objects", fmt::to_string(status.objects));
  sheet.Add("blobs", fmt::to_string(status.blobs));
  sheet.Add("names", fmt::to_string(status.names));
  if (status.leases > 0) {
    sheet.Add("leases", fmt::format("{} or names that end with their clients",
                                    Count(status.leases, "object")));
  }
  sheet.Add("connections", fmt::to_string(status.connections));
  sheet.Add("waiting", fmt::format("{} for memory or a name", Count(status.waiting, "request")));
  return sheet.ToString();
}

Status ShowStatus(Session& session, const std::string& wait) {
  VY_ASSIGN_OR_RETURN(const Timeout wait_for_instance, ParseTimeout("--wait", wait));
  VY_ASSIGN_OR_RETURN(Client client, session.Connect(wait_for_instance));
  VY_ASSIGN_OR_RETURN(const InstanceStatus status, client.GetStatus());
  if (session.wants_json()) {
    session.PrintJson(StatusJson(status, client.socket()));
  } else {
    session.Print(StatusText(status, client.socket()));
  }
  return Status::OK();
}

}  // namespace

void AddStatus(CLI::App& root, Session& session) {
  CLI::App& status = AddCommand(
      root,
      {.name = "status",
       .description = "Shows what the instance holds, and how much room it has.",
       .json = R"({"socket", "volume", "instance_uuid", "instance_id", "version", "deployment",
  "generation", "former_program", "on_probation", "read_only", "memory_usage",
  "memory_limit", "memory_held", "memory_lingering", "memory_overhead", "memory_ready",
  "instance_limit", "objects", "blobs", "names", "leases", "connections", "waiting",
  "spilled_bytes", "spilled_blobs", "disk_bytes", "loads", "evictions", "damaged",
  "memory_guaranteed", "memory_kept", "not_on_disk", "set_aside", "not_restored",
  "kept_by_names"}, sizes in bytes)",
       .example = R"(wait until an instance answers, then see how much is free
  vineyardctl status --socket /tmp/vineyard.sock --wait 10s
  vineyardctl status -o json | jq '.memory_limit - .memory_usage')"});
  std::string& wait = RunWhenChosen(status, session, ShowStatus);
  wait = "0";
  status.add_option("--wait", wait, "go on trying so long while nothing listens at the socket")
      ->type_name("DURATION");
}

}  // namespace vineyard::cli
