// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Why an object is there, and what to do.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/nouns.h"
#include "cli/object_text.h"
#include "cli/people.h"
#include "cli/verbs.h"

namespace vineyard::cli {

namespace {

nlohmann::json WhyJson(const Explanation& found) {
  nlohmann::json json = ObjectJson(found.info);
  for (const char* key : {"metadata", "buffers", "members"}) json.erase(key);
  nlohmann::json names = nlohmann::json::array();
  for (const NameInfo& name : found.names) names.push_back(name.name);
  nlohmann::json referrers = nlohmann::json::array();
  for (const ObjectInfo& object : found.referrers) {
    referrers.push_back({{"id", object.id.ToString()}, {"type_name", object.type_name}});
  }
  nlohmann::json holders = nlohmann::json::array();
  for (const ClientInfo& holder : found.places.holders) holders.push_back(ClientJson(holder));
  json["names"] = std::move(names);
  json["part_of"] = std::move(referrers);
  json["held_by"] = std::move(holders);
  json["memory_bytes"] = found.places.memory_bytes;
  json["spilled_bytes"] = found.places.spilled_bytes;
  json["durable"] = found.places.durable;
  json["evictable"] = found.evictable;
  json["reasons"] = found.reasons;
  json["advice"] = found.advice;
  return json;
}

std::string WhyText(const Explanation& found, const People& people) {
  Sheet sheet;
  sheet.Add("id", found.info.id.ToString());
  sheet.Add("type", found.info.type_name);
  sheet.Add("size", FormatBytesExactly(found.info.nbytes));
  if (found.info.created_unix_ns != 0) {
    const Creator& creator = found.info.creator;
    sheet.Add("age", FormatAge(std::chrono::nanoseconds(UnixNow() - found.info.created_unix_ns)));
    sheet.Add("made by", people.Name(creator.pid, creator.pod));
  }
  sheet.Add("in memory", FormatBytes(found.places.memory_bytes) + ", its parts included");
  if (found.places.spilled_bytes > 0)
    sheet.Add("on the disk", FormatBytes(found.places.spilled_bytes));
  if (found.places.durable) sheet.Add("durable", "it outlives the instance");
  sheet.Add("evictable", found.evictable ? "yes" : "no");
  for (const std::string& reason : found.reasons) sheet.Add("because", reason);
  for (const std::string& advice : found.advice) sheet.Add("to do", advice);
  return sheet.ToString();
}

struct WhyArguments {
  std::string what;
};

// A name may look like anything but an id.
Result<ObjectId> Find(Client& client, const std::string& what) {
  const Result<ObjectId> id = ParseId(what);
  if (id.ok()) return *id;
  const Result<NameInfo> name = client.GetName(what);
  if (name.status().Is(StatusCode::kNotFound)) {
    return Status::NotFound(fmt::format("'{}' is neither an id nor a name here", what));
  }
  VY_RETURN_IF_ERROR(name.status());
  return name->id;
}

Status Why(Session& session, const WhyArguments& arguments) {
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  VY_ASSIGN_OR_RETURN(const ObjectId id, Find(client, arguments.what));
  VY_ASSIGN_OR_RETURN(const Explanation found, client.Explain(id));
  if (session.wants_json()) {
    session.PrintJson(WhyJson(found));
    return {};
  }
  VY_ASSIGN_OR_RETURN(const std::vector<ClientInfo> clients, client.ListClients());
  session.Print(WhyText(found, People(clients)));
  return {};
}

}  // namespace

void AddWhy(CLI::App& root, Session& session) {
  CLI::App& why = AddCommand(
      root,
      {.name = "why",
       .description =
           "Why an object is there: what refers to it, who holds its memory, and what to do.",
       .json = R"({"id", "type_name", "nbytes", "created", "created_unix_ns", "creator", "labels",
  "names": [...], "part_of": [{"id", "type_name"}], "held_by": [as of clients, of this
  object alone], "memory_bytes", "spilled_bytes", "durable", "evictable", "reasons": [...],
  "advice": [...]})",
       .example = R"(find what fills the memory, and ask about it
  vineyardctl top --limit 3
  vineyardctl why features)"});
  WhyArguments& arguments = RunWhenChosen(why, session, Why);
  why.add_option("ID|NAME", arguments.what, "the object or blob, or a name that points to it")
      ->required();
}

}  // namespace vineyard::cli
