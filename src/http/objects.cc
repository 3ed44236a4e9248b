// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/objects.h"

#include <algorithm>
#include <array>
#include <concepts>
#include <iterator>
#include <map>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/logging.h"
#include "http/answer.h"

namespace vineyard::http {

namespace {

// Steps from an object to a member, in all: a graph that is shared by many is not to be walked for ever.
constexpr uint64_t kMostSteps = 5'000'000;

// As indices into "states": what Survey::Where says, and what no object of a list is in.
constexpr std::array<std::string_view, 5> kStates = {"memory", "disk", "mixed", "writing",
                                                     "lingering"};
static_assert(static_cast<int>(Survey::Where::kBoth) == 2);

Result<VolumeContents> FetchVolume(const VolumeInfo& volume, size_t limit, Timeout patience) {
  VY_ASSIGN_OR_RETURN(Client client,
                      Client::Connect({.socket = volume.socket, .timeout = patience}));
  VolumeContents contents;
  contents.name = volume.name;
  VY_ASSIGN_OR_RETURN(contents.objects,
                      client.TakeSurvey({.limit = limit, .most_steps = kMostSteps}));
  VY_ASSIGN_OR_RETURN(contents.names, client.ListNames({.limit = kMostListed}));
  return contents;
}

// A column of texts that repeat: each once, and its number.
template <typename Key>
class Dictionary {
 public:
  size_t NumberOf(const Key& key) {
    const auto [found, is_new] = numbers_.try_emplace(key, keys_.size());
    if (is_new) keys_.push_back(key);
    return found->second;
  }
  [[nodiscard]] const std::vector<Key>& keys() const { return keys_; }

 private:
  std::map<Key, size_t> numbers_;
  std::vector<Key> keys_;
};

using CreatorKey = std::tuple<uint32_t, uint32_t, std::string, std::string>;

// The names that point to each object: one of them, and how many there are.
class NamesByObject {
 public:
  explicit NamesByObject(const std::vector<NameInfo>& names) {
    names_.reserve(names.size());
    for (const NameInfo& name : names) names_.push_back(&name);
    // Those of one object in the order in which they came.
    std::ranges::sort(names_, {}, [](const NameInfo* name) { return std::pair(name->id, name); });
  }
  [[nodiscard]] std::span<const NameInfo* const> Of(ObjectId id) const {
    return std::ranges::equal_range(names_, id, {}, &NameInfo::id);
  }

 private:
  std::vector<const NameInfo*> names_;
};

// Makes a column: values with commas between them.
class Column {
 public:
  void Add(std::string_view text) {
    if (!text_.empty()) text_ += ',';
    text_ += text;
  }
  void Add(std::integral auto number) { Add(std::string_view(fmt::format_int(number).c_str())); }
  void AddId(ObjectId id) {
    if (!text_.empty()) text_ += ',';
    text_ += '"';
    text_ += id.ToString();
    text_ += '"';
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class Columns {
 public:
  void Add(const VolumeContents& volume) {
    const size_t number = volumes_.NumberOf(volume.name);
    const Survey& survey = volume.objects;
    std::vector<size_t> types;
    for (const std::string& type : survey.types) types.push_back(types_.NumberOf(type));
    std::vector<int64_t> creators;
    for (const Creator& creator : survey.creators) creators.push_back(NumberOf(creator));
    const NamesByObject names(volume.names);
    for (const Survey::Object& object : survey.objects) {
      id_.AddId(object.id);
      volume_.Add(number);
      type_.Add(types[object.type]);
      object.bytes ? bytes_.Add(*object.bytes) : bytes_.Add("null");
      created_.Add(object.created_unix_ns / 1'000'000);
      creator_.Add(creators[object.creator]);
      const auto of_it = names.Of(object.id);
      name_.Add(of_it.empty() ? "null" : JsonString(of_it.front()->name));
      names_.Add(of_it.size());
      state_.Add(static_cast<int>(object.where));
    }
  }

  [[nodiscard]] std::string Json(uint64_t version, int64_t unix_ms, bool more) const {
    std::string out =
        fmt::format("{{\"version\":{},\"time\":{},\"more\":{},", version, unix_ms, more);
    out += "\"volumes\":[" + Texts(volumes_.keys()) + "],\"types\":[" + Texts(types_.keys());
    out += "],\"creators\":[";
    for (size_t i = 0; i < creators_.keys().size(); ++i) {
      const auto& [pid, uid, pod, program] = creators_.keys()[i];
      fmt::format_to(std::back_inserter(out),
                     "{}{{\"pid\":{},\"uid\":{},\"pod\":{},\"program\":{}}}", i == 0 ? "" : ",",
                     pid, uid, JsonString(pod), JsonString(program));
    }
    out += "],\"states\":[" + Texts(kStates) + "],\"rows\":{";
    const std::array columns = {std::pair("id", &id_),           std::pair("volume", &volume_),
                                std::pair("type", &type_),       std::pair("bytes", &bytes_),
                                std::pair("created", &created_), std::pair("creator", &creator_),
                                std::pair("name", &name_),       std::pair("names", &names_),
                                std::pair("state", &state_)};
    for (size_t i = 0; i < columns.size(); ++i) {
      fmt::format_to(std::back_inserter(out), "{}\"{}\":[{}]", i == 0 ? "" : ",", columns[i].first,
                     columns[i].second->text());
    }
    return out + "}}";
  }

 private:
  template <typename List>
  static std::string Texts(const List& list) {
    std::string out;
    for (const auto& text : list) {
      if (!out.empty()) out += ',';
      out += JsonString(text);
    }
    return out;
  }

  // -1: of a blob, of which nobody knows.
  int64_t NumberOf(const Creator& creator) {
    if (creator.pid == 0 && creator.pod.empty() && creator.program.empty()) return -1;
    return static_cast<int64_t>(
        creators_.NumberOf({creator.pid, creator.uid, creator.pod, creator.program}));
  }

  Dictionary<std::string> volumes_;
  Dictionary<std::string> types_;
  Dictionary<CreatorKey> creators_;
  Column id_, volume_, type_, bytes_, created_, creator_, name_, names_, state_;
};

}  // namespace

Contents FetchContents(const std::vector<VolumeInfo>& volumes, Timeout patience) {
  Contents contents;
  size_t left = kMostListed;
  for (const VolumeInfo& volume : volumes) {
    auto fetched = FetchVolume(volume, left, patience);
    if (!fetched.ok()) {  // gone meanwhile, or of a user who lets nobody else in
      log::Debug("cannot list a volume",
                 {{"volume", volume.name}, {"why", fetched.status().message()}});
      contents.more = true;
      continue;
    }
    left -= fetched->objects.looked_at;
    contents.more = contents.more || fetched->objects.more;
    contents.volumes.push_back(std::move(fetched).value());
    if (left == 0) {
      contents.more = true;
      break;
    }
  }
  return contents;
}

std::string ObjectsJson(const Contents& contents, uint64_t version, int64_t unix_ms) {
  Columns columns;
  for (const VolumeContents& volume : contents.volumes) columns.Add(volume);
  return columns.Json(version, unix_ms, contents.more);
}

}  // namespace vineyard::http
