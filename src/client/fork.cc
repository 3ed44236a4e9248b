// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/fork.h"

#include <atomic>
#include <map>
#include <set>

#include "os/process.h"

namespace vineyard::client {

// Before a fork the list is locked, so that the child finds it whole, and no mapping is half made.
struct ForkHandlers {
  static void Prepare() {
    Mutex().lock();
    for (const auto& [owner, action] : Actions()) action();
  }
  static void Parent() { Mutex().unlock(); }
  static void Child() {
    epoch.fetch_add(1, std::memory_order_relaxed);
    for (ForkShield* shield : Shields()) {
      if (shield->raised_) shield->mapping_.FillWithZeroPages();
      for (os::UniqueFd& file : *shield->files_) file.Reset();
    }
    Actions().clear();
    Mutex().unlock();
  }
  static void Install() {
    static const bool kDone = os::OnFork(&Prepare, &Parent, &Child);
    (void)kDone;
  }
  // Never destroyed: a thread may fork while the process ends.
  static std::mutex& Mutex() {
    static auto* mutex = new std::mutex;
    return *mutex;
  }
  static std::set<ForkShield*>& Shields() {
    static auto* shields = new std::set<ForkShield*>;
    return *shields;
  }
  static std::map<const void*, std::function<void()>>& Actions() {
    static auto* actions = new std::map<const void*, std::function<void()>>;
    return *actions;
  }
  static inline std::atomic<uint64_t> epoch{1};
};

void BeforeFork::Add(const void* owner, std::function<void()> action) {
  ForkHandlers::Install();
  const std::lock_guard lock(ForkHandlers::Mutex());
  ForkHandlers::Actions()[owner] = std::move(action);
}

void BeforeFork::Remove(const void* owner) {
  const std::lock_guard lock(ForkHandlers::Mutex());
  ForkHandlers::Actions().erase(owner);
}

uint64_t ForkEpoch() {
  ForkHandlers::Install();
  return ForkHandlers::epoch.load(std::memory_order_relaxed);
}

Result<os::Mapping*> ForkShield::Map(std::span<const os::FilePart> parts,
                                     std::vector<os::UniqueFd>* files) {
  ForkHandlers::Install();
  const std::lock_guard lock(ForkHandlers::Mutex());
  VY_ASSIGN_OR_RETURN(mapping_, os::Mapping::Open(parts, os::Access::kReadWrite));
  mapping_.KeepFromChildren();
  files_ = files;
  raised_ = true;
  ForkHandlers::Shields().insert(this);
  return &mapping_;
}

void ForkShield::Lower() {
  const std::lock_guard lock(ForkHandlers::Mutex());
  raised_ = false;
}

void ForkShield::Unmap() {
  const std::lock_guard lock(ForkHandlers::Mutex());
  raised_ = false;
  mapping_.Reset();
}

void ForkShield::CloseFiles() {
  if (files_ == nullptr) return;
  const std::lock_guard lock(ForkHandlers::Mutex());
  ForkHandlers::Shields().erase(this);
  files_->clear();
  files_ = nullptr;
}

}  // namespace vineyard::client
