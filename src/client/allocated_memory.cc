// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/allocated_memory.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <new>
#include <thread>

#include "client/fork.h"
#include "os/memfd.h"
#include "os/private_pages.h"
#include "os/process.h"

namespace vineyard {

namespace internal {

/// Every allocation in an extent, by its first address.
struct AllocationRegistry {
  struct Entry {
    AllocatedMemory* memory;
    std::weak_ptr<AllocatedMemory> weak;
  };
  // Never destroyed: memory may be freed while the process ends.
  static std::mutex& Mutex() {
    static auto* mutex = new std::mutex;
    return *mutex;
  }
  static std::map<const std::byte*, Entry>& All() {
    static auto* all = new std::map<const std::byte*, Entry>;
    return *all;
  }
  /// Held by a fork, and for a moment by whatever then works on one allocation (see NoFork). A shared
  /// mutex would not do: the child could not unlock what another thread's number had locked.
  static std::mutex& Gate() {
    static auto* gate = new std::mutex;
    return *gate;
  }
  static inline std::atomic<int> working{0};

  static void Prepare() {
    constexpr std::chrono::microseconds kPause{20};
    Gate().lock();
    while (working.load(std::memory_order_acquire) > 0) std::this_thread::sleep_for(kPause);
    Mutex().lock();
    for (const auto& [address, entry] : All()) entry.memory->FreezeForFork();
  }
  static void Parent() {
    Mutex().unlock();
    Gate().unlock();
  }
  static void Child() {
    for (const auto& [address, entry] : All()) {
      entry.memory->inherited_ = true;
      entry.memory->extent_.fds.clear();
    }
    Parent();
  }
  static void Install() {
    static const bool kDone = os::OnFork(&Prepare, &Parent, &Child);
    (void)kDone;
  }
};

namespace {

using Registry = AllocationRegistry;

/// While one of these lives, no fork of this process begins.
class NoFork {
 public:
  NoFork() {
    const std::lock_guard lock(Registry::Gate());
    Registry::working.fetch_add(1, std::memory_order_relaxed);
  }
  NoFork(const NoFork&) = delete;
  NoFork& operator=(const NoFork&) = delete;
  ~NoFork() { Registry::working.fetch_sub(1, std::memory_order_release); }
};

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
  const client::Connection::Facts facts = connection.facts();
  made->impl_ = std::move(impl);  // from here on the destructor gives it back
  made->connection_ = &connection;
  made->instance_uuid_ = facts.instance_uuid;
  made->volume_ = facts.volume;
  if (made->extent_.parts.empty()) return Status::Protocol("a large reservation has no memory");
  // No child may come to have the shared mapping: forks wait until it is known.
  const std::lock_guard lock(Registry::Mutex());
  VY_ASSIGN_OR_RETURN(made->mapping_,
                      os::Mapping::Open(made->extent_.parts, os::Access::kReadWrite));
  made->bytes_ = made->mapping_.bytes().first(size);
  Registry::All()[made->bytes_.data()] = {made.get(), made};
  return made;
}

AllocatedMemory::~AllocatedMemory() {
  if (impl_ == nullptr) return;
  {
    const NoFork no_fork;
    if (!bytes_.empty()) {
      const std::lock_guard lock(Registry::Mutex());
      Registry::All().erase(bytes_.data());
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
    // What others will see besides the allocation.
    std::memset(bytes_.data() + bytes_.size(), 0, mapping_.size() - bytes_.size());
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

// ---- for puts

// `rewritten`: set where most of it has been written to. REQUIRES: mutex_.
Placement AllocatedMemory::JudgeLocked(const client::Connection& connection, const Facts& facts,
                                       Ranges ranges, bool* rewritten) const {
  if (facts.instance_uuid != instance_uuid_ || facts.volume != volume_) {
    return Placement::kElsewhere;
  }
  if (!published_ && (inherited_ || &connection != connection_)) return Placement::kElsewhere;
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
  const Placement placement = JudgeLocked(connection, facts, ranges, &rewritten);
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
      if (!publishing_ || inherited_ || &connection != connection_) {
        bool rewritten = false;
        const Placement placement = JudgeLocked(connection, facts, ranges, &rewritten);
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

void AllocatedMemory::Release(bool published) {
  const NoFork no_fork;
  const std::lock_guard lock(mutex_);
  publishing_ = false;
  if (!published || inherited_) return;
  published_ = true;
  connection_->extents().Keep(extent_.blob);
}

const client::Connection* AllocatedMemory::connection() {
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
