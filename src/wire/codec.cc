// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "wire/codec.h"

#include <cstring>

namespace vineyard::wire {

namespace {

constexpr flatbuffers::uoffset_t kMaxDepth = 16;
constexpr flatbuffers::uoffset_t kMaxTables = 4'000'000;

template <typename T>
Result<const T*> Decode(std::span<const std::byte> bytes, const char* what) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  // Shorter ones can't even hold the root's offset and a table; the library reads those unchecked.
  if (bytes.size() < 8) return Status::Protocol(std::string(what) + " is too short");
  flatbuffers::Verifier verifier(data, bytes.size(), kMaxDepth, kMaxTables);
  if (!verifier.VerifyBuffer<T>(nullptr)) {
    return Status::Protocol(std::string(what) + " is malformed");
  }
  return flatbuffers::GetRoot<T>(data);
}

// The library's verifier checks where a vector's length lies, not its elements, which may need more. (Its
// builder aligns no elements where there are none.)
template <typename T>
bool IsAligned(const flatbuffers::Vector<T>* vector) {
  return vector == nullptr || vector->size() == 0 ||
         reinterpret_cast<uintptr_t>(vector->Data()) % 8 == 0;
}

bool IsSound(const fb::Request& request) {
  switch (request.body_type()) {
    case fb::RequestBody::Hello:
      return IsAligned(request.body_as_Hello()->reservations()) &&
             IsAligned(request.body_as_Hello()->mapped());
    case fb::RequestBody::Put: return IsAligned(request.body_as_Put()->also());
    case fb::RequestBody::OpenExtents: return IsAligned(request.body_as_OpenExtents()->blobs());
    case fb::RequestBody::OpenCatalog: return IsAligned(request.body_as_OpenCatalog()->segments());
    case fb::RequestBody::Released: return IsAligned(request.body_as_Released()->blobs());
    case fb::RequestBody::Delete: return IsAligned(request.body_as_Delete()->ids());
    default: return true;  // no other has elements of eight bytes
  }
}

bool IsSound(const fb::Reply& reply) {
  // Only a request's body is required, so that the verifier lets a type without a body pass.
  if (reply.body() == nullptr) return reply.body_type() == fb::ReplyBody::NONE;
  switch (reply.body_type()) {
    case fb::ReplyBody::Welcome: return IsAligned(reply.body_as_Welcome()->segments());
    case fb::ReplyBody::Reserved: return IsAligned(reply.body_as_Reserved()->extent()->chunks());
    case fb::ReplyBody::CatalogParts:
      return IsAligned(reply.body_as_CatalogParts()->arenas()) &&
             IsAligned(reply.body_as_CatalogParts()->segments());
    case fb::ReplyBody::Got:
      if (const auto* extents = reply.body_as_Got()->extents()) {
        for (const fb::Extent* extent : *extents) {
          if (!IsAligned(extent->chunks())) return false;
        }
      }
      return true;
    case fb::ReplyBody::StreamInfo: return IsAligned(reply.body_as_StreamInfo()->readers());
    default: return true;
  }
}

bool IsSound(const fb::Descriptor& descriptor) { return IsAligned(descriptor.buffers()); }

template <typename T>
Result<const T*> DecodeSound(std::span<const std::byte> bytes, const char* what) {
  VY_ASSIGN_OR_RETURN(const T* decoded, Decode<T>(bytes, what));
  if (!IsSound(*decoded)) {
    return Status::Protocol(std::string(what) + " is misaligned, or lacks its body");
  }
  return decoded;
}

}  // namespace

Result<const fb::Request*> DecodeRequest(std::span<const std::byte> bytes) {
  return DecodeSound<fb::Request>(bytes, "a request");
}

Result<const fb::Reply*> DecodeReply(std::span<const std::byte> bytes) {
  return DecodeSound<fb::Reply>(bytes, "a reply");
}

Result<const fb::Descriptor*> DecodeDescriptor(std::span<const std::byte> bytes) {
  return DecodeSound<fb::Descriptor>(bytes, "a descriptor");
}

namespace {

// One for all of a thread: what it has grown to serves again, as long as that is not much.
class KeptBuilder {
 public:
  KeptBuilder() { kept_.Clear(); }
  KeptBuilder(const KeptBuilder&) = delete;
  KeptBuilder& operator=(const KeptBuilder&) = delete;
  ~KeptBuilder() {
    constexpr uint32_t kMost = 64U << 10;
    if (kept_.GetSize() > kMost) kept_.Reset();
  }
  flatbuffers::FlatBufferBuilder& operator*() { return kept_; }

 private:
  static thread_local flatbuffers::FlatBufferBuilder kept_;
};

thread_local flatbuffers::FlatBufferBuilder KeptBuilder::kept_(512);

std::vector<std::byte> Encode(const NewObject& object, const fb::Stamp& stamp) {
  KeptBuilder kept;
  flatbuffers::FlatBufferBuilder& builder = *kept;
  auto type_name = builder.CreateString(object.type_name);
  auto metadata = builder.CreateString(object.metadata);
  flatbuffers::Offset<flatbuffers::Vector<const fb::BufferRange*>> buffers;
  if (!object.buffers.empty()) {
    std::vector<fb::BufferRange> ranges;
    ranges.reserve(object.buffers.size());
    for (const BufferRef& b : object.buffers) {
      const bool own = stamp.id() != 0 && b.blob == ObjectId(stamp.id()).own_blob();
      ranges.emplace_back(own ? 0 : b.blob.value(), b.offset, b.length);
    }
    buffers = builder.CreateVectorOfStructs(ranges);
  }
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<fb::Member>>> members;
  if (!object.members.empty()) {
    std::vector<flatbuffers::Offset<fb::Member>> list;
    list.reserve(object.members.size());
    for (const Member& m : object.members) {
      list.push_back(fb::CreateMember(builder, builder.CreateString(m.key), m.id.value()));
    }
    members = builder.CreateVector(list);
  }
  flatbuffers::Offset<flatbuffers::Vector<flatbuffers::Offset<fb::Label>>> labels;
  if (!object.labels.empty()) {
    std::vector<flatbuffers::Offset<fb::Label>> list;
    list.reserve(object.labels.size());
    for (const Label& l : object.labels) {
      list.push_back(
          fb::CreateLabel(builder, builder.CreateString(l.key), builder.CreateString(l.value)));
    }
    labels = builder.CreateVector(list);
  }
  flatbuffers::Offset<flatbuffers::String> pod;
  if (!object.pod.empty()) pod = builder.CreateString(object.pod);
  flatbuffers::Offset<flatbuffers::String> program;
  if (!object.program.empty()) program = builder.CreateString(object.program);
  builder.Finish(fb::CreateDescriptor(builder, &stamp, type_name, metadata, buffers, members,
                                      labels, pod, program));
  const auto* data = reinterpret_cast<const std::byte*>(builder.GetBufferPointer());
  return {data, data + builder.GetSize()};
}

}  // namespace

std::vector<std::byte> EncodeDescriptor(const ObjectInfo& info) {
  return Encode(
      {.type_name = info.type_name,
       .metadata = info.metadata,
       .buffers = info.buffers,
       .members = info.members,
       .labels = info.labels,
       .pod = info.creator.pod,
       .program = info.creator.program},
      fb::Stamp(info.id.value(), info.created_unix_ns, info.creator.pid, info.creator.uid));
}

std::vector<std::byte> EncodeNewObject(const NewObject& object) {
  return Encode(object, fb::Stamp());
}

void StampDescriptor(std::span<std::byte> bytes, const fb::Stamp& stamp) {
  auto* descriptor = flatbuffers::GetMutableRoot<fb::Descriptor>(bytes.data());
  *const_cast<fb::Stamp*>(descriptor->stamp()) = stamp;
}

ObjectInfo ToObjectInfo(const fb::Descriptor& d) {
  ObjectInfo info;
  info.id = ObjectId(d.stamp()->id());
  info.created_unix_ns = d.stamp()->created_unix_ns();
  info.creator = {d.stamp()->creator_pid(), d.stamp()->creator_uid(), ToString(d.pod()),
                  ToString(d.program())};
  info.type_name = d.type_name()->str();
  info.metadata = d.metadata()->str();
  if (d.buffers() != nullptr) {
    info.buffers.reserve(d.buffers()->size());
    for (const fb::BufferRange* b : *d.buffers()) {
      const ObjectId blob = b->blob() == 0 ? info.id.own_blob() : ObjectId(b->blob());
      info.buffers.push_back({blob, b->offset(), b->length()});
      info.nbytes += b->length();
    }
  }
  if (d.members() != nullptr) {
    info.members.reserve(d.members()->size());
    for (const fb::Member* m : *d.members())
      info.members.push_back({m->key()->str(), ObjectId(m->id())});
  }
  if (d.labels() != nullptr) {
    for (const fb::Label* l : *d.labels())
      info.labels.push_back({l->key()->str(), l->value()->str()});
  }
  return info;
}

Status ToStatus(const fb::Reply& reply) {
  if (reply.code() == 0) return {};
  if (reply.code() > static_cast<uint8_t>(StatusCode::kProtocol)) {
    return Status::Internal(ToString(reply.message()));
  }
  return {static_cast<StatusCode>(reply.code()), ToString(reply.message())};
}

}  // namespace vineyard::wire
