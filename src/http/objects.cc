// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/objects.h"

#include <array>
#include <iterator>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "base/logging.h"
#include "http/answer.h"

namespace vineyard::http {

namespace {

// Steps from an object to a member, in all: a graph that is shared by many is not to be walked for ever.
constexpr size_t kMostSteps = 5'000'000;

// As indices into "states".
constexpr std::array<std::string_view, 5> kStates = {"memory", "disk", "mixed", "writing",
                                                     "lingering"};
constexpr size_t kInMemory = 0;

Result<VolumeContents> FetchVolume(const VolumeInfo& volume, size_t limit, Timeout patience) {
  VY_ASSIGN_OR_RETURN(Client client,
                      Client::Connect({.socket = volume.socket, .timeout = patience}));
  VolumeContents contents;
  contents.name = volume.name;
  VY_ASSIGN_OR_RETURN(contents.objects, client.List({.limit = limit, .include_parts = true}));
  VY_ASSIGN_OR_RETURN(contents.names, client.ListNames({.limit = kMostListed}));
  VY_ASSIGN_OR_RETURN(const InstanceStatus status, client.GetStatus());
  contents.has_spilled = status.spilled_bytes > 0;
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

using CreatorKey = std::tuple<uint32_t, uint32_t, std::string>;

// The parts of a volume's objects, and which are parts.
class Graph {
 public:
  Graph(const std::vector<ObjectInfo>& objects, size_t* steps) : steps_(steps) {
    by_id_.reserve(objects.size());
    for (const ObjectInfo& object : objects) {
      by_id_.emplace(object.id, &object);
      for (const Member& member : object.members) parts_.insert(member.id);
      for (const BufferRef& buffer : object.buffers) {
        if (buffer.blob != object.id) parts_.insert(buffer.blob);
      }
    }
  }

  [[nodiscard]] bool IsPart(ObjectId id) const { return parts_.contains(id); }

  /// With all that it is made of, each part once; nullopt where that has become too much to ask.
  std::optional<uint64_t> BytesWithParts(const ObjectInfo& object) {
    if (object.members.empty()) return object.nbytes;
    uint64_t bytes = 0;
    std::unordered_set<ObjectId> seen = {object.id};
    std::vector<const ObjectInfo*> left = {&object};
    while (!left.empty()) {
      const ObjectInfo* next = left.back();
      left.pop_back();
      bytes += next->nbytes;
      for (const Member& member : next->members) {
        if (++*steps_ > kMostSteps) return std::nullopt;
        const auto found = by_id_.find(member.id);
        if (found != by_id_.end() && seen.insert(member.id).second) left.push_back(found->second);
      }
    }
    return bytes;
  }

 private:
  std::unordered_map<ObjectId, const ObjectInfo*> by_id_;
  std::unordered_set<ObjectId> parts_;
  size_t* steps_;
};

class Columns {
 public:
  void Add(const VolumeContents& volume) {
    const size_t number = volumes_.NumberOf(volume.name);
    std::unordered_map<ObjectId, std::pair<const std::string*, size_t>> names;
    for (const NameInfo& name : volume.names) {
      auto& entry = names.try_emplace(name.id, &name.name, 0).first->second;
      ++entry.second;
    }
    Graph graph(volume.objects, &steps_);
    for (const ObjectInfo& object : volume.objects) {
      if (graph.IsPart(object.id)) continue;
      const auto name = names.find(object.id);
      const bool is_named = name != names.end();
      Put(&id_, fmt::format("\"{}\"", object.id.ToString()));
      Put(&volume_, number);
      Put(&type_, types_.NumberOf(object.type_name));
      const std::optional<uint64_t> bytes = graph.BytesWithParts(object);
      Put(&bytes_, bytes ? std::to_string(*bytes) : "null");
      Put(&created_, object.created_unix_ns / 1'000'000);
      Put(&creator_, CreatorOf(object));
      Put(&name_, is_named ? JsonString(*name->second.first) : "null");
      Put(&names_, is_named ? name->second.second : 0);
      // Where nothing is on the disk all is in memory; else the instance tells it of one object only.
      Put(&state_, volume.has_spilled ? "null" : std::to_string(kInMemory));
    }
  }

  [[nodiscard]] std::string Json(uint64_t version, int64_t unix_ms, bool more) const {
    std::string out =
        fmt::format("{{\"version\":{},\"time\":{},\"more\":{},", version, unix_ms, more);
    out += "\"volumes\":[" + Texts(volumes_.keys()) + "],\"types\":[" + Texts(types_.keys());
    out += "],\"creators\":[";
    for (size_t i = 0; i < creators_.keys().size(); ++i) {
      const auto& [pid, uid, pod] = creators_.keys()[i];
      fmt::format_to(std::back_inserter(out), "{}{{\"pid\":{},\"uid\":{},\"pod\":{}}}",
                     i == 0 ? "" : ",", pid, uid, JsonString(pod));
    }
    out += "],\"states\":[" + Texts(kStates) + "],\"rows\":{";
    const std::array columns = {std::pair("id", &id_),           std::pair("volume", &volume_),
                                std::pair("type", &type_),       std::pair("bytes", &bytes_),
                                std::pair("created", &created_), std::pair("creator", &creator_),
                                std::pair("name", &name_),       std::pair("names", &names_),
                                std::pair("state", &state_)};
    for (size_t i = 0; i < columns.size(); ++i) {
      fmt::format_to(std::back_inserter(out), "{}\"{}\":[{}]", i == 0 ? "" : ",", columns[i].first,
                     *columns[i].second);
    }
    return out + "}}";
  }

 private:
  template <typename T>
  static void Put(std::string* column, const T& value) {
    if (!column->empty()) *column += ',';
    fmt::format_to(std::back_inserter(*column), "{}", value);
  }

  template <typename List>
  static std::string Texts(const List& list) {
    std::string out;
    for (const auto& text : list) {
      if (!out.empty()) out += ',';
      out += JsonString(text);
    }
    return out;
  }

  int64_t CreatorOf(const ObjectInfo& object) {
    const Creator& creator = object.creator;
    if (creator.pid == 0 && creator.pod.empty()) return -1;
    return static_cast<int64_t>(creators_.NumberOf({creator.pid, creator.uid, creator.pod}));
  }

  size_t steps_ = 0;
  Dictionary<std::string> volumes_;
  Dictionary<std::string> types_;
  Dictionary<CreatorKey> creators_;
  std::string id_, volume_, type_, bytes_, created_, creator_, name_, names_, state_;
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
    left -= fetched->objects.size();
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
