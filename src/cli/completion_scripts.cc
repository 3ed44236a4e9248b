// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/completion_scripts.h"

#include <iterator>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/completion_places.h"

namespace vineyard::cli {

namespace {

std::string Quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// In fish a backslash keeps its meaning between single quotes.
std::string FishQuoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

// The patterns of a `case` on "path:word": the root's options stand everywhere.
std::vector<std::string> Patterns(const Place& place, const Entry& entry) {
  std::vector<std::string> patterns;
  const bool everywhere = place.path.empty() && entry.names[0].starts_with('-');
  for (const std::string& name : entry.names) {
    patterns.push_back(everywhere ? "*" + Quoted(":" + name) : Quoted(place.path + ":" + name));
  }
  return patterns;
}

// The branches that bash and zsh have in common: how a word changes where we are.
std::string WalkBranches(const std::vector<Place>& places) {
  std::string text;
  const auto out = std::back_inserter(text);
  for (const Place& place : places) {
    for (const Entry& child : place.children) {
      fmt::format_to(out, "      {}) at={} ;;\n", fmt::join(Patterns(place, child), " | "),
                     Quoted(place.path + (place.path.empty() ? "" : " ") + child.names[0]));
    }
    for (const Entry& option : place.options) {
      if (option.value == Value::kNone) continue;
      fmt::format_to(out, "      {}) skip=1 ;;\n", fmt::join(Patterns(place, option), " | "));
    }
  }
  return text;
}

// The branches for the value of an option; `offer` says how words, files and folders are offered.
template <typename Offer>
std::string ValueBranches(const std::vector<Place>& places, const Offer& offer) {
  std::string text;
  for (const Place& place : places) {
    for (const Entry& option : place.options) {
      if (option.value == Value::kNone) continue;
      fmt::format_to(std::back_inserter(text), "    {}) {}return ;;\n",
                     fmt::join(Patterns(place, option), " | "), offer(option));
    }
  }
  return text;
}

std::string OfferInBash(const Entry& option) {
  switch (option.value) {
    case Value::kWords:
      return fmt::format("mapfile -t COMPREPLY < <(compgen -W {} -- \"$cur\"); ",
                         Quoted(fmt::format("{}", fmt::join(option.words, " "))));
    case Value::kFile:
      return "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); ";
    case Value::kFolder:
      return "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); ";
    case Value::kNone:
    case Value::kOther: break;
  }
  return "";
}

std::string OfferInZsh(const Entry& option) {
  switch (option.value) {
    case Value::kWords: return fmt::format("compadd -- {}; ", fmt::join(option.words, " "));
    case Value::kFile: return "_files; ";
    case Value::kFolder: return "_files -/; ";
    case Value::kNone:
    case Value::kOther: break;
  }
  return "";
}

std::string DescribedInZsh(const std::vector<Entry>& entries) {
  std::string text;
  for (const Entry& entry : entries) {
    if (!text.empty()) text += ' ';
    text += Quoted(entry.names[0] + (entry.description.empty() ? "" : ":" + entry.description));
  }
  return text;
}

std::string FishOption(const Place& place, const Entry& option) {
  std::string line = "complete -c vineyardctl";
  if (!place.path.empty()) line += " -n " + FishQuoted("__vineyardctl_at " + place.path);
  for (const std::string& name : option.names) {
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  switch (option.value) {
    case Value::kNone: break;
    case Value::kWords:
      line += " -x -a " + FishQuoted(fmt::format("{}", fmt::join(option.words, " ")));
      break;
    case Value::kFile: line += " -r -F"; break;
    case Value::kFolder: line += " -x -a '(__fish_complete_directories)'"; break;
    case Value::kOther: line += " -x"; break;
  }
  return line + " -d " + FishQuoted(option.description) + "\n";
}

}  // namespace

std::string BashCompletion(const CLI::App& root) {
  const std::vector<Place> places = PlacesOf(root);
  std::string offers;
  const auto out = std::back_inserter(offers);
  for (const Place& place : places) {
    std::vector<std::string> words = place.words;
    for (const Entry& child : place.children) words.push_back(child.names[0]);
    std::vector<std::string> flags;
    for (const Entry& option : place.options) flags.push_back(option.names[0]);
    fmt::format_to(out, "    {}) words={} flags={} ;;\n", Quoted(place.path),
                   Quoted(fmt::format("{}", fmt::join(words, " "))),
                   Quoted(fmt::format("{}", fmt::join(flags, " "))));
  }
  std::vector<std::string> everywhere;
  for (const Entry& option : places[0].options) everywhere.push_back(option.names[0]);
  return fmt::format(R"(# Completes vineyardctl in bash. To have it always:
#   vineyardctl completion bash > ~/.local/share/bash-completion/completions/vineyardctl
_vineyardctl() {{
  local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD - 1]}}"
  local at='' skip='' word words='' flags='' i
  COMPREPLY=()
  # bash takes "--output=json" for three words
  if [[ $cur == '=' ]]; then
    cur=''
  elif [[ $prev == '=' ]] && ((COMP_CWORD > 1)); then
    prev="${{COMP_WORDS[COMP_CWORD - 2]}}"
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    [[ $word == '=' ]] && continue
    if [[ -n $skip ]]; then
      skip=''
      continue
    fi
    case "$at:$word" in
{}    esac
  done
  case "$at:$prev" in
{}  esac
  case "$at" in
{}  esac
  if [[ $cur == -* ]]; then
    words="$flags {}"
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}}
complete -F _vineyardctl vineyardctl
)",
                     WalkBranches(places), ValueBranches(places, OfferInBash), offers,
                     fmt::join(everywhere, " "));
}

std::string ZshCompletion(const CLI::App& root) {
  const std::vector<Place> places = PlacesOf(root);
  std::string offers;
  for (const Place& place : places) {
    std::vector<Entry> words = place.children;
    for (const std::string& word : place.words) words.push_back({.names = {word}});
    fmt::format_to(std::back_inserter(offers), "    {}) offered=({}) flags=({}) ;;\n",
                   Quoted(place.path), DescribedInZsh(words),
                   place.path.empty() ? "" : DescribedInZsh(place.options));
  }
  return fmt::format(R"(#compdef vineyardctl
# Completes vineyardctl in zsh. To have it always, in a folder of $fpath:
#   vineyardctl completion zsh > _vineyardctl
_vineyardctl() {{
  local at='' skip='' word i
  local -a offered flags everywhere
  for ((i = 2; i < CURRENT; i++)); do
    word="${{words[i]}}"
    if [[ -n $skip ]]; then
      skip=''
      continue
    fi
    case "$at:$word" in
{}    esac
  done
  case "$at:${{words[CURRENT - 1]}}" in
{}  esac
  case "$at" in
{}  esac
  everywhere=({})
  if [[ ${{words[CURRENT]}} == -* ]]; then
    _describe -o option flags -- everywhere
  elif ((${{#offered}})); then
    _describe word offered
  fi
}}
if [[ ${{funcstack[1]}} == _vineyardctl ]]; then
  _vineyardctl "$@"
else
  compdef _vineyardctl vineyardctl
fi
)",
                     WalkBranches(places), ValueBranches(places, OfferInZsh), offers,
                     DescribedInZsh(places[0].options));
}

std::string FishCompletion(const CLI::App& root) {
  const std::vector<Place> places = PlacesOf(root);
  std::string walk;
  std::string offers;
  for (const Place& place : places) {
    const auto add_case = [&](const Entry& entry, const std::string& command) {
      const bool everywhere = place.path.empty() && entry.names[0].starts_with('-');
      walk += "      case";
      for (const std::string& name : entry.names) {
        walk += " " + FishQuoted((everywhere ? "*" : place.path) + ":" + name);
      }
      walk += "\n        " + command + "\n";
    };
    const std::string condition = FishQuoted("__vineyardctl_at " + place.path);
    for (const Entry& child : place.children) {
      const std::string to = place.path + (place.path.empty() ? "" : " ") + child.names[0];
      add_case(child, "set at " + FishQuoted(to));
      offers += fmt::format("complete -c vineyardctl -n {} -a {} -d {}\n", condition,
                            child.names[0], FishQuoted(child.description));
    }
    for (const std::string& word : place.words) {
      offers += fmt::format("complete -c vineyardctl -n {} -a {}\n", condition, word);
    }
    for (const Entry& option : place.options) {
      if (option.value != Value::kNone) add_case(option, "set skip 1");
      offers += FishOption(place, option);
    }
  }
  return fmt::format(R"(# Completes vineyardctl in fish. To have it always:
#   vineyardctl completion fish > ~/.config/fish/completions/vineyardctl.fish
function __vineyardctl_at
  set -l at ''
  set -l skip 0
  for word in (commandline -opc)[2..-1]
    if test $skip -eq 1
      set skip 0
      continue
    end
    switch "$at:$word"
{}    end
  end
  test "$at" = "$argv"
end
complete -c vineyardctl -f
{})",
                     walk, offers);
}

}  // namespace vineyard::cli
