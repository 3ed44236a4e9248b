// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The list of objects, a page at a time: no request keeps the engine's thread for long.
#include <algorithm>

#include "base/glob.h"
#include "daemon/server.h"
#include "wire/codec.h"

namespace vineyard::daemon {

namespace {

constexpr uint32_t kMaxPage = 10'000;
constexpr size_t kMaxPageBytes = size_t{4} << 20;
constexpr size_t kMaxLookedAt = 20'000;  // entries, whether they match or not
constexpr std::string_view kBlobType = "vineyard::Blob";

/// The payload: for each descriptor 8 bytes of length, then itself, padded to 8.
class Page {
 public:
  void Add(std::span<const std::byte> descriptor) {
    const uint64_t length = descriptor.size();
    const auto prefix = std::as_bytes(std::span(&length, 1));
    bytes_.insert(bytes_.end(), prefix.begin(), prefix.end());
    bytes_.insert(bytes_.end(), descriptor.begin(), descriptor.end());
    bytes_.resize(wire::Pad8(bytes_.size()));
    ++count_;
  }
  [[nodiscard]] uint32_t count() const { return count_; }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
  uint32_t count_ = 0;
};

// A blob with an entry of its own has no descriptor in the store; this is what it would be.
std::vector<std::byte> DescribeBlob(uint64_t id, uint64_t size) {
  ObjectInfo info;
  info.id = ObjectId(id);
  info.type_name = kBlobType;
  info.metadata = "{\"length\": " + std::to_string(size) + "}";
  info.buffers.push_back({info.id, 0, size});
  return wire::EncodeDescriptor(info);
}

bool RefersTo(const fb::Descriptor& object, uint64_t id) {
  const auto is_it = [id](const fb::Member* member) { return member->id() == id; };
  const auto lies_there = [id](const fb::BufferRange* range) { return range->blob() == id; };
  return (object.members() != nullptr && std::ranges::any_of(*object.members(), is_it)) ||
         (object.buffers() != nullptr && std::ranges::any_of(*object.buffers(), lies_there));
}

}  // namespace

void Server::HandleListObjects(Call call, const fb::ListObjects& list) {
  const uint32_t limit = std::min(list.limit(), kMaxPage);
  const std::string_view pattern = list.pattern()->string_view();
  const bool blobs = list.member() == 0 && GlobMatch(pattern, kBlobType);
  const auto& entries = call.volume.entries();
  Page page;
  uint64_t last = list.after();
  bool more = false;
  std::vector<uint64_t> spilled;
  size_t looked_at = 0;
  for (auto it = entries.upper_bound(list.after()); it != entries.end(); ++it) {
    if (page.count() >= limit || page.bytes().size() > kMaxPageBytes ||
        ++looked_at > kMaxLookedAt) {
      more = true;
      break;
    }
    last = it->first;
    const bool parts = list.include_parts() || list.member() != 0;
    if (!parts && it->second.parents > 0) continue;
    const std::byte* record = call.volume.Record(it->second);
    if (ObjectId(it->first).is_blob()) {
      if (!blobs) break;  // they come last
      page.Add(DescribeBlob(it->first, layout::FieldsOf(record).value));
      const store::Extent* extent = store_.FindExtent(ObjectId(it->first));
      const bool is_away =
          extent != nullptr && store::IsStored(*extent) && !store::IsInMemory(*extent);
      if (is_away) spilled.push_back(it->first);
      continue;
    }
    const auto head = layout::HeadOf(record);
    const auto* d = flatbuffers::GetRoot<fb::Descriptor>(head.data());
    if (list.member() != 0 && !RefersTo(*d, list.member())) continue;
    if (GlobMatch(pattern, d->type_name()->string_view())) page.Add(head);
  }
  flatbuffers::FlatBufferBuilder b(128);
  const auto away = spilled.empty() ? 0 : b.CreateVector(spilled);
  const auto objects = fb::CreateObjects(b, page.count(), last, more, away);
  call.reply.Send(b, fb::ReplyBody::Objects, objects.Union(), {page.bytes()});
}

}  // namespace vineyard::daemon
