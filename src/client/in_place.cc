// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/in_place.h"

#include <algorithm>
#include <map>
#include <set>

namespace vineyard::client {

namespace {

using internal::AllocatedMemory;
using Bytes = std::span<const std::byte>;

/// The parts of one allocation that a put uses.
struct Use {
  std::shared_ptr<AllocatedMemory> memory;
  std::vector<size_t> buffers;
  std::vector<Bytes> ranges;

  /// Bytes used; those used twice count once.
  [[nodiscard]] uint64_t Size() const {
    std::vector<Bytes> sorted = ranges;
    std::ranges::sort(sorted, {}, &Bytes::data);
    uint64_t size = 0;
    const std::byte* end = nullptr;
    for (const Bytes range : sorted) {
      const std::byte* begin = std::max(range.data(), end);
      const std::byte* last = range.data() + range.size();
      if (begin < last) size += static_cast<uint64_t>(last - begin);
      end = std::max(end, last);
    }
    return size;
  }
};

/// By address: puts that take several allocations take them in one order.
using Uses = std::map<const std::byte*, Use>;

void AddUse(Uses& uses, size_t buffer, Bytes bytes) {
  if (bytes.empty()) return;
  std::shared_ptr<AllocatedMemory> memory = AllocatedMemory::Find(bytes);
  if (memory == nullptr) return;
  Use& use = uses[memory->bytes().data()];
  use.memory = std::move(memory);
  use.buffers.push_back(buffer);
  use.ranges.push_back(bytes);
}

// Why it is copied whatever the allocation says; kInPlace where that decides.
Placement BeforeAsking(const Use& use, Copying copying) {
  if (copying == Copying::kForce) return Placement::kForced;
  if (2 * use.Size() < use.memory->bytes().size()) return Placement::kSmallPart;
  return Placement::kInPlace;
}

}  // namespace

Result<InPlace> InPlace::Begin(Connection& connection, const ObjectBuilder& builder,
                               Copying copying, os::TimePoint deadline) {
  InPlace made;
  if (copying == Copying::kForce || !AllocatedMemory::Any()) return made;
  const std::vector<ObjectBuilder::Buffer>& buffers = builder.buffers();
  Uses uses;
  for (size_t i = 0; i < buffers.size(); ++i) {
    if (const Bytes* bytes = std::get_if<Bytes>(&buffers[i])) AddUse(uses, i, *bytes);
  }
  // Which instance it is must be known; a forked child may not have connected yet.
  if (!uses.empty()) VY_RETURN_IF_ERROR(connection.Open(deadline));
  for (const auto& [address, use] : uses) {
    if (BeforeAsking(use, copying) != Placement::kInPlace) continue;
    if (copying == Copying::kAuto && use.memory->IsFresh() &&
        use.memory->habit().TakePrefersCopy()) {
      continue;
    }
    VY_ASSIGN_OR_RETURN(const Placement placement,
                        use.memory->Take(connection, use.ranges, deadline));
    if (placement == Placement::kInPlace) {
      made.publishing_.push_back(use.memory);
    } else if (placement != Placement::kReferred) {
      continue;
    }
    made.places_.resize(buffers.size());
    for (size_t n = 0; n < use.buffers.size(); ++n) {
      const auto offset = static_cast<uint64_t>(use.ranges[n].data() - address);
      made.places_[use.buffers[n]] = {use.memory->blob(), offset, use.ranges[n].size()};
    }
  }
  return made;
}

InPlace& InPlace::operator=(InPlace&& other) noexcept {
  if (this != &other) {
    Release(false);
    places_ = std::exchange(other.places_, {});
    publishing_ = std::exchange(other.publishing_, {});
  }
  return *this;
}

const BufferRef* InPlace::Find(size_t buffer) const {
  return buffer < places_.size() && places_[buffer] ? &*places_[buffer] : nullptr;
}

std::vector<uint64_t> InPlace::Also() const {
  std::vector<uint64_t> also;
  for (const auto& memory : publishing_) {
    also.push_back(memory->blob().value());
    also.push_back(memory->bytes().size());
  }
  return also;
}

std::vector<fb::Token> InPlace::Siblings(const Connection& connection) const {
  std::set<const Connection*> owners;
  for (const auto& memory : publishing_) owners.insert(memory->connection());
  owners.erase(&connection);
  owners.erase(nullptr);
  std::vector<fb::Token> tokens;
  for (const Connection* owner : owners) tokens.push_back(owner->token());
  return tokens;
}

void InPlace::Published() {
  for (const auto& memory : publishing_) {
    if (Connection* owner = memory->connection()) owner->RemoveReservation(memory->blob().value());
  }
  Release(true);
}

void InPlace::Release(bool published) {
  for (const auto& memory : publishing_) memory->EndPut(published);
  publishing_.clear();
}

std::vector<Placement> PlacementsOf(const Connection* connection, std::span<const Bytes> buffers,
                                    Copying copying) {
  std::vector<Placement> placements(buffers.size(), Placement::kOwn);
  Uses uses;
  for (size_t i = 0; i < buffers.size(); ++i) AddUse(uses, i, buffers[i]);
  for (const auto& [address, use] : uses) {
    const Connection* by = connection ? connection : use.memory->connection();
    Placement placement = BeforeAsking(use, copying);
    if (placement == Placement::kInPlace && by == nullptr) {
      placement = Placement::kElsewhere;
    } else if (placement == Placement::kInPlace) {
      const bool habit =
          copying == Copying::kAuto && use.memory->IsFresh() && use.memory->habit().PrefersCopy();
      placement = habit ? Placement::kHabit : use.memory->Judge(*by, use.ranges);
    }
    for (const size_t buffer : use.buffers) placements[buffer] = placement;
  }
  return placements;
}

}  // namespace vineyard::client

namespace vineyard {

std::vector<Placement> PlacementsOf(std::span<const std::span<const std::byte>> buffers,
                                    Copying copying) {
  return client::PlacementsOf(nullptr, buffers, copying);
}

}  // namespace vineyard
