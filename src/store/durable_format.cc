// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/durable_format.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "layout/catalog.h"
#include "vineyard/ids.h"
#include "wire/codec.h"

namespace vineyard::store {

using layout::RecordFields;
using layout::RecordKind;

namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr uint64_t kMostBytes = uint64_t{1} << 60;
constexpr size_t kMostName = 4096;
constexpr size_t kMostPath = 4096;

struct FixedRecord {
  uint32_t format = kDurableFormat;
  uint32_t needs_referrer = 0;
  RecordFields fields;  // its checksum is 0: the file has one
  uint64_t file_instance = 0;
  int64_t ends_ns = kNever;
};
static_assert(sizeof(FixedRecord) == 80, "lies on disks");

struct FixedVolume {
  uint32_t format = kDurableFormat;
  uint32_t removed = 0;
  uint64_t quota = 0;
  uint64_t guaranteed = 0;
  uint64_t hash_seed = 0;
  uint32_t name_length = 0;
  uint32_t reserved = 0;
  struct Socket {
    uint32_t path_length = 0;
    uint32_t mode = 0;
    uint32_t owner = 0;
    uint32_t group = 0;
  } sockets[2];
};
static_assert(sizeof(FixedVolume) == 72, "lies on disks");

constexpr uint64_t Pad8(uint64_t n) { return (n + 7) & ~uint64_t{7}; }

template <typename Fixed>
Result<Fixed> ReadFixed(std::span<const std::byte> bytes, uint32_t newest) {
  Fixed fixed;
  if (bytes.size() < sizeof(fixed.format)) return Status::Corrupted("it is too short");
  std::memcpy(&fixed.format, bytes.data(), sizeof fixed.format);
  if (fixed.format < kDurableFormat || fixed.format > newest) {
    return Status::NotSupported("its record has format " + std::to_string(fixed.format));
  }
  if (bytes.size() < sizeof fixed) return Status::Corrupted("it is too short");
  std::memcpy(&fixed, bytes.data(), sizeof fixed);
  return fixed;
}

uint32_t FormatOf(const RecordFields& fields) {
  return (fields.flags & layout::kFlagKeeps) != 0 ? kKeepingFormat : kDurableFormat;
}

bool IsText(std::span<const std::byte> head) { return !head.empty() && head.size() <= kMostName; }

Status CheckBlob(const DurableRecord& record) {
  const RecordFields& f = record.fields;
  if (!ObjectId(f.id).is_blob()) return Status::Corrupted("a blob has an object's id");
  if ((f.flags & layout::kFlagExtent) == 0) {
    const bool holds = record.head.empty() && f.value == record.bytes.size();
    return holds ? Status() : Status::Corrupted("a blob has another length than its bytes");
  }
  if (!record.bytes.empty() || record.head.empty() || record.head.size() % 8 != 0) {
    return Status::Corrupted("a blob has no list of chunks");
  }
  uint64_t sum = 0;
  for (size_t at = 0; at < record.head.size(); at += 8) {
    uint64_t chunk;
    std::memcpy(&chunk, record.head.data() + at, 8);
    if (chunk == 0 || chunk > kMostBytes || sum > kMostBytes) {
      return Status::Corrupted("a blob has a chunk of an impossible size");
    }
    sum += chunk;
  }
  return f.value <= sum ? Status() : Status::Corrupted("a blob is larger than its chunks");
}

Status CheckObject(const DurableRecord& record) {
  const RecordFields& f = record.fields;
  VY_ASSIGN_OR_RETURN(const fb::Descriptor* descriptor, wire::DecodeDescriptor(record.head));
  if (descriptor->stamp()->id() != f.id || ObjectId(f.id).is_blob()) {
    return Status::Corrupted("an object has another one's descriptor");
  }
  const bool in_extent = (f.flags & layout::kFlagExtent) != 0;
  if (record.bytes.size() != (in_extent ? 0 : f.value)) {
    return Status::Corrupted("an object has another length than its bytes");
  }
  return {};
}

Status Check(const DurableRecord& record) {
  const RecordFields& f = record.fields;
  const uint8_t only_here = f.kind == RecordKind::kName ? layout::kFlagKeeps : layout::kFlagExtent;
  const auto known = static_cast<uint8_t>(layout::kFlagOwned | layout::kFlagDurable | only_here);
  if ((f.flags & ~known) != 0 || (f.flags & layout::kFlagDurable) == 0 || f.reserved != 0) {
    return Status::Corrupted("a record has flags that none has");
  }
  switch (f.kind) {
    case RecordKind::kBlob: return CheckBlob(record);
    case RecordKind::kObject: return CheckObject(record);
    case RecordKind::kName:
      if (IsText(record.head) && record.bytes.empty() && f.value != 0 && f.version != 0) return {};
      return Status::Corrupted("a name has none, or bytes, or points to nothing");
    case RecordKind::kStream:
    case RecordKind::kFree: break;
  }
  return Status::Corrupted("a record is of no kind that is kept");
}

}  // namespace

uint64_t DurableRecordLength(uint64_t head, uint64_t bytes) {
  return sizeof(FixedRecord) + Pad8(head) + bytes;
}

std::vector<std::byte> EncodeDurableRecord(const DurableRecord& record) {
  FixedRecord fixed;
  fixed.format = FormatOf(record.fields);
  fixed.fields = record.fields;
  fixed.fields.checksum = 0;
  fixed.fields.head_length = static_cast<uint32_t>(record.head.size());
  fixed.fields.bytes_length = record.bytes.size();
  fixed.file_instance = record.file_instance;
  fixed.needs_referrer = record.needs_referrer ? 1 : 0;
  fixed.ends_ns = record.ends_ns.value_or(kNever);
  std::vector<std::byte> out(DurableRecordLength(record.head.size(), record.bytes.size()));
  std::memcpy(out.data(), &fixed, sizeof fixed);
  std::ranges::copy(record.head, out.begin() + sizeof fixed);
  std::ranges::copy(record.bytes, out.end() - static_cast<ptrdiff_t>(record.bytes.size()));
  return out;
}

Result<DurableRecord> DecodeDurableRecord(std::span<const std::byte> bytes) {
  VY_ASSIGN_OR_RETURN(const FixedRecord fixed, ReadFixed<FixedRecord>(bytes, kKeepingFormat));
  const RecordFields& f = fixed.fields;
  if (fixed.format != FormatOf(f)) return Status::Corrupted("a record has another's format");
  const std::span<const std::byte> body = bytes.subspan(sizeof fixed);
  if (f.head_length > body.size() || f.bytes_length > body.size() ||
      Pad8(f.head_length) + f.bytes_length != body.size()) {
    return Status::Corrupted("the parts of a record do not add up");
  }
  DurableRecord record{.fields = f,
                       .head = body.first(f.head_length),
                       .bytes = body.last(f.bytes_length),
                       .file_instance = fixed.file_instance,
                       .ends_ns = {},
                       .needs_referrer = fixed.needs_referrer != 0};
  if (fixed.ends_ns != kNever) record.ends_ns = fixed.ends_ns;
  VY_RETURN_IF_ERROR(Check(record));
  return record;
}

std::vector<std::byte> EncodeDurableVolume(const DurableVolume& volume) {
  FixedVolume fixed;
  fixed.removed = volume.removed ? 1 : 0;
  fixed.quota = volume.quota;
  fixed.guaranteed = volume.guaranteed;
  fixed.hash_seed = volume.hash_seed;
  fixed.name_length = static_cast<uint32_t>(volume.name.size());
  std::string text = volume.name;
  for (size_t i = 0; i < volume.sockets.size(); ++i) {
    const DurableSocket& s = volume.sockets[i];
    fixed.sockets[i] = {static_cast<uint32_t>(s.path.size()), s.mode, s.owner, s.group};
    text += s.path;
  }
  std::vector<std::byte> out(sizeof fixed + text.size());
  std::memcpy(out.data(), &fixed, sizeof fixed);
  std::ranges::copy(std::as_bytes(std::span(text)), out.begin() + sizeof fixed);
  return out;
}

Result<DurableVolume> DecodeDurableVolume(std::span<const std::byte> bytes) {
  VY_ASSIGN_OR_RETURN(const FixedVolume fixed, ReadFixed<FixedVolume>(bytes, kDurableFormat));
  std::span<const std::byte> text = bytes.subspan(sizeof fixed);
  const auto take = [&text](size_t length) {
    const auto part = text.first(length);
    text = text.subspan(length);
    return std::string(reinterpret_cast<const char*>(part.data()), part.size());
  };
  uint64_t sum = fixed.name_length;
  for (const auto& s : fixed.sockets) sum += s.path_length;
  if (fixed.removed > 1 || fixed.name_length == 0 || fixed.name_length > layout::kMaxVolumeName ||
      sum != text.size() || fixed.sockets[0].path_length > kMostPath ||
      fixed.sockets[1].path_length > kMostPath) {
    return Status::Corrupted("the parts of a volume's record do not add up");
  }
  DurableVolume volume{.name = take(fixed.name_length),
                       .quota = fixed.quota,
                       .guaranteed = fixed.guaranteed,
                       .hash_seed = fixed.hash_seed,
                       .removed = fixed.removed != 0,
                       .sockets = {}};
  for (size_t i = 0; i < volume.sockets.size(); ++i) {
    const auto& s = fixed.sockets[i];
    volume.sockets[i] = {take(s.path_length), s.mode, s.owner, s.group};
  }
  return volume;
}

}  // namespace vineyard::store
