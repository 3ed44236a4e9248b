// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/arguments.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <tuple>

#include <fmt/format.h>

#include "base/edit_distance.h"

namespace vineyard::cli {

namespace {

// Note [Sealed values]
// CLI11 sees more in a value than a value: "[a,b]" is a list to it, "-x" an option, "" nothing, and
// "--" ends one command's arguments and not another's. Names of objects may be all of these. So each
// value is handed over with this character before it, which means nothing to CLI11, and a transform
// on each option takes it off again.
constexpr char kSeal = '=';

std::string Seal(std::string_view value) { return kSeal + std::string(value); }

std::string Hint(std::string_view word, const std::vector<std::string>& known) {
  const std::vector<std::string_view> views(known.begin(), known.end());
  const std::optional<std::string_view> nearest = NearestWord(word, views);
  return nearest ? fmt::format("; did you mean '{}'?", *nearest) : "";
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    text += i == 0 ? "" : i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

std::vector<std::string> NamesOf(const std::vector<const CLI::App*>& apps) {
  std::vector<std::string> names;
  for (const CLI::App* app : apps) names.push_back(app->get_name());
  return names;
}

class Walk {
 public:
  Walk(const CLI::App& root, std::span<const std::string> args)
      : root_(root), args_(args), path_{&root} {}

  Result<Arguments> Run() {
    while (next_ < args_.size() && result_.kind == Arguments::Kind::kRun) {
      const std::string& arg = args_[next_++];
      if (arg == "--") {
        while (next_ < args_.size()) VY_RETURN_IF_ERROR(AddPositional(args_[next_++]));
      } else if (arg.starts_with("--")) {
        VY_RETURN_IF_ERROR(AddLong(arg));
      } else if (arg.size() > 1 && arg[0] == '-') {
        VY_RETURN_IF_ERROR(AddShort(arg));
      } else {
        VY_RETURN_IF_ERROR(AddWord(arg));
      }
    }
    result_.app = path_.back();
    if (result_.kind != Arguments::Kind::kRun) return std::move(result_);
    VY_RETURN_IF_ERROR(CheckComplete());
    for (const CLI::App* app : path_) {
      if (app != &root_) result_.sealed.push_back(app->get_name());
      for (std::string& arg : given_[app]) result_.sealed.push_back(std::move(arg));
    }
    std::ranges::reverse(result_.sealed);
    return std::move(result_);
  }

 private:
  [[nodiscard]] std::string SeeHelp() const {
    return fmt::format("; see '{} --help'", PathOf(*path_.back()));
  }

  Status Unknown(std::string_view what, const std::string& word,
                 const std::vector<std::string>& known) const {
    std::string hint = Hint(word, known);
    if (hint.empty()) {
      hint = SeeHelp();
      if (word.starts_with('-') && !PositionalsOf(*path_.back()).empty()) {
        hint += "; an argument that begins with a dash goes behind --";
      }
    }
    return Status::Invalid(fmt::format("unknown {} '{}'{}", what, word, hint));
  }

  Status AddLong(const std::string& arg) {
    const size_t equals = arg.find('=');
    const std::string name = arg.substr(2, equals == std::string::npos ? equals : equals - 2);
    std::vector<std::string> known;
    for (const CLI::App* app : path_) {
      for (const CLI::Option* option : app->get_options()) {
        if (option->check_lname(name)) {
          const bool inline_value = equals != std::string::npos;
          return AddOption(*app, *option, "--" + name,
                           inline_value ? std::optional(arg.substr(equals + 1)) : std::nullopt);
        }
        for (const std::string& other : option->get_lnames()) known.push_back("--" + other);
      }
    }
    return Unknown("flag", "--" + name, known);
  }

  // "-o json" and "-ojson"; switches may be written together.
  Status AddShort(const std::string& arg) {
    for (size_t i = 1; i < arg.size(); ++i) {
      const std::string name(1, arg[i]);
      const CLI::App* owner = nullptr;
      const CLI::Option* found = nullptr;
      for (const CLI::App* app : path_) {
        for (const CLI::Option* option : app->get_options()) {
          if (option->check_sname(name)) std::tie(owner, found) = std::pair(app, option);
        }
      }
      if (found == nullptr) return Unknown("flag", "-" + name, {});
      std::optional<std::string> value;
      if (TakesValue(*found) && i + 1 < arg.size()) value = arg.substr(i + 1);
      VY_RETURN_IF_ERROR(AddOption(*owner, *found, "-" + name, value));
      if (value || result_.kind != Arguments::Kind::kRun) break;
    }
    return Status::OK();
  }

  Status AddOption(const CLI::App& owner, const CLI::Option& option, const std::string& name,
                   std::optional<std::string> value) {
    if (value && !TakesValue(option)) {
      return Status::Invalid(fmt::format("{} takes no value, and was given '{}'", name, *value));
    }
    if (&option == owner.get_help_ptr()) {
      result_.kind = Arguments::Kind::kHelp;
    } else if (&option == owner.get_version_ptr()) {
      result_.kind = Arguments::Kind::kVersion;
    } else if (!TakesValue(option)) {
      given_[&owner].push_back("--" + option.get_lnames().front());
    } else {
      if (!value && next_ == args_.size()) {
        return Status::Invalid(fmt::format("{0} needs a value: {0} {1}", name, TypeOf(option)));
      }
      if (!value) value = args_[next_++];
      VY_RETURN_IF_ERROR(CheckChoice(option, name, *value));
      given_[&owner].push_back(fmt::format("--{}={}", option.get_lnames().front(), Seal(*value)));
    }
    return Status::OK();
  }

  // A noun, a verb, or an argument.
  Status AddWord(const std::string& word) {
    const std::vector<const CLI::App*> children = ChildrenOf(*path_.back());
    if (children.empty()) return AddPositional(word);
    for (const CLI::App* child : children) {
      if (child->check_name(word)) {
        path_.push_back(child);
        return Status::OK();
      }
    }
    if (path_.size() > 1) return Unknown("verb", word, NamesOf(children));
    std::vector<std::string> nouns;
    for (const CLI::App* noun : children) {
      for (const CLI::App* verb : ChildrenOf(*noun)) {
        if (verb->check_name(word)) nouns.push_back(noun->get_name() + " " + verb->get_name());
      }
    }
    if (nouns.empty()) return Unknown("command", word, NamesOf(children));
    return Status::Invalid(fmt::format("'{}' of what? say {}", word, Joined(nouns)));
  }

  Status AddPositional(const std::string& value) {
    const CLI::App& app = *path_.back();
    const std::vector<const CLI::Option*> slots = PositionalsOf(app);
    if (!ChildrenOf(app).empty() || positionals_ >= Capacity(slots)) {
      return Status::Invalid(fmt::format("unexpected argument '{}'{}", value, SeeHelp()));
    }
    const CLI::Option& slot = *slots[std::min(positionals_, slots.size() - 1)];
    VY_RETURN_IF_ERROR(CheckChoice(slot, slot.get_name(true), value));
    ++positionals_;
    given_[&app].push_back(Seal(value));
    return Status::OK();
  }

  static size_t Capacity(const std::vector<const CLI::Option*>& slots) {
    const bool endless = std::ranges::any_of(
        slots, [](const CLI::Option* slot) { return slot->get_expected_max() > 1; });
    return endless ? std::numeric_limits<size_t>::max() : slots.size();
  }

  static Status CheckChoice(const CLI::Option& option, const std::string& name,
                            const std::string& value) {
    const std::vector<std::string> choices = Choices(option);
    if (choices.empty() || std::ranges::find(choices, value) != choices.end()) return Status::OK();
    return Status::Invalid(fmt::format("{}: '{}' is none of {}{}", name, value, Joined(choices),
                                       Hint(value, choices)));
  }

  static std::string TypeOf(const CLI::Option& option) {
    return option.get_type_name().empty() ? "VALUE" : option.get_type_name();
  }

  [[nodiscard]] Status CheckComplete() const {
    const CLI::App& app = *path_.back();
    if (const auto children = ChildrenOf(app); !children.empty()) {
      return Status::Invalid(
          fmt::format("{} what? say {}{}", app.get_name(), Joined(NamesOf(children)), SeeHelp()));
    }
    const std::vector<const CLI::Option*> slots = PositionalsOf(app);
    if (positionals_ < slots.size() && slots[positionals_]->get_required()) {
      return Status::Invalid(
          fmt::format("{} is missing{}", slots[positionals_]->get_name(true), SeeHelp()));
    }
    return Status::OK();
  }

  const CLI::App& root_;
  std::span<const std::string> args_;
  size_t next_ = 0;
  std::vector<const CLI::App*> path_;
  std::map<const CLI::App*, std::vector<std::string>> given_;
  size_t positionals_ = 0;
  Arguments result_;
};

}  // namespace

Result<Arguments> ReadArguments(const CLI::App& root, const std::vector<std::string>& args) {
  return Walk(root, args).Run();
}

void ExpectSealed(CLI::App& app) {
  for (CLI::Option* option : app.get_options([](CLI::Option*) { return true; })) {
    if (!TakesValue(*option)) continue;
    option->transform([](const std::string& sealed) { return sealed.substr(1); });
    if (option->get_expected_max() == 1) {
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
  }
  for (CLI::App* child : app.get_subcommands([](CLI::App*) { return true; })) ExpectSealed(*child);
}

std::string PathOf(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return parent == nullptr ? app.get_name() : PathOf(*parent) + " " + app.get_name();
}

std::vector<std::string> Choices(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (type.find('|') == std::string::npos) return {};
  std::vector<std::string> choices;
  for (size_t begin = 0; begin <= type.size();) {
    const size_t end = std::min(type.find('|', begin), type.size());
    choices.push_back(type.substr(begin, end - begin));
    begin = end + 1;
  }
  return choices;
}

std::vector<const CLI::Option*> OptionsOf(const CLI::App& app) {
  return app.get_options([&](const CLI::Option* option) {
    return option->nonpositional() && option != app.get_help_ptr();
  });
}

std::vector<const CLI::Option*> PositionalsOf(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

std::vector<const CLI::App*> ChildrenOf(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

bool TakesValue(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

}  // namespace vineyard::cli
