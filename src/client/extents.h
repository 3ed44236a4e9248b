// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// ExtentCache: which extents this client has mapped for reading.
//
// A mapping lives as long as any Blob of it; the cache only remembers it. When the last Blob goes, the
// id is noted, so that the next message can tell the instance. Thread-safe; the ledger of released ids
// outlives the client, because Blobs do.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "os/mapping.h"
#include "vineyard/blob.h"
#include "vineyard/ids.h"

namespace vineyard::client {

class ReleasedIds {
 public:
  void Add(uint64_t blob) {
    const std::lock_guard lock(mutex_);
    ids_.push_back(blob);
  }
  std::vector<uint64_t> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(ids_, {});
  }

 private:
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
  /// Before the first Add.
  void SetOpener(std::weak_ptr<ExtentOpener> opener) { opener_ = std::move(opener); }

  std::shared_ptr<const MappedExtent> Find(ObjectId blob) {
    const std::lock_guard lock(mutex_);
    const auto it = mapped_.find(blob.value());
    return it == mapped_.end() ? nullptr : it->second.lock();
  }

  std::shared_ptr<const MappedExtent> Add(ObjectId blob, os::Mapping mapping, uint64_t size) {
    auto extent =
        std::make_shared<MappedExtent>(blob, std::move(mapping), size, released_, opener_);
    const std::lock_guard lock(mutex_);
    if (mapped_.size() >= next_sweep_) {
      std::erase_if(mapped_, [](const auto& entry) { return entry.second.expired(); });
      next_sweep_ = mapped_.size() * 2 + 64;
    }
    mapped_[blob.value()] = extent;
    return extent;
  }

  /// An extent that this client maps otherwise: it wrote it, and has sealed it in place.
  void Keep(ObjectId blob) {
    const std::lock_guard lock(mutex_);
    kept_.insert(blob.value());
  }
  void LetGo(ObjectId blob) {
    const std::lock_guard lock(mutex_);
    if (kept_.erase(blob.value()) > 0) released_->Add(blob.value());
  }

  /// The ids mean other things from now on. What is mapped stays so for whoever has it.
  void Forget() {
    const std::lock_guard lock(mutex_);
    mapped_.clear();
    kept_.clear();
  }

  std::vector<uint64_t> mapped() {
    const std::lock_guard lock(mutex_);
    std::vector<uint64_t> ids(kept_.begin(), kept_.end());
    for (const auto& [blob, extent] : mapped_) {
      if (!extent.expired()) ids.push_back(blob);
    }
    return ids;
  }

  /// Ids whose last mapping went since the last call. One that has been mapped again is not among them.
  std::vector<uint64_t> TakeReleased() {
    std::vector<uint64_t> ids = released_->Take();
    const std::lock_guard lock(mutex_);
    std::erase_if(ids, [&](uint64_t id) {
      const auto it = mapped_.find(id);
      return kept_.contains(id) || (it != mapped_.end() && !it->second.expired());
    });
    return ids;
  }

 private:
  std::mutex mutex_;
  std::weak_ptr<ExtentOpener> opener_;
  std::shared_ptr<ReleasedIds> released_ = std::make_shared<ReleasedIds>();
  std::unordered_map<uint64_t, std::weak_ptr<const MappedExtent>> mapped_;
  std::unordered_set<uint64_t> kept_;
  size_t next_sweep_ = 64;
};

}  // namespace vineyard::client
