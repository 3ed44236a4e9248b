// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "types/tree.h"

#include <algorithm>

namespace vineyard::types {

namespace {

/// A tree whose text is longer is stored as a buffer; the metadata only names it.
constexpr size_t kMaxMetadata = 16 * 1024;

Result<Json> Parse(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Damaged("its metadata is no JSON");
  if (!json.is_object()) return Damaged("its metadata is no JSON object");
  return json;
}

// Whether a node was written by a release that we understand; `key` names its version.
Status CheckVersion(const Json& node, const char* key, int64_t newest, std::string_view of) {
  const Json* version = Find(node, key);
  if (version == nullptr || !version->is_number_integer() || *version < 1) {
    return Damaged("{} has the version {}", of, version ? ShortJson(*version) : "none");
  }
  if (*version > newest) {
    return Newer(fmt::format("{} is of version {}; this release reads up to {}", of,
                             ShortJson(*version), newest));
  }
  return {};
}

}  // namespace

Status Newer(std::string_view what) {
  return Status::NotSupported(fmt::format("{}: a newer release of vineyard may know it", what));
}

std::string Short(std::string_view text) {
  std::string shown(text.substr(0, 40));
  // Cut between characters: messages are text.
  while (text.size() > 40 && !shown.empty() && (shown.back() & 0x80) != 0) shown.pop_back();
  return shown.size() < text.size() ? shown + "..." : shown;
}

std::string ShortJson(const Json& value) {
  if (value.is_string()) return fmt::format("'{}'", Short(value.get_ref<const std::string&>()));
  if (value.is_object()) return "a JSON object";
  if (value.is_array()) return "a JSON array";
  return value.dump();
}

const Json* Find(const Json& node, const char* key) {
  if (!node.is_object()) return nullptr;
  const auto it = node.find(key);
  return it == node.end() ? nullptr : &*it;
}

namespace {

Result<int64_t> IntOf(const Json* value, const char* key, int64_t low, int64_t high) {
  if (value == nullptr || !value->is_number_integer()) {
    return Damaged("'{}' is {}, and no integer", key, value ? ShortJson(*value) : "missing");
  }
  const bool huge = value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX;
  const int64_t number = huge ? INT64_MAX : value->get<int64_t>();
  if (huge || number < low || number > high) {
    return Damaged("'{}' is out of range: {}", key, ShortJson(*value));
  }
  return number;
}

}  // namespace

Result<int64_t> NeedInt(const Json& node, const char* key, int64_t low, int64_t high) {
  return IntOf(Find(node, key), key, low, high);
}

Result<std::string> NeedText(const Json& node, const char* key) {
  const Json* value = Find(node, key);
  if (value == nullptr || !value->is_string()) {
    return Damaged("'{}' is {}, and no text", key, value ? ShortJson(*value) : "missing");
  }
  return value->get<std::string>();
}

Result<const Json*> NeedList(const Json& node, const char* key) {
  const Json* value = Find(node, key);
  if (value == nullptr || !value->is_array()) {
    return Damaged("'{}' is {}, and no JSON array", key, value ? ShortJson(*value) : "missing");
  }
  return value;
}

Result<std::vector<int64_t>> NeedInts(const Json& node, const char* key, int64_t low,
                                      int64_t high) {
  VY_ASSIGN_OR_RETURN(const Json* list, NeedList(node, key));
  std::vector<int64_t> numbers;
  for (const Json& item : *list) {
    VY_ASSIGN_OR_RETURN(numbers.emplace_back(), IntOf(&item, key, low, high));
  }
  return numbers;
}

Result<bool> FlagOf(const Json& node, const char* key) {
  const Json* value = Find(node, key);
  if (value == nullptr) return false;
  if (!value->is_boolean()) return Damaged("'{}' is {}, and no boolean", key, ShortJson(*value));
  return value->get<bool>();
}

// ---- reading

Result<Tree> Tree::Of(const Object& object) {
  VY_ASSIGN_OR_RETURN(Json root, Parse(object.metadata()));
  if (Find(root, "codec") == nullptr) {
    return Status::TypeMismatch(
        fmt::format("the object of type '{}' holds no single value: it was "
                    "composed of blobs and members",
                    Short(object.type_name())));
  }
  VY_RETURN_IF_ERROR(CheckVersion(root, "version", kTreeVersion, "the layout"));
  if (CodecOf(root) == "tree") {
    const Tree outer(&object, std::make_shared<const Json>(std::move(root)));
    VY_ASSIGN_OR_RETURN(const Buffer text, outer.BufferAt(Find(outer.root(), "buffer")));
    const auto* chars = reinterpret_cast<const char*>(text.data());
    VY_ASSIGN_OR_RETURN(root, Parse({chars, text.size()}));
    VY_RETURN_IF_ERROR(CheckVersion(root, "version", kTreeVersion, "the layout"));
    if (CodecOf(root) == "tree") return Damaged("a tree leads to a tree");
  }
  if (CodecOf(root).empty()) return Damaged("its codec is no text");
  Tree tree(&object, std::make_shared<const Json>(std::move(root)));
  VY_RETURN_IF_ERROR(tree.Follow(tree.root()).status());
  return tree;
}

std::string Tree::CodecOf(const Json& node) {
  const Json* codec = Find(node, "codec");
  return codec != nullptr && codec->is_string() ? codec->get<std::string>() : "";
}

Result<const Json*> Tree::Follow(const Json& node) const {
  const Json* found = &node;
  if (CodecOf(node) == "ref") {
    if (!shared_nodes_) {
      shared_nodes_.emplace();
      std::vector<const Json*> todo{root_.get()};
      while (!todo.empty()) {
        const Json& next = *todo.back();
        todo.pop_back();
        const Json* id = Find(next, "id");
        if (id != nullptr && id->is_number_integer() && CodecOf(next) != "ref") {
          shared_nodes_->emplace(id->get<int64_t>(), &next);
        }
        if (next.is_structured()) {
          for (const Json& part : next) todo.push_back(&part);
        }
      }
    }
    VY_ASSIGN_OR_RETURN(const int64_t id, NeedInt(node, "id", 0, INT64_MAX));
    const auto it = shared_nodes_->find(id);
    if (it == shared_nodes_->end()) return Damaged("refers to value {}, which is not there", id);
    found = it->second;
  }
  // No codec that is read here has a second version.
  if (Find(*found, "v") != nullptr) {
    VY_RETURN_IF_ERROR(
        CheckVersion(*found, "v", 1, fmt::format("codec '{}'", Short(CodecOf(*found)))));
  }
  return found;
}

Result<Buffer> Tree::BufferAt(const Json* index) const {
  VY_ASSIGN_OR_RETURN(const Blob* blob, BlobAt(index));
  return Buffer(*blob);
}

Result<const Blob*> Tree::BlobAt(const Json* index) const {
  const std::vector<Blob>& buffers = object_->buffers();
  if (index == nullptr || !index->is_number_integer() || *index < 0 || *index >= buffers.size()) {
    return Damaged("names buffer {}, and has {}", index ? ShortJson(*index) : "none",
                   buffers.size());
  }
  return &buffers[index->get<size_t>()];
}

std::string Tree::Description() const {
  return fmt::format("the object of type '{}' (codec '{}')", Short(object_->type_name()),
                     Short(codec()));
}

// ---- writing

NewJson TreeWriter::Add(const Buffer& buffer) {
  return buffer.empty() ? NewJson(nullptr) : AddAlways(buffer);
}

NewJson TreeWriter::AddAlways(const Buffer& buffer) {
  const auto [it, is_new] = seen_.emplace(std::pair(buffer.data(), buffer.size()), buffers_.size());
  if (is_new) buffers_.push_back(buffer);
  return it->second;
}

TreeWriter::Text TreeWriter::TextOf(const NewJson& root) const {
  const auto text_of = [](const NewJson& json) {
    return json.dump(-1, ' ', /*ensure_ascii=*/true, NewJson::error_handler_t::replace);
  };
  NewJson whole = {{"codec", root["codec"]}, {"version", kTreeVersion}};
  whole.update(root);
  std::string text = text_of(whole);
  if (text.size() <= kMaxMetadata) return {std::move(text)};
  return {text_of({{"codec", "tree"},
                   {"version", kTreeVersion},
                   {"of_", root["codec"]},
                   {"buffer", buffers_.size()}}),
          std::move(text)};
}

Result<ObjectId> TreeWriter::Put(Client& client, const std::string& type_name, const NewJson& root,
                                 const PutOptions& options) {
  const Text text = TextOf(root);
  const auto put = [&](const std::set<ObjectId>& shared) {
    ObjectBuilder builder(type_name);
    for (const Buffer& buffer : buffers_) {
      if (buffer.referred || (buffer.stored && shared.contains(buffer.stored->id()))) {
        builder.AddBuffer(*buffer.stored);
      } else {
        builder.AddBuffer(buffer.bytes);
      }
    }
    if (text.buffer) builder.AddBuffer(std::as_bytes(std::span(*text.buffer)));
    builder.SetMetadata(text.metadata);
    return client.Put(builder, options);
  };
  const std::set<ObjectId> shared = BlobsToShare(client, options.timeout);
  Result<ObjectId> id = put(shared);
  // A blob was deleted meanwhile; here its bytes are still mapped.
  if (!shared.empty() && !id.ok() && id.status().Is(StatusCode::kNotFound)) return put({});
  return id;
}

std::set<ObjectId> TreeWriter::BlobsToShare(Client& client, std::optional<Timeout> timeout) const {
  std::map<ObjectId, uint64_t> used;
  for (const Buffer& buffer : buffers_) {
    if (buffer.stored && buffer.stored->zero_copy() && !buffer.referred)
      used[buffer.stored->id()] += buffer.size();
  }
  std::set<ObjectId> shared;
  for (const auto& [id, bytes] : used) {
    const Result<Blob> whole = client.GetBlob(id, {.timeout = timeout});
    if (!whole.ok() || bytes < whole->size() / 2) continue;
    // An id means something else in another volume: the proof is this client's mapping of the blob.
    const bool same = std::ranges::all_of(buffers_, [&](const Buffer& buffer) {
      return !buffer.stored || buffer.stored->id() != id ||
             buffer.data() == whole->data() + buffer.stored->offset();
    });
    if (same) shared.insert(id);
  }
  return shared;
}

}  // namespace vineyard::types
