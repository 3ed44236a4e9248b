// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// ExtentCache: which extents this client has mapped for reading.
//
// A mapping lives as long as any Blob of it, and some seconds longer than the last get that asked for it:
// programs get the same array again and again, and mapping costs more than all else in a get. When it
// goes, the id is noted, so that the next message can tell the instance. Thread-safe; the ledger of
// released ids outlives the client, because Blobs do.
//
// Note [Idle mappings hold memory]
// The kernel keeps the pages of a deleted object for as long as somebody maps it. What only the cache
// maps must not delay whoever waits for that memory: a thread looks many times a second whether what it
// maps is still in the catalog, which takes no system call. It sleeps while the cache is empty. Before a
// fork the cache drops what is idle, or the child would hold it for its life.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "client/fork.h"
#include "os/mapping.h"
#include "vineyard/blob.h"
#include "vineyard/ids.h"

namespace vineyard::client {

class ReleasedIds {
 public:
  /// Nothing in a forked child: a thread that it does not have may hold the lock, and who would be told
  /// is its parent's connection.
  void Add(uint64_t blob) {
    if (epoch_ != ForkEpoch()) return;
    const std::lock_guard lock(mutex_);
    ids_.push_back(blob);
    any_.store(true, std::memory_order_relaxed);
  }
  /// Those of this thread at least.
  std::vector<uint64_t> Take() {
    if (!any_.load(std::memory_order_relaxed)) return {};
    const std::lock_guard lock(mutex_);
    any_.store(false, std::memory_order_relaxed);
    return std::exchange(ids_, {});
  }

 private:
  const uint64_t epoch_ = ForkEpoch();
  std::atomic<bool> any_ = false;  // so that asking in vain, before each request, costs nothing
  std::mutex mutex_;
  std::vector<uint64_t> ids_;
};

/// Asks the instance for an extent once more.
class ExtentOpener {
 public:
  /// kNotFound when it has been deleted.
  virtual Result<os::Mapping> MapPrivate(ObjectId blob) = 0;

 protected:
  ~ExtentOpener() = default;
};

/// One extent mapped read-only.
struct MappedExtent final : internal::StoredExtent {
  MappedExtent(ObjectId b, os::Mapping m, uint64_t s, std::shared_ptr<ReleasedIds> r,
               std::weak_ptr<ExtentOpener> o)
      : blob(b), mapping(std::move(m)), size(s), released(std::move(r)), opener(std::move(o)) {}
  MappedExtent(const MappedExtent&) = delete;
  MappedExtent& operator=(const MappedExtent&) = delete;
  ~MappedExtent() {
    mapping.Reset();
    released->Add(blob.value());
  }

  [[nodiscard]] Result<PrivateBytes> MapPrivate() const override {
    const std::shared_ptr<ExtentOpener> client = opener.lock();
    if (client == nullptr) return Status::Unavailable("the client is gone");
    VY_ASSIGN_OR_RETURN(os::Mapping fresh, client->MapPrivate(blob));
    if (fresh.size() < size) return Status::Protocol("an extent has shrunk");
    auto kept = std::make_shared<os::Mapping>(std::move(fresh));
    return PrivateBytes{kept->bytes().first(size), kept};
  }

  ObjectId blob;
  os::Mapping mapping;
  uint64_t size;  // bytes of the blob; the mapping may be longer
  std::shared_ptr<ReleasedIds> released;
  std::weak_ptr<ExtentOpener> opener;
};

class ExtentCache {
 public:
  /// Whether a blob is still in the store, found out without a request.
  using IsStored = std::function<bool(ObjectId)>;
  /// Whether the instance needs memory that lies in mappings which nothing uses.
  using IsShort = std::function<bool()>;

  ExtentCache(IsStored is_stored, IsShort memory_is_short);
  ~ExtentCache();
  ExtentCache(const ExtentCache&) = delete;
  ExtentCache& operator=(const ExtentCache&) = delete;

  /// Before the first Add.
  void SetOpener(std::weak_ptr<ExtentOpener> opener) { opener_ = std::move(opener); }

  std::shared_ptr<const MappedExtent> Find(ObjectId blob);
  std::shared_ptr<const MappedExtent> Add(ObjectId blob, os::Mapping mapping, uint64_t size);

  /// An extent that this client maps otherwise: it wrote it, and has sealed it in place.
  void Keep(ObjectId blob);
  void LetGo(ObjectId blob);

  /// The ids mean other things from now on. What is mapped stays so for whoever has it.
  void Forget();
  /// What nobody but the cache has is unmapped.
  void DropIdle();

  std::vector<uint64_t> mapped();

  /// Ids whose last mapping went since the last call. One that has been mapped again is not among them.
  std::vector<uint64_t> TakeReleased();

 private:
  using SharedExtent = std::shared_ptr<const MappedExtent>;
  struct Entry {
    std::weak_ptr<const MappedExtent> extent;
    SharedExtent recent;  // the same, while it was asked for lately
    bool used = false;    // since the last look
  };
  void MakeRecent(Entry& entry, SharedExtent extent);
  std::vector<SharedExtent> TakeRecent(const std::function<bool(uint64_t, const Entry&)>& which);
  void WatchRecent(const std::stop_token& stop);

  const IsStored is_stored_;
  const IsShort memory_is_short_;
  std::weak_ptr<ExtentOpener> opener_;
  std::shared_ptr<ReleasedIds> released_ = std::make_shared<ReleasedIds>();

  std::mutex mutex_;  // guards all below
  std::unordered_map<uint64_t, Entry> mapped_;
  std::unordered_set<uint64_t> kept_;
  size_t next_sweep_ = 64;
  size_t recent_ = 0;
  uint64_t recent_bytes_ = 0;
  std::condition_variable_any some_recent_;
  std::jthread watcher_;  // from the first Add on; sleeps while nothing is recent
};

}  // namespace vineyard::client
