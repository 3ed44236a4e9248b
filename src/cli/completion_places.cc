// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/completion_places.h"

#include "cli/arguments.h"

namespace vineyard::cli {

namespace {

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

Entry EntryOf(const CLI::Option& option) {
  Entry entry;
  for (const std::string& name : option.get_lnames()) entry.names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) entry.names.push_back("-" + name);
  entry.description = FirstLine(option.get_description());
  entry.words = Choices(option);
  const std::string type = option.get_type_name();
  entry.value = !TakesValue(option)    ? Value::kNone
                : !entry.words.empty() ? Value::kWords
                : type == "PATH"       ? Value::kFile
                : type == "DIR"        ? Value::kFolder
                                       : Value::kOther;
  return entry;
}

void AddPlaces(const CLI::App& app, const std::string& path, std::vector<Place>& places) {
  Place place;
  place.path = path;
  for (const CLI::App* child : ChildrenOf(app)) {
    Entry entry{.names = {child->get_name()}, .description = FirstLine(child->get_description())};
    for (const std::string& alias : child->get_aliases()) entry.names.push_back(alias);
    place.children.push_back(std::move(entry));
  }
  for (const CLI::Option* option : OptionsOf(app)) place.options.push_back(EntryOf(*option));
  if (path.empty()) {
    place.options.push_back({.names = {"--help", "-h"}, .description = "explain the command"});
  }
  for (const CLI::Option* option : PositionalsOf(app)) {
    for (std::string& word : Choices(*option)) place.words.push_back(std::move(word));
  }
  places.push_back(std::move(place));
  for (const CLI::App* child : ChildrenOf(app)) {
    AddPlaces(*child, path.empty() ? child->get_name() : path + " " + child->get_name(), places);
  }
}

}  // namespace

std::vector<Place> PlacesOf(const CLI::App& root) {
  std::vector<Place> places;
  AddPlaces(root, "", places);
  return places;
}

}  // namespace vineyard::cli
