// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <chrono>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/nouns.h"
#include "cli/object_text.h"
#include "cli/verbs.h"

namespace vineyard::cli {

namespace {

std::vector<std::string> ObjectCells(const ObjectInfo& info) {
  const bool known = info.created_unix_ns != 0;  // not of a blob
  const std::chrono::nanoseconds age(UnixNow() - info.created_unix_ns);
  return {info.id.ToString(), info.type_name, FormatBytes(info.nbytes),
          known ? FormatAge(age) : "-"};
}

struct LsOptions {
  std::string pattern = "*";
  std::string limit = "100";
  bool regex = false;
  bool parts = false;
};

Status Ls(Session& session, const LsOptions& options) {
  ListOptions list;
  VY_ASSIGN_OR_RETURN(const size_t limit, ParseLimit(options.limit));
  list.limit = OneMoreThan(limit);
  list.pattern = options.pattern;
  list.regex = options.regex;
  list.include_parts = options.parts;
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  VY_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, client.List(list));
  const ListForm<ObjectInfo> form = {
      .things = "objects",
      .columns = {{"ID"}, {"TYPE"}, {"SIZE", Align::kRight}, {"AGE", Align::kRight}},
      .json = ObjectJson,
      .cells = ObjectCells};
  PrintListUpTo(session, form, objects, limit);
  return Status::OK();
}

// A blob is shown as an object without metadata.
Result<ObjectInfo> Describe(Client& client, ObjectId id) {
  if (!id.is_blob()) {
    VY_ASSIGN_OR_RETURN(const Object object, client.Get(id, {.map_buffers = false}));
    return object.info();
  }
  VY_ASSIGN_OR_RETURN(const Blob blob, client.GetBlob(id));
  ObjectInfo info;
  info.id = id;
  info.type_name = "vineyard::Blob";
  info.metadata = "{}";
  info.nbytes = blob.size();
  return info;
}

Result<ObjectInfo> Describe(Client& client, const std::string& name) {
  const Result<Object> object = client.Get(name, {.map_buffers = false});
  if (object.ok()) return object->info();
  if (!object.status().Is(StatusCode::kTypeMismatch)) return object.status();
  VY_ASSIGN_OR_RETURN(const NameInfo blob, client.GetName(name));
  return Describe(client, blob.id);
}

struct GetArguments {
  std::string id;
  std::string name;
};

Status Get(Session& session, const GetArguments& arguments) {
  if (arguments.id.empty() == arguments.name.empty()) {
    return Status::Invalid("say which object: either its id, or --name NAME");
  }
  ObjectId id;
  if (arguments.name.empty()) {
    VY_ASSIGN_OR_RETURN(id, ParseId(arguments.id));
  }
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  VY_ASSIGN_OR_RETURN(const ObjectInfo info, arguments.name.empty()
                                                 ? Describe(client, id)
                                                 : Describe(client, arguments.name));
  if (session.wants_json()) {
    session.PrintJson(ObjectJson(info));
  } else {
    session.Print(ObjectText(info, UnixNow()));
  }
  return Status::OK();
}

struct RmOptions {
  std::vector<std::string> ids;
  bool force = false;
  bool shallow = false;
};

Result<std::vector<ObjectId>> ParseIds(const std::vector<std::string>& texts) {
  std::vector<ObjectId> ids;
  for (const std::string& text : texts) {
    VY_ASSIGN_OR_RETURN(const ObjectId id, ParseId(text));
    ids.push_back(id);
  }
  return ids;
}

Status Rm(Session& session, const RmOptions& options) {
  VY_ASSIGN_OR_RETURN(const std::vector<ObjectId> ids, ParseIds(options.ids));
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  VY_ASSIGN_OR_RETURN(const uint64_t deleted,
                      client.Delete(ids, {.deep = !options.shallow, .force = options.force}));
  if (session.wants_json()) {
    session.PrintJson({{"deleted", deleted}});
  } else {
    Session::Say(fmt::format("deleted {}", Count(deleted, "object")));
  }
  return Status::OK();
}

struct PlaceOptions {
  std::vector<std::string> ids;
};

Status Evict(Session& session, const PlaceOptions& options) {
  VY_ASSIGN_OR_RETURN(const std::vector<ObjectId> ids, ParseIds(options.ids));
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  VY_RETURN_IF_ERROR(client.Evict(ids));
  Session::Say(fmt::format("{} on the disk", Count(ids.size(), "object")));
  return Status::OK();
}

Status Load(Session& session, const PlaceOptions& options) {
  VY_ASSIGN_OR_RETURN(const std::vector<ObjectId> ids, ParseIds(options.ids));
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  VY_RETURN_IF_ERROR(client.Load(ids));
  Session::Say(fmt::format("{} in memory", Count(ids.size(), "object")));
  return Status::OK();
}

void AddLs(CLI::App& object, Session& session) {
  CLI::App& ls =
      AddCommand(object, {.name = "ls",
                          .description = "Lists objects, but not what is only a part of others.",
                          .json = R"({"objects": [OBJECT, ...], "more": false}, where OBJECT is what
  'vineyardctl object get' prints, and more tells that --limit cut the list)",
                          .example = R"(all arrays, and the sizes of what there is, in bytes
  vineyardctl object ls '*ndarray*' --limit 0
  vineyardctl object ls -o json | jq '.objects[] | {id, nbytes}')"});
  ls.alias("list");
  LsOptions& options = RunWhenChosen(ls, session, Ls);
  ls.add_option("PATTERN", options.pattern,
                "of type names: a glob with *, ? and [...]; all if left out");
  ls.add_flag("--regex", options.regex, "PATTERN is a regular expression (ECMAScript)");
  ls.add_option("--limit", options.limit, "at most so many, 0 for all; 100 by default")
      ->type_name("N");
  ls.add_flag("--parts", options.parts, "also members of other objects, and blobs");
}

void AddGet(CLI::App& object, Session& session) {
  CLI::App& get = AddCommand(
      object,
      {.name = "get",
       .description = "Shows an object.\n"
                      "Type, size, age, creator, labels, metadata, buffers and members.",
       .json = R"({"id", "type_name", "nbytes", "created", "created_unix_ns", "creator": {"pid",
  "uid", "pod", "program"}, "metadata": {...}, "labels": {KEY: VALUE}, "buffers": [{"blob",
  "offset", "length"}], "members": [{"key", "id"}]})",
       .example = R"(by id, and by the name that points to it
  vineyardctl object get o0000000000000001
  vineyardctl object get --name weights -o json | jq .metadata)"});
  GetArguments& arguments = RunWhenChosen(get, session, Get);
  get.add_option("ID", arguments.id, "as 'vineyardctl object ls' shows it");
  get.add_option("--name", arguments.name, "the object that this name points to")
      ->type_name("NAME");
}

void AddRm(CLI::App& object, Session& session) {
  CLI::App& rm = AddCommand(
      object, {.name = "rm",
               .description = "Deletes objects, their names, and what only they refer to.\n"
                              "With an unknown id among them nothing is deleted.",
               .json = R"({"deleted": 3}: how many objects went)",
               .example = R"(an object, and one that is a member of another together with that
  vineyardctl object rm o0000000000000001
  vineyardctl object rm --force o0000000000000002)"});
  rm.alias("delete");
  rm.alias("del");
  RmOptions& options = RunWhenChosen(rm, session, Rm);
  rm.add_option("ID", options.ids, "as 'vineyardctl object ls' shows it")->required();
  rm.add_flag("--force", options.force, "objects that these are members of go too");
  rm.add_flag("--shallow", options.shallow, "members stay, also where nothing else refers to them");
}

void RunWhenChosenWithIds(CLI::App& verb, Session& session,
                          Status (*action)(Session&, const PlaceOptions&)) {
  PlaceOptions& options = RunWhenChosen(verb, session, action);
  verb.add_option("ID", options.ids, "as 'vineyardctl object ls' shows it")->required();
}

void AddPlaces(CLI::App& object, Session& session) {
  CLI::App& evict = AddCommand(
      object,
      {.name = "evict",
       .description = "Moves objects from memory to the instance's disk now.\n"
                      "It does so by itself when memory is short. What is mapped, pinned or kept "
                      "by a name stays.",
       .json = {},
       .example = R"(make room before a large job
  vineyardctl object evict o0000000000000001 o0000000000000002)"});
  RunWhenChosenWithIds(evict, session, Evict);
  CLI::App& load =
      AddCommand(object, {.name = "load",
                          .description = "Brings objects back from the instance's disk to memory.\n"
                                         "A get does so by itself.",
                          .json = {},
                          .example = R"(before those who need it begin
  vineyardctl object load o0000000000000001)"});
  RunWhenChosenWithIds(load, session, Load);
}

}  // namespace

void AddObject(CLI::App& root, Session& session) {
  CLI::App& object = AddCommand(root, {.name = "object",
                                       .description = "Objects: immutable values, by id.",
                                       .json = {},
                                       .example = R"(find an object, and look at it
  vineyardctl object ls
  vineyardctl object get o0000000000000001)"});
  object.alias("objects");
  AddLs(object, session);
  AddGet(object, session);
  AddRm(object, session);
  AddPlaces(object, session);
}

}  // namespace vineyard::cli
