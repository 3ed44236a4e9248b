// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/allocated_memory.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <thread>

#include "client/allocation_pool.h"
#include "client/allocation_registry.h"
#include "os/memfd.h"
#include "os/private_pages.h"

namespace vineyard {

namespace internal {

namespace {

using Registry = AllocationRegistry;
using NoFork = AllocationRegistry::NoFork;

}  // namespace

// ---- life

Result<std::shared_ptr<AllocatedMemory>> AllocatedMemory::Make(std::shared_ptr<Client::Impl> impl,
                                                               uint64_t size,
                                                               os::TimePoint deadline) {
  Registry::Install();
  client::Connection& connection = impl->connection();
  std::shared_ptr<AllocatedMemory> made(new AllocatedMemory());
  if (size <= connection.inline_max()) {
    made->small_.reset(new (std::align_val_t{64}, std::nothrow)
                           std::byte[std::max<uint64_t>(size, 1)]);
    if (made->small_ == nullptr) return Status::OutOfMemory("this process has no memory left");
    made->bytes_ = {made->small_.get(), size};
    return made;
  }
  VY_ASSIGN_OR_RETURN(made->extent_, client::Reserve(connection, size, deadline));
  made->connection_ = &connection;
  made->impl_ = std::move(impl);  // from here on the destructor gives it back
  VY_ASSIGN_OR_RETURN(MappedReservation mapped, Map(connection, std::move(made->extent_)));
  made->Begin(std::move(mapped), size);
  const std::lock_guard lock(Registry::Mutex());
  Registry::All()[made->bytes_.data()] = {made.get(), made};
  return made;
}

std::shared_ptr<AllocatedMemory> AllocatedMemory::MakeLocked(std::shared_ptr<AllocationPool> pool,
                                                             std::shared_ptr<Client::Impl> impl,
                                                             MappedReservation memory,
                                                             uint64_t size) {
  std::shared_ptr<AllocatedMemory> made(new AllocatedMemory());
  made->connection_ = &impl->connection();
  made->impl_ = std::move(impl);
  made->pool_ = std::move(pool);
  made->Begin(std::move(memory), size);
  Registry::All()[made->bytes_.data()] = {made.get(), made};
  return made;
}

Result<MappedReservation> AllocatedMemory::Map(client::Connection& connection,
                                               client::ReservedExtent extent) {
  Registry::Install();
  if (extent.parts.empty()) return Status::Protocol("a large reservation has no memory");
  const client::Connection::Facts facts = connection.facts();
  MappedReservation made;
  made.origin = std::make_shared<MappedReservation::Origin>(facts.instance_uuid, facts.volume);
  made.extent = std::move(extent);
  const NoFork no_fork;
  VY_ASSIGN_OR_RETURN(made.mapping, os::Mapping::Open(made.extent.parts, os::Access::kReadWrite));
  made.mapping.KeepFromChildren();
  return made;
}

void AllocatedMemory::Begin(MappedReservation memory, uint64_t size) {
  origin_ = std::move(memory.origin);
  extent_ = std::move(memory.extent);
  mapping_ = std::move(memory.mapping);
  written_ = std::max(memory.written, size);
  bytes_ = mapping_.bytes().first(size);
}

AllocatedMemory::~AllocatedMemory() {
  if (impl_ == nullptr) return;
  {
    const NoFork no_fork;
    if (!bytes_.empty()) {
      const std::lock_guard lock(Registry::Mutex());
      Registry::All().erase(bytes_.data());
      if (ReturnToPool()) return;
    }
    // First, so that the instance finds nobody who maps it.
    mapping_.Reset();
    extent_.fds.clear();
  }
  if (inherited_) return;
  if (published_) {
    if (!rewritten_) connection_->habit().SawKept();
    connection_->extents().LetGo(extent_.blob);
  } else {
    connection_->GiveBack(extent_.blob);
  }
}

// True: the pool has it, for its next allocation. REQUIRES: the registry's mutex is held.
bool AllocatedMemory::ReturnToPool() {
  if (pool_ == nullptr || inherited_) return false;
  const uint64_t counted = published_ ? 0 : mapping_.size();
  if (private_parts_ > 0) {
    pool_->Lost(counted, extent_.parts.size());
    return false;
  }
  MappedReservation memory{std::move(origin_), std::move(extent_), std::move(mapping_), written_};
  if (pool_->TakeBack(&memory)) return true;
  extent_ = std::move(memory.extent);
  mapping_ = std::move(memory.mapping);
  pool_->Lost(counted, extent_.parts.size());
  return false;
}

std::shared_ptr<AllocatedMemory> AllocatedMemory::Release(void* address) {
  const std::lock_guard lock(Registry::Mutex());
  const auto it = Registry::All().find(static_cast<const std::byte*>(address));
  return it == Registry::All().end() ? nullptr : std::move(it->second.memory->self_);
}

bool AllocatedMemory::Resize(void* address, uint64_t new_size, uint64_t* size) {
  const std::lock_guard lock(Registry::Mutex());
  const auto it = Registry::All().find(static_cast<const std::byte*>(address));
  if (it == Registry::All().end() || it->second.memory->self_ == nullptr) return false;
  AllocatedMemory& memory = *it->second.memory;
  *size = memory.bytes_.size();
  const std::lock_guard own_lock(memory.mutex_);
  // What has been sealed is as long as it was then.
  if (memory.private_parts_ > 0 || new_size == 0 || new_size > memory.mapping_.size() ||
      2 * new_size < memory.mapping_.size()) {
    return false;
  }
  memory.bytes_ = memory.mapping_.bytes().first(new_size);
  memory.written_ = std::max(memory.written_, new_size);
  return true;
}

std::shared_ptr<AllocatedMemory> AllocatedMemory::Find(std::span<const std::byte> bytes) {
  if (bytes.empty()) return nullptr;
  const std::lock_guard lock(Registry::Mutex());
  auto it = Registry::All().upper_bound(bytes.data());
  if (it == Registry::All().begin()) return nullptr;
  const Registry::Entry& entry = std::prev(it)->second;
  const std::span<std::byte> whole = entry.memory->bytes_;
  const auto offset = static_cast<uint64_t>(bytes.data() - whole.data());
  if (offset > whole.size() || bytes.size() > whole.size() - offset) return nullptr;
  return entry.weak.lock();
}

bool AllocatedMemory::Any() {
  const std::lock_guard lock(Registry::Mutex());
  return !Registry::All().empty();
}

// ---- sealing

// See Note [Sealing in place]. REQUIRES: mutex_, or that nobody else runs.
Status AllocatedMemory::Seal(int attempts) {
  if (sealed_) return {};
  if (private_parts_ == 0) {
    // What others will see besides the allocation: what earlier ones left there.
    const uint64_t end = std::min(os::RoundUp(written_, os::PageSize()), mapping_.size());
    std::memset(bytes_.data() + bytes_.size(), 0, end - bytes_.size());
  }
  uint64_t offset = 0;
  for (size_t i = 0; i < extent_.parts.size(); ++i) {
    if (i >= private_parts_) {
      VY_RETURN_IF_ERROR(mapping_.MakePrivate(offset, extent_.parts[i]));
      private_parts_ = i + 1;
    }
    offset += extent_.parts[i].size;
  }
  const Status s = client::SealChunks(extent_, refused_ ? 1 : attempts);
  refused_ = !s.ok();
  sealed_ = s.ok();
  if (sealed_) extent_.fds.clear();
  return s;
}

// REQUIRES: a fork has begun.
void AllocatedMemory::FreezeForFork() {
  if (inherited_ || Seal(1).ok()) return;
  uint64_t frozen = 0;
  for (size_t i = 0; i < private_parts_; ++i) frozen += extent_.parts[i].size;
  // What could not be made private would be one memory for both: a child that touches it ends instead.
  if (frozen < mapping_.size()) mapping_.KeepFromChildren(frozen);
  // Best effort: where there is no memory for the copy, the fork would have failed soon, too.
  if (frozen > 0) mapping_.Populate(os::Access::kReadWrite, 0, frozen).IgnoreError();
}

// REQUIRES: a fork has happened, and this is the child.
void AllocatedMemory::BecomeInherited() {
  inherited_ = true;
  extent_.fds.clear();
}

// ---- for puts

// `facts`: of the connection that puts. Any of the process may publish what another has reserved.
// `rewritten`: set where most of it has been written to. REQUIRES: mutex_.
Placement AllocatedMemory::JudgeLocked(const Facts& facts, Ranges ranges, bool* rewritten) const {
  if (facts.instance_uuid != origin_->instance_uuid || facts.volume != origin_->volume) {
    return Placement::kElsewhere;
  }
  if (!published_ && (inherited_ || connection_->closed())) return Placement::kElsewhere;
  if (private_parts_ == 0) return Placement::kInPlace;
  uint64_t changed = 0;
  uint64_t asked = 0;
  for (const std::span<const std::byte> range : ranges) {
    const Result<uint64_t> bytes = os::PrivateBytesIn(range.data(), range.size());
    if (!bytes.ok()) return Placement::kChanged;  // who knows
    changed += *bytes;
    asked += range.size();
  }
  *rewritten = 2 * changed > asked;
  if (changed > 0) return Placement::kChanged;
  return published_ ? Placement::kReferred : Placement::kInPlace;
}

Placement AllocatedMemory::Judge(const client::Connection& connection, Ranges ranges) {
  const Facts facts = connection.facts();
  const NoFork no_fork;
  const std::lock_guard lock(mutex_);
  bool rewritten = false;
  const Placement placement = JudgeLocked(facts, ranges, &rewritten);
  return placement == Placement::kInPlace && refused_ ? Placement::kRefused : placement;
}

Result<Placement> AllocatedMemory::Take(client::Connection& connection, Ranges ranges,
                                        os::TimePoint deadline) {
  constexpr int kAttempts = 50;
  constexpr std::chrono::milliseconds kPause{1};
  constexpr int kPausesToAsk = 100;
  const Facts facts = connection.facts();
  for (int pauses = 1;; ++pauses) {
    {
      const NoFork no_fork;
      const std::lock_guard lock(mutex_);
      if (!publishing_ || inherited_) {
        bool rewritten = false;
        const Placement placement = JudgeLocked(facts, ranges, &rewritten);
        if (rewritten && published_ && !rewritten_ && !inherited_) {
          rewritten_ = true;
          connection_->habit().SawRewritten();
        }
        if (placement != Placement::kInPlace) return placement;
        if (!Seal(kAttempts).ok()) return Placement::kRefused;
        publishing_ = true;
        return Placement::kInPlace;
      }
    }
    // Another put publishes it at this moment: this one refers to the same blob then.
    if (os::Clock::now() >= deadline) {
      return Status::DeadlineExceeded(
          "another put of the same memory takes longer than the time given");
    }
    const auto& interrupted = connection.options().interrupted;
    if (pauses % kPausesToAsk == 0 && interrupted && interrupted()) {
      return Status::Cancelled("interrupted");
    }
    std::this_thread::sleep_for(kPause);
  }
}

void AllocatedMemory::EndPut(bool published) {
  const NoFork no_fork;
  const std::lock_guard lock(mutex_);
  publishing_ = false;
  if (!published || inherited_) return;
  published_ = true;
  if (pool_ != nullptr) pool_->Published(mapping_.size());
  connection_->extents().Keep(extent_.blob);
}

client::Connection* AllocatedMemory::connection() {
  const NoFork no_fork;
  const std::lock_guard lock(mutex_);
  return inherited_ ? nullptr : connection_;
}

bool AllocatedMemory::IsFresh() {
  const NoFork no_fork;
  const std::lock_guard lock(mutex_);
  return private_parts_ == 0;
}

}  // namespace internal

std::span<std::byte> Allocation::Containing(std::span<const std::byte> bytes) {
  const auto memory = internal::AllocatedMemory::Find(bytes);
  return memory ? memory->bytes() : std::span<std::byte>();
}

std::span<std::byte> Allocation::bytes() const {
  return memory_ ? memory_->bytes() : std::span<std::byte>();
}

}  // namespace vineyard
