// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Object: what `Client::Get` gives, and ObjectBuilder: what `Client::Put` takes.
//
// An object is immutable: an id, a typename, metadata (a JSON object), buffers (ranges of blobs) and
// members (other objects, by key).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "vineyard/blob.h"
#include "vineyard/ids.h"

namespace vineyard {

/// A range of a blob; a null blob in what is put means "stored together with the object".
struct BufferRef {
  ObjectId blob;
  uint64_t offset = 0;
  uint64_t length = 0;
};

struct Member {
  std::string key;
  ObjectId id;
};

struct Label {
  std::string key;
  std::string value;
};

struct Creator {
  uint32_t pid = 0;
  uint32_t uid = 0;
  std::string pod;  ///< POD_NAMESPACE/POD_NAME of the writer's environment, else empty.
  std::string
      program;  ///< What the writer called itself ("train.py"), for people: nobody checks it.
};

/// All that an object is, short of its buffers' bytes.
struct ObjectInfo {
  ObjectId id;
  std::string type_name;
  std::string metadata;  ///< A JSON object.
  std::vector<BufferRef> buffers;
  std::vector<Member> members;
  std::vector<Label> labels;
  int64_t created_unix_ns = 0;
  Creator creator;
  uint64_t nbytes = 0;  ///< Sum of the lengths of its own buffers (members not counted).
};

class Object {
 public:
  Object() = default;
  Object(ObjectInfo info, std::vector<Blob> buffers)
      : info_(std::move(info)), buffers_(std::move(buffers)) {}

  [[nodiscard]] ObjectId id() const { return info_.id; }
  [[nodiscard]] const std::string& type_name() const { return info_.type_name; }
  [[nodiscard]] const std::string& metadata() const { return info_.metadata; }
  [[nodiscard]] const ObjectInfo& info() const { return info_; }
  /// One for each buffer of the object, in order; empty when only the description was asked for.
  [[nodiscard]] const std::vector<Blob>& buffers() const { return buffers_; }
  /// nullopt when the object has no member of that name.
  [[nodiscard]] std::optional<ObjectId> member(std::string_view key) const;

 private:
  ObjectInfo info_;
  std::vector<Blob> buffers_;
};

/// Collects what an object is to be made of. It refers to the bytes given and copies nothing; they
/// must stay valid until `Client::Put` returns.
class ObjectBuilder {
 public:
  explicit ObjectBuilder(std::string type_name) : type_name_(std::move(type_name)) {}

  /// `json`: the text of a JSON object; checked by the instance. Default "{}".
  ObjectBuilder& SetMetadata(std::string json) {
    metadata_ = std::move(json);
    return *this;
  }
  /// Bytes that Put copies into the store (64-byte aligned there).
  ObjectBuilder& AddBuffer(std::span<const std::byte> bytes) {
    buffers_.emplace_back(bytes);
    return *this;
  }
  /// Bytes that lie in the store already: referred to, not copied.
  ObjectBuilder& AddBuffer(const Blob& blob) {
    buffers_.emplace_back(blob);
    return *this;
  }
  ObjectBuilder& AddMember(std::string key, ObjectId id) {
    members_.push_back({std::move(key), id});
    return *this;
  }
  ObjectBuilder& AddLabel(std::string key, std::string value) {
    labels_.push_back({std::move(key), std::move(value)});
    return *this;
  }

  using Buffer = std::variant<std::span<const std::byte>, Blob>;
  [[nodiscard]] const std::string& type_name() const { return type_name_; }
  [[nodiscard]] const std::string& metadata() const { return metadata_; }
  [[nodiscard]] const std::vector<Buffer>& buffers() const { return buffers_; }
  [[nodiscard]] const std::vector<Member>& members() const { return members_; }
  [[nodiscard]] const std::vector<Label>& labels() const { return labels_; }

 private:
  std::string type_name_;
  std::string metadata_ = "{}";
  std::vector<Buffer> buffers_;
  std::vector<Member> members_;
  std::vector<Label> labels_;
};

}  // namespace vineyard
