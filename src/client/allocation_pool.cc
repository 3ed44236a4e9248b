// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/allocation_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#include "client/allocation_registry.h"
#include "layout/idle_table.h"
#include "os/fd.h"
#include "os/huge_pages.h"
#include "os/memfd.h"
#include "os/process.h"

namespace vineyard {

namespace internal {

using Registry = AllocationRegistry;
using std::chrono::milliseconds;

namespace {

/// How long memory waits here for its next use.
constexpr std::chrono::seconds kKeep{5};
constexpr std::chrono::seconds kTrimEvery{1};
/// Of an allocation, idle memory that is given may be longer by one part in so many.
constexpr uint64_t kSlack = 8;
constexpr uint64_t kMiB = uint64_t{1} << 20;
/// The slot of what the instance has taken.
constexpr size_t kClaimed = SIZE_MAX;

// Never destroyed; replaced in a forked child, where nobody waits for it any more.
std::condition_variable*& SomethingIsIdle() {
  static auto* changed = new std::condition_variable;
  return changed;
}
bool trimming = false;                // a thread is at it. Guarded by the registry's mutex
std::atomic<uint64_t> all_parts = 0;  // of all pools

/// As long as making the pages may take where all is well, and a moment.
os::TimePoint AnswerDeadline(uint64_t size) {
  return os::Clock::now() + milliseconds(200 + size / kMiB);
}

/// Descriptors and mappings that all pools together may have.
uint64_t MaxParts() {
  constexpr uint64_t kShare = 4;
  constexpr uint64_t kMost = 8192;  // of 65,530 mappings
  return std::min(os::FdLimit() / kShare, kMost);
}

}  // namespace

// ---- life

Result<std::shared_ptr<AllocationPool>> AllocationPool::Make(const ConnectOptions& options) {
  ConnectOptions own = options;
  own.interrupted = nullptr;
  std::shared_ptr<Client::Impl> impl = Client::Impl::Make(own);
  client::Connection& connection = impl->connection();
  VY_RETURN_IF_ERROR(connection.Open(connection.Deadline(std::nullopt)));
  impl->set_volume(connection.facts().volume);
  Registry::Install();
  std::shared_ptr<AllocationPool> made(new AllocationPool(std::move(impl)));
  const std::lock_guard lock(Registry::Mutex());
  VY_RETURN_IF_ERROR(made->MakeTable());
  Registry::Pools().insert(made.get());
  return made;
}

// REQUIRES: the registry's mutex is held.
Status AllocationPool::MakeTable() {
  VY_ASSIGN_OR_RETURN(table_file_, os::CreateMemfd("vineyard-idle", sizeof(layout::IdleTable)));
  VY_ASSIGN_OR_RETURN(
      table_, os::Mapping::Open(table_file_, sizeof(layout::IdleTable), os::Access::kReadWrite));
  table_.KeepFromChildren();
  VY_RETURN_IF_ERROR(table_.Populate(os::Access::kReadWrite));
  for (size_t slot = layout::IdleTable::kSlots; slot > 0; --slot) free_slots_.push_back(slot - 1);
  return {};
}

void AllocationPool::ExpectMany() {
  const std::lock_guard lock(Registry::Mutex());
  if (table_file_.valid()) os::MakeRoomForFds(MaxParts(), table_file_);
}

// Each engine is told, again if that failed.
void AllocationPool::ShareTable() {
  client::Connection& connection = impl_->connection();
  const uint64_t generation = connection.facts().generation;
  if (shared_with_ == generation) return;
  os::UniqueFd file;
  {
    const std::lock_guard lock(Registry::Mutex());
    if (!table_.valid() && !MakeTable().ok()) return;
    auto copy = table_file_.Duplicate();
    if (!copy.ok()) return;
    file = std::move(*copy);
  }
  client::Outgoing share = client::Question(
      fb::RequestBody::ShareIdle, [](auto& b, uint64_t) { return fb::CreateShareIdle(b).Union(); });
  share.fds = {file.get()};
  connection.Tell(share);
  shared_with_ = generation;
}

// False: the instance has it. REQUIRES: the registry's mutex is held; asked once.
bool AllocationPool::Claim(const Idle& idle) {
  free_slots_.push_back(idle.slot);
  auto* table = reinterpret_cast<layout::IdleTable*>(table_.data());
  return table->Claim(idle.slot, idle.memory.extent.blob.value());
}

AllocationPool::~AllocationPool() {
  Close();
  const std::lock_guard lock(Registry::Mutex());
  Registry::Pools().erase(this);
}

void AllocationPool::Close() {
  closed_ = true;
  GiveBackIdle();
}

// REQUIRES: a fork has happened, and this is the child: nobody else runs.
void AllocationPool::BecomeInherited() {
  idle_.clear();  // its mappings are not here; nothing else lies at their addresses yet
  table_ = {};
  table_file_.Reset();
  free_slots_.clear();
  shared_with_ = 0;
  used_ = idle_bytes_ = 0;
  paused_until_ = 0;
}

void AllocationPool::ForgetThread() {
  trimming = false;
  all_parts = 0;
  SomethingIsIdle() = new std::condition_variable;
}

AllocatorStatistics AllocationPool::statistics() const {
  return {allocations_, reused_, declined_, used_, idle_bytes_};
}

// ---- allocating

std::byte* AllocationPool::Allocate(uint64_t size, AllocatedBytes content) noexcept {
  try {
    std::byte* block = closed_ ? nullptr : TakeIdle(size, content);
    if (block == nullptr && !closed_) block = TakeFresh(size);
    ++(block ? allocations_ : declined_);
    return block;
  } catch (const std::exception&) {
    return nullptr;
  }
}

std::byte* AllocationPool::TakeIdle(uint64_t size, AllocatedBytes content) {
  std::byte* block = nullptr;
  uint64_t written = 0;
  {
    const std::lock_guard lock(Registry::Mutex());
    const uint64_t longest = std::max(size + size / kSlack, impl_->connection().inline_max() * 2);
    auto best = idle_.end();
    for (auto it = idle_.begin(); it != idle_.end(); ++it) {
      if (it->slot == kClaimed) continue;
      const uint64_t bytes = it->memory.mapping.size();
      const bool fits = bytes >= size && std::min(bytes, it->memory.written) <= longest;
      // Of two that do, the one used last: its bytes are still in the caches.
      if (fits && (best == idle_.end() || bytes <= best->memory.mapping.size())) best = it;
    }
    if (best == idle_.end()) return nullptr;
    if (!Claim(*best)) {
      // Whoever needs memory more has it. What is left of it is unmapped by the thread.
      best->slot = kClaimed;
      best->since = os::TimePoint::min();
      idle_.splice(idle_.begin(), idle_, best);
      return nullptr;
    }
    MappedReservation memory = std::move(best->memory);
    idle_.erase(best);
    idle_bytes_ -= memory.mapping.size();
    used_ += memory.mapping.size();
    written = memory.written;
    auto made = AllocatedMemory::MakeLocked(shared_from_this(), impl_, std::move(memory), size);
    block = made->bytes().data();
    made->HoldItself(made);
  }
  ++reused_;
  if (content == AllocatedBytes::kZero) std::memset(block, 0, std::min(size, written));
  return block;
}

std::byte* AllocationPool::TakeFresh(uint64_t size) {
  if (os::Clock::now().time_since_epoch().count() < paused_until_) return nullptr;
  if (!MakeRoom(size)) return nullptr;
  Result<MappedReservation> made = Reserve(size);
  if (made.status().Is(StatusCode::kOutOfMemory) && idle_bytes_ > 0) {
    GiveBackIdle();
    made = Reserve(size);
  }
  if (!made.ok()) {
    Pause(made.status());
    return nullptr;
  }
  failures_ = 0;
  ShareTable();
  const std::lock_guard lock(Registry::Mutex());
  used_ += made->mapping.size();
  all_parts += made->extent.parts.size();
  auto memory = AllocatedMemory::MakeLocked(shared_from_this(), impl_, std::move(*made), size);
  std::byte* block = memory->bytes().data();
  memory->HoldItself(memory);
  return block;
}

// Of idle memory, what was not used for longest makes room first.
bool AllocationPool::MakeRoom(uint64_t size) {
  const uint64_t limit = limit_;
  const uint64_t parts = MaxParts();
  if (size > limit || used_ > limit - size) return false;
  GiveBackWhile(
      [&](const Idle&) { return used_ + idle_bytes_ + size > limit || all_parts >= parts; });
  return all_parts < parts;
}

Result<MappedReservation> AllocationPool::Reserve(uint64_t size) {
  client::Connection& connection = impl_->connection();
  // Of no more than inline_max bytes the instance makes no shared memory.
  const uint64_t asked = std::max(size, connection.inline_max() + 1);
  VY_ASSIGN_OR_RETURN(client::ReservedExtent extent,
                      client::TryReserve(connection, asked, AnswerDeadline(asked)));
  const ObjectId blob = extent.blob;
  Result<MappedReservation> mapped = AllocatedMemory::Map(connection, std::move(extent));
  if (!mapped.ok()) connection.GiveBack(blob);
  return mapped;
}

// Not asked again at once by every allocation of a program that makes many.
void AllocationPool::Pause(const Status& why) {
  constexpr milliseconds kShort{20};   // there is no room
  constexpr milliseconds kLong{1000};  // there is no answer
  constexpr uint32_t kMostDoublings = 6;
  if (why.Is(StatusCode::kFailedPrecondition)) closed_ = true;
  const bool full = why.Is(StatusCode::kOutOfMemory) || why.Is(StatusCode::kLimitExceeded);
  const uint32_t failures = full ? 0 : std::min(failures_++, kMostDoublings);
  const auto until = os::Clock::now() + (full ? kShort : kLong * (1U << failures));
  paused_until_ = until.time_since_epoch().count();
}

bool AllocationPool::Free(void* address) noexcept {
  return AllocatedMemory::Release(address) != nullptr;
}

// ---- what is idle

bool AllocationPool::TakeBack(MappedReservation* memory) {
  if (closed_ || free_slots_.empty() || !StartTrimming()) return false;
  const uint64_t bytes = memory->mapping.size();
  const size_t slot = free_slots_.back();
  free_slots_.pop_back();
  auto* table = reinterpret_cast<layout::IdleTable*>(table_.data());
  idle_.push_back({std::move(*memory), os::Clock::now(), slot});
  table->slots[slot] = idle_.back().memory.extent.blob.value();
  used_ -= bytes;
  idle_bytes_ += bytes;
  if (idle_.size() == 1) SomethingIsIdle()->notify_one();
  return true;
}

void AllocationPool::Lost(uint64_t bytes, size_t parts) {
  used_ -= bytes;
  all_parts -= parts;
}

// From the longest idle on. `unwanted` is asked under the registry's mutex.
template <typename Unwanted>
void AllocationPool::GiveBackWhile(Unwanted unwanted) {
  std::vector<ObjectId> blobs;
  {
    const Registry::NoFork no_fork;  // a child would keep the descriptors
    IdleList taken;
    {
      const std::lock_guard lock(Registry::Mutex());
      while (!idle_.empty() && unwanted(idle_.front())) {
        idle_bytes_ -= idle_.front().memory.mapping.size();
        all_parts -= idle_.front().memory.extent.parts.size();
        if (idle_.front().slot != kClaimed) Claim(idle_.front());
        taken.splice(taken.end(), idle_, idle_.begin());
      }
    }
    for (const Idle& idle : taken) blobs.push_back(idle.memory.extent.blob);
    // Unmapped first, so that the instance finds nobody who has it.
  }
  for (const ObjectId blob : blobs) impl_->connection().GiveBack(blob);
}

void AllocationPool::GiveBackIdle() {
  GiveBackWhile([](const Idle&) { return true; });
}

// REQUIRES: the registry's mutex is held.
bool AllocationPool::StartTrimming() {
  if (trimming) return true;
  const os::SignalsBlocked blocked;  // signals are the program's business
  try {
    std::thread(&Trim).detach();
  } catch (const std::system_error&) {
    return false;
  }
  return trimming = true;
}

// The thread. What it needs is never destroyed: the process may end meanwhile.
void AllocationPool::Trim() {
  while (true) {
    std::vector<std::shared_ptr<AllocationPool>> pools;
    {
      const std::lock_guard lock(Registry::Mutex());
      for (AllocationPool* pool : Registry::Pools()) {
        // Null: it is being destroyed, and gives back all.
        if (auto kept = pool->weak_from_this().lock()) pools.push_back(std::move(kept));
      }
    }
    const os::TimePoint old = os::Clock::now() - kKeep;
    for (const auto& pool : pools) {
      pool->GiveBackWhile([&](const Idle& idle) { return idle.since <= old; });
    }
    pools.clear();
    std::unique_lock lock(Registry::Mutex());
    if (std::ranges::any_of(Registry::Pools(), [](auto* pool) { return !pool->idle_.empty(); })) {
      SomethingIsIdle()->wait_for(lock, kTrimEvery);
    } else {
      SomethingIsIdle()->wait(lock);
    }
  }
}

}  // namespace internal

// ---- Allocator

namespace {

// Most of what a program frees is told from ours by this, without a lock.
bool MayBeOurs(const void* block) {
  constexpr uintptr_t kSmallestPage = 4096;
  return block != nullptr && reinterpret_cast<uintptr_t>(block) % kSmallestPage == 0;
}

}  // namespace

std::string Allocator::MissingHugePages() {
  const os::HugePageState pages = os::PrepareHugePages(os::HugePageMode::kOff);
  return pages.large ? std::string() : pages.hint;
}

void* Allocator::Allocate(size_t size, AllocatedBytes content) const noexcept {
  if (pool_ == nullptr || size < threshold_) return nullptr;
  return pool_->Allocate(size, content);
}

bool Allocator::Free(void* block) noexcept {
  return MayBeOurs(block) && internal::AllocationPool::Free(block);
}

bool Allocator::Resize(void* block, size_t new_size, size_t* size) noexcept {
  *size = 0;
  if (!MayBeOurs(block)) return false;
  return internal::AllocatedMemory::Resize(block, new_size, size);
}

void Allocator::GiveBackIdle() const {
  if (pool_ != nullptr) pool_->GiveBackIdle();
}

AllocatorStatistics Allocator::statistics() const {
  return pool_ ? pool_->statistics() : AllocatorStatistics();
}

}  // namespace vineyard
