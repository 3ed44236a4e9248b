// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What verbs have in common, whatever their noun: help, being run, lists, and one thing after another.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/App.hpp>
#include <nlohmann/json.hpp>

#include "cli/session.h"
#include "cli/table.h"

namespace vineyard::cli {

/// A noun or a verb with its help: `json` says what `-o json` prints, and `example` how it is used.
struct CommandText {
  std::string_view name;
  std::string_view description;
  std::string_view json;  ///< Empty: prints no JSON.
  std::string_view example;
};
CLI::App& AddCommand(CLI::App& parent, const CommandText& text);

/// Makes `action` what the session does when the verb is chosen. Returns what the verb's options are
/// to fill in, which lives as long as the verb.
template <typename Options>
Options& RunWhenChosen(CLI::App& verb, Session& session,
                       Status (*action)(Session&, const Options&)) {
  auto options = std::make_shared<Options>();  // shared by the verb and the action it leaves
  verb.callback([&session, action, options] {
    session.action = [&session, action, options] { return action(session, *options); };
  });
  return *options;
}

/// How a list of one kind of thing is written.
template <typename Info>
struct ListForm {
  std::string_view things;  ///< "names": their key in the JSON, and what a remark calls them
  std::vector<Column> columns;
  nlohmann::json (*json)(const Info&);
  std::vector<std::string> (*cells)(const Info&);
};

/// Prints all of `found`. A JSON document has `rest` beside it.
template <typename Info>
void PrintList(Session& session, const ListForm<Info>& form, std::span<const Info> found,
               nlohmann::json rest = nlohmann::json::object()) {
  if (session.wants_json()) {
    nlohmann::json array = nlohmann::json::array();
    for (const Info& info : found) array.push_back(form.json(info));
    rest[std::string(form.things)] = std::move(array);
    session.PrintJson(rest);
  } else if (!found.empty()) {
    Table table(form.columns);
    for (const Info& info : found) table.AddRow(form.cells(info));
    session.Print(table.ToString());
  } else {
    Session::Say("no such " + std::string(form.things));
  }
}

/// How many to ask for, so that PrintListUpTo can tell whether there are more.
size_t OneMoreThan(size_t limit);
void SayThereAreMore(size_t limit);

/// Prints at most `limit` of `found`, and says where that cut the list.
template <typename Info>
void PrintListUpTo(Session& session, const ListForm<Info>& form, const std::vector<Info>& found,
                   size_t limit) {
  const bool more = found.size() > limit;
  PrintList(session, form, std::span(found).first(std::min(found.size(), limit)), {{"more", more}});
  if (more) SayThereAreMore(limit);
}

/// What was done, and the last failure; those before it have been said.
struct Done {
  std::vector<std::string> names;
  Status failure;
};
/// Does `act` to one after another. Goes on after one that is not there, ends at any other failure.
Done DoToEach(const std::vector<std::string>& names,
              const std::function<Status(const std::string&)>& act);

}  // namespace vineyard::cli
