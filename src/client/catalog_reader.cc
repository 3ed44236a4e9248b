// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/catalog_reader.h"

#include <bit>

#include "os/memfd.h"

namespace vineyard::client {

using layout::RecordCopy;
using layout::RecordKind;
using layout::Ref;

Status CatalogReader::Open(const os::UniqueFd& first_file) {
  Close();
  VY_ASSIGN_OR_RETURN(const uint64_t size, os::FileSize(first_file));
  if (size < layout::kFirstSegmentOffset || !os::HasFixedSize(first_file)) {
    return Status::Protocol("the instance's catalog is not one");
  }
  VY_ASSIGN_OR_RETURN(first_, os::Mapping::Open(first_file, size, os::Access::kRead));
  const auto* h = reinterpret_cast<const layout::CatalogHeader*>(first_.data());
  if (h->magic != layout::kCatalogMagic || h->version != layout::kCatalogVersion) {
    return Status::Protocol("the instance's catalog has layout version " +
                            std::to_string(h->version) + ", this library reads " +
                            std::to_string(layout::kCatalogVersion));
  }
  header_ = h;
  keeper_ = reinterpret_cast<const layout::KeeperPage*>(first_.data() + layout::kCatalogPage);
  closed_epoch_ = h->closed_epoch.load(std::memory_order_acquire);
  return {};
}

Status CatalogReader::AddSegment(uint64_t number, const os::UniqueFd& fd) {
  VY_ASSIGN_OR_RETURN(const uint64_t size, os::FileSize(fd));
  if (size < sizeof(layout::Bucket) || !std::has_single_bit(size) || !os::HasFixedSize(fd)) {
    return Status::Protocol("a segment of the instance's index is not one");
  }
  VY_ASSIGN_OR_RETURN(os::Mapping mapping, os::Mapping::Open(fd, size, os::Access::kRead));
  segments_[number] = {std::move(mapping), size / sizeof(layout::Bucket)};
  return {};
}

Status CatalogReader::AddArena(uint32_t number, uint64_t size, const os::UniqueFd& fd) {
  VY_ASSIGN_OR_RETURN(const uint64_t real, os::FileSize(fd));
  if (real != size || !os::HasFixedSize(fd)) {
    return Status::Protocol("an arena of the instance is not one");
  }
  VY_ASSIGN_OR_RETURN(os::Mapping mapping, os::Mapping::Open(fd, size, os::Access::kRead));
  arenas_[number] = std::move(mapping);
  return {};
}

void CatalogReader::Close() {
  header_ = nullptr;
  keeper_ = nullptr;
  segments_.clear();
  arenas_.clear();
  first_.Reset();
}

bool CatalogReader::IsAlive() const {
  return header_ != nullptr &&
         header_->state.load(std::memory_order_acquire) ==
             static_cast<uint32_t>(layout::VolumeState::kLive) &&
         !os::IsDead(&header_->engine) && keeper_->replaced.load(std::memory_order_acquire) == 0 &&
         !os::IsDead(&keeper_->keeper);
}

// An arena or a segment was closed since we looked: keeping it mapped would keep its memory. Which one
// is not said; all are forgotten, and mapped again when met.
void CatalogReader::ForgetClosed() {
  const uint64_t epoch = header_->closed_epoch.load(std::memory_order_acquire);
  if (epoch == closed_epoch_) return;
  closed_epoch_ = epoch;
  arenas_.clear();
  segments_.clear();
}

std::span<const layout::Bucket> CatalogReader::Buckets(uint64_t number) {
  const layout::SegmentInfo info = header_->segments[number % layout::kMaxSegments];
  const std::byte* data = nullptr;
  size_t buckets = 0;
  if (number == 0) {
    data = first_.data() + layout::kFirstSegmentOffset;
    buckets = (first_.size() - layout::kFirstSegmentOffset) / sizeof(layout::Bucket);
  } else if (const auto it = segments_.find(number); it != segments_.end()) {
    data = it->second.mapping.data();
    buckets = it->second.buckets;
  } else {
    wanted_.segments.push_back(number);
    return {};
  }
  if (info.number != number || info.buckets != buckets || !std::has_single_bit(buckets)) return {};
  return {reinterpret_cast<const layout::Bucket*>(data), buckets};
}

Outcome CatalogReader::Find(uint64_t key, RecordKind kind, const std::string_view* name,
                            RecordCopy* copy) {
  if (header_ == nullptr) return Outcome::kDead;
  ForgetClosed();
  wanted_.arenas.clear();
  wanted_.segments.clear();
  const uint64_t in_use = header_->segments_in_use.load(std::memory_order_acquire);
  const uint64_t numbers[2] = {in_use & 0xffffffff, in_use >> 32};
  const auto visit = [&](Ref ref) {
    if (ref.kind() != kind) return false;
    const auto arena = arenas_.find(ref.arena());
    if (arena == arenas_.end()) {
      wanted_.arenas.push_back(ref.arena());
      return false;
    }
    const uint64_t size = arena->second.size();
    if (ref.offset() + layout::kRecordHeader > size) return false;
    auto read = layout::TryReadRecord(arena->second.data() + ref.offset(), size - ref.offset());
    if (!read || read->fields().kind != kind || read->fields().id != key ||
        (name != nullptr && read->head_text() != *name)) {
      return false;
    }
    *copy = std::move(*read);
    return true;
  };
  bool found = layout::ProbeSegment(Buckets(numbers[0]), key, visit);
  if (!found && numbers[1] != numbers[0]) {
    found = layout::ProbeSegment(Buckets(numbers[1]), key, visit);
  }
  if (!IsAlive()) return Outcome::kDead;
  if (found) return Outcome::kHit;
  return wanted_.arenas.empty() && wanted_.segments.empty() ? Outcome::kMiss : Outcome::kParts;
}

Outcome CatalogReader::Read(ObjectId id, RecordCopy* copy) {
  const RecordKind kind = id.is_blob() ? RecordKind::kBlob : RecordKind::kObject;
  return Find(id.value(), kind, nullptr, copy);
}

Outcome CatalogReader::ReadName(std::string_view name, RecordCopy* copy) {
  if (header_ == nullptr) return Outcome::kDead;
  const uint64_t key = layout::NameKey(name, header_->hash_seed);
  return Find(key, RecordKind::kName, &name, copy);
}

}  // namespace vineyard::client
