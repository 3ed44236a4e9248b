// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/why.h"

#include <algorithm>
#include <map>
#include <vector>

#include <nlohmann/json.hpp>

#include "http/sample.h"

namespace vineyard::http {

namespace {

using nlohmann::json;

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json OrNull(const std::string& text) { return text.empty() ? json() : json(text); }

json HolderJson(const ClientInfo& holder) {
  return {{"pid", holder.pid},
          {"program", OrNull(holder.program)},
          {"pod", OrNull(holder.pod)},
          {"client", holder.number},
          {"mapped_bytes", holder.mapped_bytes},
          {"pinned", holder.pinned_bytes > 0}};
}

}  // namespace

Result<std::string> WhyJson(Client& volume, ObjectId id) {
  VY_ASSIGN_OR_RETURN(const Explanation found, volume.Explain(id));
  const Places& places = found.places;
  json names = json::array();
  json keeping = json::array();
  for (const NameInfo& name : found.names) {
    names.push_back(name.name);
    if (name.keep) keeping.push_back(name.name);
  }
  json parents = json::array();
  for (const ObjectInfo& parent : found.referrers) parents.push_back(parent.id.ToString());
  json holders = json::array();
  for (const ClientInfo& holder : places.holders) holders.push_back(HolderJson(holder));
  const Creator& creator = found.info.creator;
  return Dump(
      {{"id", id.ToString()},
       {"volume", volume.volume()},
       {"type", found.info.type_name},
       {"bytes", std::max(found.info.nbytes, places.memory_bytes + places.spilled_bytes)},
       {"created",
        found.info.created_unix_ns == 0 ? json() : json(found.info.created_unix_ns / 1'000'000)},
       {"creator",
        {{"pid", creator.pid},
         {"uid", creator.uid},
         {"pod", OrNull(creator.pod)},
         {"program", OrNull(creator.program)}}},
       {"names", names},
       {"members_of", parents},
       {"memory_bytes", places.memory_bytes},
       {"spilled_bytes", places.spilled_bytes},
       {"held_by", holders},
       {"kept_by_names", keeping},
       {"durable", places.durable},
       {"evictable", found.evictable},
       {"reasons", found.reasons},
       {"advice", found.advice}});
}

Result<std::string> ClientsJson(Client& instance) {
  VY_ASSIGN_OR_RETURN(const std::vector<ClientInfo> clients, instance.ListClients(/*all=*/true));
  json list = json::array();
  for (const ClientInfo& client : clients) {
    list.push_back({{"client", client.number},
                    {"pid", client.pid},
                    {"program", OrNull(client.program)},
                    {"pod", OrNull(client.pod)},
                    {"uid", client.uid},
                    {"volume", client.volume},
                    {"connected", client.connected},
                    {"read_only", client.read_only},
                    {"since", UnixMilliseconds() - client.known_for.count()},
                    {"mapped_bytes", client.mapped_bytes},
                    {"writing_bytes", client.writing_bytes},
                    {"pinned_bytes", client.pinned_bytes},
                    {"idle_bytes", client.idle_bytes},
                    {"waiting", client.waiting},
                    {"requests", client.requests}});
  }
  return Dump({{"clients", list}});
}

Result<std::string> WaitsJson(Client& instance) {
  VY_ASSIGN_OR_RETURN(const std::vector<WaitInfo> waits, instance.ListWaits(/*all=*/true));
  std::map<uint64_t, std::string> programs;
  if (!waits.empty()) {
    VY_ASSIGN_OR_RETURN(const std::vector<ClientInfo> clients, instance.ListClients(/*all=*/true));
    for (const ClientInfo& client : clients) programs[client.number] = client.program;
  }
  json list = json::array();
  for (const WaitInfo& wait : waits) {
    const std::string what = !wait.name.empty()       ? wait.name
                             : !wait.object.is_null() ? wait.object.ToString()
                                                      : wait.request;
    // Whether a stream has no chunk or no room is told apart by the request.
    const std::string_view kind =
        wait.kind == WaitInfo::Kind::kRoom ? "stream" : WaitKindName(wait.kind);
    list.push_back({{"kind", kind},
                    {"volume", wait.volume},
                    {"client", wait.client},
                    {"pid", wait.pid},
                    {"program", OrNull(programs[wait.client])},
                    {"request", wait.request},
                    {"what", what},
                    {"bytes", wait.bytes},
                    {"since_s", static_cast<double>(wait.since.count()) / 1000},
                    {"left_s", static_cast<double>(wait.left.count()) / 1000}});
  }
  return Dump({{"waits", list}});
}

}  // namespace vineyard::http
