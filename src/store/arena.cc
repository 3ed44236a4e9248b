// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/arena.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>

#include "os/memfd.h"

namespace vineyard::store {

using layout::Ref;

namespace {

constexpr uint64_t kFirstArena = uint64_t{64} << 10;
constexpr uint64_t kUsualArena = uint64_t{2} << 20;
constexpr uint64_t kLargeArena = uint64_t{16} << 20;
constexpr uint64_t kWorthLooking = uint64_t{1} << 20;  // bytes freed
constexpr size_t kManyArenas = 32;  // from here on larger ones, so that readers map few

}  // namespace

ArenaSet::ArenaSet(uint64_t volume, Budget& budget, MemoryKeeper& keeper, RunOnPool pool,
                   std::function<void()> closed)
    : volume_(volume), budget_(budget), keeper_(keeper), pool_(std::move(pool)),
      closed_(std::move(closed)), free_(kClasses) {}

ArenaSet::~ArenaSet() { budget_.Give(Holder{volume_}, {held_, arenas_.size()}); }

// Sizes up to 4 KiB in steps of 64 bytes, above in eight steps for each doubling: at most an eighth of
// a slot is wasted.
size_t ArenaSet::ClassOf(uint64_t bytes) {
  const uint64_t units =
      (std::max<uint64_t>(bytes, 1) + layout::kRecordAlign - 1) / layout::kRecordAlign;
  if (units <= 64) return units - 1;
  // units - 1 = 1xxx…: the three bits after the first tell the step.
  const auto shift = static_cast<size_t>(std::bit_width(units - 1)) - 4;
  const uint64_t step = ((units - 1) >> shift) - 7;  // 1 … 8
  return 64 + (shift - 3) * 8 + step - 1;
}

uint64_t ArenaSet::ClassSize(size_t size_class) {
  if (size_class < 64) return (size_class + 1) * layout::kRecordAlign;
  const size_t shift = (size_class - 64) / 8 + 3;
  const uint64_t step = (size_class - 64) % 8 + 1;
  return ((8 + step) << shift) * layout::kRecordAlign;
}

uint64_t ArenaSet::ArenaSizeFor(uint64_t bytes, size_t arenas) {
  const uint64_t slot = ClassSize(ClassOf(bytes));
  uint64_t size = arenas == 0 ? kFirstArena : arenas < kManyArenas ? kUsualArena : kLargeArena;
  if (slot > size / 2) size = kUsualArena;
  if (slot > size / 2) size = os::RoundUp(slot, os::PageSize());
  return size;
}

Result<Ref> ArenaSet::Allocate(layout::RecordKind kind, uint64_t bytes) {
  const size_t size_class = ClassOf(bytes);
  if (size_class >= kClasses) {
    return Status::LimitExceeded("a record of " + std::to_string(bytes) + " bytes is too large");
  }
  const uint64_t slot = ClassSize(size_class);
  std::vector<Ref>& free = free_[size_class];
  while (!free.empty()) {
    const Ref ref = free.back();
    free.pop_back();
    const auto it = arenas_.find(ref.arena());
    if (it == arenas_.end() || it->second.draining) continue;  // closed meanwhile, or soon
    it->second.live_bytes += slot;
    live_ += slot;
    return Ref(kind, ref.arena(), ref.offset());
  }
  auto it = arenas_.find(current_);
  if (it == arenas_.end() || it->second.filled + slot > it->second.size) {
    VY_RETURN_IF_ERROR(Open(ArenaSizeFor(bytes, own_)));
    it = arenas_.find(current_);
  }
  Arena& arena = it->second;
  const Ref ref(kind, it->first, arena.filled);
  arena.filled += slot;
  arena.live_bytes += slot;
  live_ += slot;
  return ref;
}

Status ArenaSet::Open(uint64_t size) {
  if (next_number_ > Ref::kMaxArena) {
    return Status::LimitExceeded("this volume has used up its arena numbers; restart the instance");
  }
  if (overdraft_) {
    budget_.Take(Holder{volume_}, {size, 1});
  } else if (!budget_.TryTake(Holder{volume_}, {size, 1})) {
    return Status::OutOfMemory("no room for another arena");
  }
  Arena arena;
  arena.size = size;
  auto made = [&]() -> Status {
    VY_ASSIGN_OR_RETURN(arena.fd, os::CreateMemfd("vineyard-arena", size));
    VY_ASSIGN_OR_RETURN(arena.mapping, os::Mapping::Open(arena.fd, size, os::Access::kReadWrite));
    return os::SealFutureWrites(arena.fd);
  }();
  if (!made.ok()) {
    budget_.Give(Holder{volume_}, {size, 1});
    return made;
  }
  const uint32_t number = next_number_++;
  keeper_.Hold({.kind = HeldKind::kArena, .a = volume_, .b = number, .c = size}, arena.fd);
  held_ += size;
  // What was current and has nothing living goes now: nobody else would notice.
  const uint32_t before = current_;
  current_ = number;
  arenas_.emplace(number, std::move(arena));
  ++own_;
  if (const auto it = arenas_.find(before); it != arenas_.end() && it->second.live_bytes == 0) {
    Close(before);
  }
  return {};
}

void ArenaSet::Close(uint32_t number) {
  const auto it = arenas_.find(number);
  const uint64_t size = it->second.size;
  if (!it->second.adopted) --own_;
  // Unmapping and closing walk the pages: a pool thread does it, after the keeper has let go.
  auto arena = std::make_shared<Arena>(std::move(it->second));
  if (arena->adopted || arena->draining) --to_empty_;
  arenas_.erase(it);
  held_ -= size;
  keeper_.Drop(HeldKind::kArena, volume_, number,
               [pool = pool_, arena, &budget = budget_, who = Holder{volume_}, size] {
                 pool([arena] { *arena = Arena(); },
                      [&budget, who, size] { budget.Give(who, {size, 1}); });
               });
  closed_();
}

void ArenaSet::Free(Ref ref) {
  const auto it = arenas_.find(ref.arena());
  VY_CHECK(it != arenas_.end());
  Arena& arena = it->second;
  const uint64_t slot = SlotSize(ref);
  arena.live_bytes -= slot;
  live_ -= slot;
  freed_since_look_ += slot;
  if (arena.adopted) {
    // Never written again: readers that are in it see the record as it was before it was freed.
    arena.adopted_slots.erase(ref.offset());
  } else {
    layout::EraseRecord(arena.mapping.data() + ref.offset());
    free_[ClassOf(slot)].push_back(ref);
  }
  if (arena.live_bytes == 0 && ref.arena() != current_) Close(ref.arena());
}

std::byte* ArenaSet::At(Ref ref) const {
  const auto it = arenas_.find(ref.arena());
  VY_CHECK(it != arenas_.end());
  return it->second.mapping.data() + ref.offset();
}

uint64_t ArenaSet::SlotSize(Ref ref) const {
  const Arena& arena = arenas_.at(ref.arena());
  if (arena.adopted) return arena.adopted_slots.at(ref.offset());
  const layout::RecordFields& f = layout::FieldsOf(arena.mapping.data() + ref.offset());
  return ClassSize(ClassOf(layout::RecordSize(f.head_length, f.bytes_length)));
}

Status ArenaSet::Adopt(uint32_t number, os::UniqueFd fd, uint64_t size) {
  VY_ASSIGN_OR_RETURN(const uint64_t real, os::FileSize(fd));
  if (real != size || !os::HasFixedSize(fd)) {
    return Status::Corrupted("arena " + std::to_string(number) + " is not as it was left");
  }
  Arena arena;
  VY_ASSIGN_OR_RETURN(arena.mapping, os::Mapping::Open(fd, size, os::Access::kRead));
  arena.fd = std::move(fd);
  arena.size = size;
  arena.adopted = true;
  ++to_empty_;
  budget_.Take(Holder{volume_}, {size, 1});
  held_ += size;
  next_number_ = std::max(next_number_, number + 1);
  arenas_.emplace(number, std::move(arena));
  return {};
}

std::span<const std::byte> ArenaSet::Peek(Ref ref) const {
  const auto it = arenas_.find(ref.arena());
  if (it == arenas_.end() || ref.offset() + layout::kRecordHeader > it->second.size) return {};
  return std::span<const std::byte>(it->second.mapping.bytes()).subspan(ref.offset());
}

void ArenaSet::CountLive(Ref ref, uint64_t size) {
  Arena& arena = arenas_.at(ref.arena());
  // Adopted in the order of their ids, which is mostly that of their places.
  arena.adopted_slots.insert_or_assign(arena.adopted_slots.end(), ref.offset(), size);
  arena.live_bytes += size;
  live_ += size;
}

void ArenaSet::CloseEmptyAdopted() {
  std::vector<uint32_t> empty;
  for (const auto& [number, arena] : arenas_) {
    if (arena.adopted && arena.live_bytes == 0) empty.push_back(number);
  }
  for (const uint32_t number : empty) Close(number);
}

std::vector<Ref> ArenaSet::NextToMove(size_t most) {
  std::vector<Ref> refs;
  // Asked after every change: looking through all arenas each time would cost more than the change.
  if (to_empty_ == 0 && freed_since_look_ < kWorthLooking) return refs;
  for (auto& [number, arena] : arenas_) {
    if (arena.adopted) {
      for (const auto& [offset, size] : arena.adopted_slots) {
        if (refs.size() == most) break;
        refs.emplace_back(layout::FieldsOf(arena.mapping.data() + offset).kind, number, offset);
      }
    } else if (arena.draining || IsSparse(number, arena)) {
      if (!std::exchange(arena.draining, true)) ++to_empty_;
      uint64_t offset = 0;
      while (offset < arena.filled && refs.size() < most) {
        const std::byte* slot = arena.mapping.data() + offset;
        const Ref ref(layout::FieldsOf(slot).kind, number, offset);
        if (layout::SequenceOf(slot) != 0) refs.push_back(ref);
        offset += SlotSize(ref);  // the lengths of an erased record are still there
      }
    }
    if (!refs.empty()) break;
  }
  if (refs.empty()) freed_since_look_ = 0;
  return refs;
}

// Worth moving when three quarters of it lie idle, and the volume as a whole is half empty.
bool ArenaSet::IsSparse(uint32_t number, const Arena& arena) const {
  return number != current_ && arena.live_bytes * 4 < arena.filled &&
         live_ * 2 + kLargeArena < held_;
}

std::optional<ArenaSet::ForReader> ArenaSet::Find(uint32_t number) const {
  const auto it = arenas_.find(number);
  if (it == arenas_.end()) return std::nullopt;
  return ForReader{&it->second.fd, it->second.size};
}

void ArenaSet::Clear() {
  std::vector<uint32_t> all;
  for (const auto& [number, arena] : arenas_) all.push_back(number);
  for (const uint32_t number : all) Close(number);
  current_ = 0;
  live_ = 0;
  for (auto& list : free_) list.clear();
}

}  // namespace vineyard::store
