// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The tree of JSON nodes that a stored value is (docs/formats/values.md): read with every key checked,
// and written. Nobody has checked what is read.
//
// A Tree refers to the Object it was made of, which must outlive it; its nodes live as long as it does.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "types/arrow_data.h"
#include "vineyard/client.h"
#include "vineyard/object.h"
#include "vineyard/status.h"

namespace vineyard::types {

using Json = nlohmann::json;
/// Keeps keys in the order in which they were added.
using NewJson = nlohmann::ordered_json;

/// The newest layout of trees that we read, and the one that we write.
inline constexpr int64_t kTreeVersion = 1;
/// Types and arrays nested deeper than this are refused, however they come.
inline constexpr int kMaxDepth = 128;
/// The longest array.
inline constexpr int64_t kMaxLength = int64_t{1} << 62;

/// What contradicts itself.
template <typename... Args>
Status Damaged(fmt::format_string<Args...> format, Args&&... args) {
  return Status::Corrupted("the stored value is damaged: " +
                           fmt::format(format, std::forward<Args>(args)...));
}
/// What only a newer release can have written.
Status Newer(std::string_view what);
/// A value from outside as it may stand in a message: shortened.
std::string ShortJson(const Json& value);
std::string Short(std::string_view text);

// ---- checked access to a node's keys

/// `node[key]`, or null when there is none.
const Json* Find(const Json& node, const char* key);
Result<int64_t> NeedInt(const Json& node, const char* key, int64_t low, int64_t high);
Result<std::string> NeedText(const Json& node, const char* key);
Result<const Json*> NeedList(const Json& node, const char* key);
Result<std::vector<int64_t>> NeedInts(const Json& node, const char* key, int64_t low, int64_t high);
/// False where the key is absent.
Result<bool> FlagOf(const Json& node, const char* key);

class Tree {
 public:
  /// kTypeMismatch when the object holds no tree: it was put as a blob, or composed of members.
  static Result<Tree> Of(const Object& object);

  [[nodiscard]] const Json& root() const { return *root_; }
  [[nodiscard]] std::string codec() const { return CodecOf(*root_); }
  /// Of a node that Follow gave; empty when it has none.
  static std::string CodecOf(const Json& node);
  /// The node itself, or the one it refers to, which is of a version that we know.
  [[nodiscard]] Result<const Json*> Follow(const Json& node) const;
  /// The buffer that an index names.
  [[nodiscard]] Result<Buffer> BufferAt(const Json* index) const;
  [[nodiscard]] Result<const Blob*> BlobAt(const Json* index) const;
  /// "an object 'vineyard::Sequence' of codec 'list'", for messages.
  [[nodiscard]] std::string Description() const;

 private:
  Tree(const Object* object, std::shared_ptr<const Json> root)
      : object_(object), root_(std::move(root)) {}
  const Object* object_;
  std::shared_ptr<const Json> root_;  // so that a Tree may move
  mutable std::optional<std::map<int64_t, const Json*>>
      shared_nodes_{};  // found when first asked for
};

/// Collects what a value is to be stored as, and stores it.
class TreeWriter {
 public:
  /// The index of a buffer, null where it is empty; one met before is stored once.
  NewJson Add(const Buffer& buffer);
  /// The same, but also an empty one has an index.
  NewJson AddAlways(const Buffer& buffer);
  [[nodiscard]] const std::vector<Buffer>& buffers() const { return buffers_; }
  /// The metadata of a value whose root that is, without a version; where they lead to a buffer with the
  /// whole text, that text too, as the one after buffers().
  struct Text {
    std::string metadata;
    std::optional<std::string> buffer{};
  };
  [[nodiscard]] Text TextOf(const NewJson& root) const;
  /// What was added must still be there.
  Result<ObjectId> Put(Client& client, const std::string& type_name, const NewJson& root,
                       const PutOptions& options);

 private:
  /// Those blobs of the store in which so much of the value lies already that it may refer to them: a
  /// small part of a large one would keep all of it.
  [[nodiscard]] std::set<ObjectId> BlobsToShare(Client& client,
                                                std::optional<Timeout> timeout) const;

  std::vector<Buffer> buffers_;
  std::map<std::pair<const std::byte*, size_t>, size_t> seen_;
};

}  // namespace vineyard::types
