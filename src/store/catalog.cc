// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/catalog.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "os/memfd.h"

namespace vineyard::store {

namespace {

constexpr size_t kSmallestSegment = 64;  // buckets: one page

std::span<layout::Bucket> BucketsAt(std::byte* at, size_t count) {
  return {reinterpret_cast<layout::Bucket*>(at), count};
}

}  // namespace

Result<std::unique_ptr<Catalog>> Catalog::Create(const CatalogSpec& spec, Budget& budget,
                                                 MemoryKeeper& keeper,
                                                 std::function<void()> keeper_has_it) {
  std::unique_ptr<Catalog> catalog(new Catalog(budget, keeper));
  const size_t buckets = std::max(kSmallestSegment, std::bit_ceil(spec.expected_entries / 2));
  const uint64_t size = layout::kFirstSegmentOffset + buckets * sizeof(layout::Bucket);
  VY_ASSIGN_OR_RETURN(catalog->first_file_, os::CreateMemfd("vineyard-catalog", size));
  VY_ASSIGN_OR_RETURN(catalog->first_,
                      os::Mapping::Open(catalog->first_file_, size, os::Access::kReadWrite));
  budget.Take(Holder{spec.volume}, {size, 1});
  catalog->held_ = size;
  auto* h = reinterpret_cast<layout::CatalogHeader*>(catalog->first_.data());
  catalog->header_ = h;
  h->version = layout::kCatalogVersion;
  h->generation = spec.generation;
  h->volume_id = spec.volume;
  h->quota = spec.quota;
  h->guaranteed = spec.guaranteed;
  h->durable = spec.durable ? 1 : 0;
  std::ranges::copy(spec.instance, h->instance);
  h->hash_seed = spec.hash_seed;
  h->creator_token[0] = spec.creator.high;
  h->creator_token[1] = spec.creator.low;
  h->creator_number = spec.creator_number;
  h->name_length = static_cast<uint32_t>(std::min(spec.name.size(), layout::kMaxVolumeName));
  std::memcpy(h->name, spec.name.data(), h->name_length);
  h->segments[0] = {buckets, 0};
  h->segments_in_use.store(0, std::memory_order_relaxed);
  VY_RETURN_IF_ERROR(os::HoldRobustWord(&h->engine));
  h->magic = layout::kCatalogMagic;
  Catalog* raw = catalog.get();
  catalog->index_ = std::make_unique<layout::IndexWriter>(
      BucketsAt(catalog->first_.data() + layout::kFirstSegmentOffset, buckets),
      layout::IndexWriter::Hooks{[raw](size_t n) { return raw->Grow(n); },
                                 [raw] { raw->RetireOld(); }});
  keeper.HoldAndTell(
      {.kind = HeldKind::kCatalog, .a = spec.volume, .b = spec.generation << 32, .c = size},
      catalog->first_file_, std::move(keeper_has_it));
  return catalog;
}

Catalog::~Catalog() {
  if (header_ != nullptr) {
    // A word that nobody holds reads as dead: readers that are still here notice.
    pthread_mutex_unlock(&header_->engine.mutex);
    const uint64_t volume = header_->volume_id;
    const uint64_t generation = header_->generation;
    for (const auto& [number, segment] : segments_) {
      keeper_.Drop(HeldKind::kCatalog, volume, generation << 32 | number, {});
    }
    keeper_.Drop(HeldKind::kCatalog, volume, generation << 32, {});
  }
  if (held_ > 0) budget_.Give(Holder{header_->volume_id}, {held_, 1 + segments_.size()});
}

Status Catalog::Open() {
  VY_RETURN_IF_ERROR(os::SealFutureWrites(first_file_));
  header_->state.store(static_cast<uint32_t>(layout::VolumeState::kLive),
                       std::memory_order_release);
  return {};
}

void Catalog::MarkRemoved() {
  header_->state.store(static_cast<uint32_t>(layout::VolumeState::kRemoved),
                       std::memory_order_release);
}

void Catalog::AnnounceShortage(bool memory_is_short) {
  header_->memory_is_short.store(memory_is_short ? 1 : 0, std::memory_order_relaxed);
}

void Catalog::AnnounceClosed() { header_->closed_epoch.fetch_add(1, std::memory_order_release); }

std::span<layout::Bucket> Catalog::Grow(size_t buckets) {
  const uint64_t number =
      (header_->segments_in_use.load(std::memory_order_relaxed) & 0xffffffff) + 1;
  const uint64_t size = buckets * sizeof(layout::Bucket);
  SegmentFile file;
  auto made = [&]() -> Status {
    VY_ASSIGN_OR_RETURN(file.fd, os::CreateMemfd("vineyard-index", size));
    VY_ASSIGN_OR_RETURN(file.mapping, os::Mapping::Open(file.fd, size, os::Access::kReadWrite));
    return os::SealFutureWrites(file.fd);
  }();
  if (!made.ok()) return {};
  budget_.Take(Holder{header_->volume_id}, {size, 1});
  held_ += size;
  keeper_.Hold({.kind = HeldKind::kCatalog,
                .a = header_->volume_id,
                .b = header_->generation << 32 | number,
                .c = size},
               file.fd);
  header_->segments[number % layout::kMaxSegments] = {buckets, number};
  const uint64_t before = number - 1;
  header_->segments_in_use.store(number | before << 32, std::memory_order_release);
  std::byte* data = file.mapping.data();
  segments_.emplace(number, std::move(file));
  return BucketsAt(data, buckets);
}

void Catalog::RetireOld() {
  const uint64_t in_use = header_->segments_in_use.load(std::memory_order_relaxed);
  const uint64_t current = in_use & 0xffffffff;
  const uint64_t old = in_use >> 32;
  header_->segments_in_use.store(current | current << 32, std::memory_order_release);
  if (const auto it = segments_.find(old); it != segments_.end()) {
    const uint64_t size = it->second.mapping.size();
    keeper_.Drop(HeldKind::kCatalog, header_->volume_id, header_->generation << 32 | old, {});
    segments_.erase(it);
    held_ -= size;
    budget_.Give(Holder{header_->volume_id}, {size, 1});
  }
  AnnounceClosed();
}

std::vector<Catalog::Segment> Catalog::segments() const {
  std::vector<Segment> result;
  for (const auto& [number, file] : segments_) result.push_back({number, &file.fd});
  return result;
}

Result<OldCatalog> ReadOldCatalog(std::span<const std::byte> first_file) {
  if (first_file.size() < layout::kFirstSegmentOffset) {
    return Status::Corrupted("a catalog is too short");
  }
  const auto* h = reinterpret_cast<const layout::CatalogHeader*>(first_file.data());
  if (h->magic != layout::kCatalogMagic) return Status::Corrupted("this is no catalog");
  if (h->version != layout::kCatalogVersion) {
    return Status::Corrupted("a catalog has layout version " + std::to_string(h->version));
  }
  if (h->name_length == 0 || h->name_length > layout::kMaxVolumeName) {
    return Status::Corrupted("a catalog's volume has no name");
  }
  OldCatalog old;
  old.state = static_cast<layout::VolumeState>(h->state.load(std::memory_order_acquire));
  old.spec.volume = h->volume_id;
  old.spec.name.assign(h->name, h->name_length);
  old.spec.quota = h->quota;
  old.spec.guaranteed = h->guaranteed;
  old.spec.durable = h->durable == 1;
  old.spec.generation = h->generation;
  std::ranges::copy(h->instance, old.spec.instance);
  old.spec.hash_seed = h->hash_seed;
  old.spec.creator = {h->creator_token[0], h->creator_token[1]};
  old.spec.creator_number = h->creator_number;
  const uint64_t in_use = h->segments_in_use.load(std::memory_order_acquire);
  old.segments.push_back(in_use & 0xffffffff);
  if (in_use >> 32 != old.segments[0]) old.segments.push_back(in_use >> 32);
  return old;
}

}  // namespace vineyard::store
