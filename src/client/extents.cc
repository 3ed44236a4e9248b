// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/extents.h"

#include <chrono>
#include <utility>

#include "client/fork.h"
#include "os/process.h"

namespace vineyard::client {

namespace {

constexpr size_t kMostRecent = 256;
constexpr uint64_t kMostRecentBytes = uint64_t{16}
                                      << 30;  // of addresses; the pages are the store's
constexpr std::chrono::milliseconds kPerLook{20};
constexpr int kLooksPerRound = 100;  // what was not asked for in a whole round goes

}  // namespace

ExtentCache::ExtentCache(IsStored is_stored, IsShort memory_is_short)
    : is_stored_(std::move(is_stored)), memory_is_short_(std::move(memory_is_short)) {
  BeforeFork::Add(this, [this] { DropIdle(); });
}

ExtentCache::~ExtentCache() { BeforeFork::Remove(this); }

ExtentCache::SharedExtent ExtentCache::Find(ObjectId blob) {
  const std::lock_guard lock(mutex_);
  const auto it = mapped_.find(blob.value());
  if (it == mapped_.end()) return nullptr;
  Entry& entry = it->second;
  if (entry.recent == nullptr) {
    SharedExtent extent = entry.extent.lock();
    if (extent != nullptr) MakeRecent(entry, std::move(extent));
  }
  entry.used = true;
  return entry.recent != nullptr ? entry.recent : entry.extent.lock();
}

ExtentCache::SharedExtent ExtentCache::Add(ObjectId blob, os::Mapping mapping, uint64_t size) {
  auto extent = std::make_shared<MappedExtent>(blob, std::move(mapping), size, released_, opener_);
  SharedExtent replaced;  // unmapped after the lock is gone
  const std::lock_guard lock(mutex_);
  if (mapped_.size() >= next_sweep_) {
    std::erase_if(mapped_, [](const auto& entry) { return entry.second.extent.expired(); });
    next_sweep_ = mapped_.size() * 2 + 64;
  }
  Entry& entry = mapped_[blob.value()];
  if (entry.recent != nullptr) {
    --recent_;
    recent_bytes_ -= entry.recent->size;
    replaced = std::move(entry.recent);
  }
  entry = {.extent = extent, .recent = nullptr, .used = true};
  MakeRecent(entry, extent);
  return extent;
}

// As far as there is room: what comes late is kept no longer than its Blobs. REQUIRES: mutex_ held.
void ExtentCache::MakeRecent(Entry& entry, SharedExtent extent) {
  if (recent_ >= kMostRecent || recent_bytes_ + extent->size > kMostRecentBytes) return;
  if (memory_is_short_()) return;
  if (!watcher_.joinable()) {
    try {
      const os::SignalsBlocked blocked;  // they are for the program's own threads
      watcher_ = std::jthread([this](const std::stop_token& stop) { WatchRecent(stop); });
    } catch (const std::system_error&) {
      return;  // the process may have no more threads
    }
  }
  ++recent_;
  recent_bytes_ += extent->size;
  entry.recent = std::move(extent);
  if (recent_ == 1) some_recent_.notify_one();
}

// REQUIRES: mutex_ held. The caller lets go of the result once it is not.
std::vector<ExtentCache::SharedExtent> ExtentCache::TakeRecent(
    const std::function<bool(uint64_t, const Entry&)>& which) {
  std::vector<SharedExtent> taken;
  for (auto& [blob, entry] : mapped_) {
    if (entry.recent == nullptr || !which(blob, entry)) continue;
    --recent_;
    recent_bytes_ -= entry.recent->size;
    taken.push_back(std::exchange(entry.recent, nullptr));
  }
  return taken;
}

void ExtentCache::WatchRecent(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  for (uint64_t look = 0; !stop.stop_requested(); ++look) {
    if (!some_recent_.wait(lock, stop, [this] { return recent_ > 0; })) return;
    some_recent_.wait_for(lock, stop, kPerLook, [] { return false; });
    if (stop.stop_requested()) return;
    const bool round_ends = look % kLooksPerRound == 0;
    const bool all = memory_is_short_();
    auto gone = TakeRecent([&](uint64_t blob, const Entry& entry) {
      return all || (round_ends && !entry.used) || !is_stored_(ObjectId(blob));
    });
    if (round_ends) {
      for (auto& [blob, entry] : mapped_) entry.used = false;
    }
    lock.unlock();
    gone.clear();
    lock.lock();
  }
}

void ExtentCache::DropIdle() {
  std::vector<SharedExtent> idle;
  const std::lock_guard lock(mutex_);
  idle = TakeRecent([](uint64_t, const Entry&) { return true; });
}

void ExtentCache::Keep(ObjectId blob) {
  const std::lock_guard lock(mutex_);
  kept_.insert(blob.value());
}

void ExtentCache::LetGo(ObjectId blob) {
  const std::lock_guard lock(mutex_);
  if (kept_.erase(blob.value()) > 0) released_->Add(blob.value());
}

void ExtentCache::Forget() {
  std::vector<SharedExtent> recent;
  const std::lock_guard lock(mutex_);
  recent = TakeRecent([](uint64_t, const Entry&) { return true; });
  mapped_.clear();
  kept_.clear();
}

std::vector<uint64_t> ExtentCache::mapped() {
  const std::lock_guard lock(mutex_);
  std::vector<uint64_t> ids(kept_.begin(), kept_.end());
  for (const auto& [blob, entry] : mapped_) {
    if (!entry.extent.expired()) ids.push_back(blob);
  }
  return ids;
}

std::vector<uint64_t> ExtentCache::TakeReleased() {
  std::vector<uint64_t> ids = released_->Take();
  if (ids.empty()) return ids;
  const std::lock_guard lock(mutex_);
  std::erase_if(ids, [&](uint64_t id) {
    const auto it = mapped_.find(id);
    return kept_.contains(id) || (it != mapped_.end() && !it->second.extent.expired());
  });
  return ids;
}

}  // namespace vineyard::client
