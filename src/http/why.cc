// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/why.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/size.h"
#include "http/sample.h"

namespace vineyard::http {

namespace {

using nlohmann::json;

// Names, parents and holders of one object beyond that are only counted.
constexpr size_t kMostShown = 1000;

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json OrNull(const std::string& text) { return text.empty() ? json() : json(text); }

struct Facts {
  ObjectInfo info;
  Places places;
  std::vector<NameInfo> names;
  std::vector<ObjectInfo> parents;
};

Result<Facts> AskFor(Client& volume, ObjectId id) {
  Facts facts;
  if (id.is_blob()) {
    facts.info.id = id;
    facts.info.type_name = "vineyard::Blob";
  } else {
    VY_ASSIGN_OR_RETURN(const Object object, volume.Get(id, {.map_buffers = false}));
    facts.info = object.info();
  }
  VY_ASSIGN_OR_RETURN(facts.places, volume.GetPlaces(id));
  VY_ASSIGN_OR_RETURN(facts.names, volume.ListNames({.limit = kMostShown, .id = id}));
  VY_ASSIGN_OR_RETURN(facts.parents,
                      volume.List({.limit = kMostShown, .include_parts = true, .member = id}));
  return facts;
}

std::string ProcessText(const ClientInfo& client) {
  std::string text = client.program.empty() ? "a program" : client.program;
  if (client.pid != 0) text += fmt::format(" (pid {})", client.pid);
  if (!client.pod.empty()) text += fmt::format(" in pod {}", client.pod);
  return text;
}

// Why it is there, and why in memory; and what would change that.
struct Reasons {
  std::vector<std::string> reasons;
  std::vector<std::string> advice;

  void Add(std::string reason, std::string what) {
    reasons.push_back(std::move(reason));
    if (!what.empty()) advice.push_back(std::move(what));
  }
};

Reasons Explain(const Facts& facts) {
  Reasons out;
  for (const NameInfo& name : facts.names) {
    if (name.keep) {
      out.Add(fmt::format("the name '{}' points to it and keeps it in memory", name.name),
              fmt::format("put the name '{}' anew without keep, or drop it", name.name));
    } else if (name.ttl) {
      out.Add(fmt::format("the name '{}' points to it for another {} s", name.name,
                          name.ttl->count() / 1000),
              "");
    } else {
      out.Add(fmt::format("the name '{}' points to it", name.name),
              fmt::format("drop the name '{}'", name.name));
    }
  }
  for (const ObjectInfo& parent : facts.parents) {
    out.Add(fmt::format("{} ({}) refers to it", parent.id.ToString(), parent.type_name),
            fmt::format("delete {}", parent.id.ToString()));
  }
  for (const ClientInfo& holder : facts.places.holders) {
    if (holder.mapped_bytes > 0) {
      out.Add(fmt::format("{} has {} of it mapped", ProcessText(holder),
                          FormatSize(holder.mapped_bytes)),
              fmt::format("let go of it in {}", ProcessText(holder)));
    }
    if (holder.pinned_bytes > 0) {
      out.Add(fmt::format("{} has pinned it", ProcessText(holder)),
              fmt::format("unpin it in {}", ProcessText(holder)));
    }
  }
  if (facts.places.durable) out.Add("it is durable: it outlives the instance", "");
  if (!facts.places.damage.empty())
    out.Add("some of it can't be brought back: " + facts.places.damage, "");
  if (facts.names.empty() && facts.parents.empty()) {
    out.Add("nothing refers to it: it was put without a name, and stays until it is deleted",
            fmt::format("delete {}", facts.info.id.ToString()));
  }
  return out;
}

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
  VY_ASSIGN_OR_RETURN(const Facts facts, AskFor(volume, id));
  const Places& places = facts.places;
  json names = json::array();
  json keeping = json::array();
  for (const NameInfo& name : facts.names) {
    names.push_back(name.name);
    if (name.keep) keeping.push_back(name.name);
  }
  json parents = json::array();
  for (const ObjectInfo& parent : facts.parents) parents.push_back(parent.id.ToString());
  json holders = json::array();
  for (const ClientInfo& holder : places.holders) holders.push_back(HolderJson(holder));
  const Reasons reasons = Explain(facts);
  const Creator& creator = facts.info.creator;
  return Dump(
      {{"id", id.ToString()},
       {"volume", volume.volume()},
       {"type", facts.info.type_name},
       {"bytes", std::max(facts.info.nbytes, places.memory_bytes + places.spilled_bytes)},
       {"created",
        facts.info.created_unix_ns == 0 ? json() : json(facts.info.created_unix_ns / 1'000'000)},
       {"creator",
        {{"pid", creator.pid},
         {"uid", creator.uid},
         {"pod", OrNull(creator.pod)},
         {"program", nullptr}}},
       {"names", names},
       {"members_of", parents},
       {"memory_bytes", places.memory_bytes},
       {"spilled_bytes", places.spilled_bytes},
       {"held_by", holders},
       {"kept_by_names", keeping},
       {"durable", places.durable},
       {"evictable", places.memory_bytes > 0 && !places.in_use && !places.pinned && !places.kept},
       {"reasons", reasons.reasons},
       {"advice", reasons.advice}});
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
