// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// SpillDisk: the store's disk, as a folder and the threads that work in it. Owned by the engine, which keeps
// it until its callbacks can't run any more.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "spill/crew.h"
#include "spill/place.h"
#include "store/disk.h"
#include "store/memory_keeper.h"

namespace vineyard::store {

/// Waits until the heads of all of them have been read.
Result<RecordFiles> ReadRecordFiles(const std::shared_ptr<spill::Place>& place, spill::Crew& crew);

class SpillDisk final : public Disk {
 public:
  /// Has a function run on the engine's thread. Called by any thread.
  using Post = std::function<void(std::function<void()>)>;

  SpillDisk(std::shared_ptr<spill::Place> place, std::unique_ptr<spill::Crew> crew, RunOnPool pool,
            Post post)
      : place_(std::move(place)), pool_(std::move(pool)), post_(std::move(post)),
        crew_(std::move(crew)) {}

  void Write(const spill::Key& key, spill::Source source, Done done) override;
  void Read(const spill::Key& key, spill::Destination destination, Done done) override;
  void Remove(const spill::Key& key, Done done) override;
  void WriteRecord(const spill::Key& key, std::vector<std::byte> description, Done done) override;
  void Sync(const spill::Key& key, Done done) override;
  void RemoveAll(std::vector<spill::Key> keys, Done done) override;
  void Check(const spill::Key& key, Done done) override;
  Status Promise(uint64_t bytes) override { return place_->Promise(bytes); }
  void Unpromise(uint64_t bytes) override { place_->Unpromise(bytes); }
  Result<RecordFiles> ReadRecords() override;
  void SetAside(const spill::Key& key, const Status& why) override { place_->SetAside(key, why); }
  [[nodiscard]] bool Contains(const spill::Key& key) const override {
    return place_->Contains(key);
  }
  [[nodiscard]] std::optional<uint64_t> LengthOf(const spill::Key& key) const override {
    return place_->LengthOf(key);
  }
  [[nodiscard]] std::vector<spill::Key> Keys() const override { return place_->Keys(); }
  [[nodiscard]] spill::Figures figures() const override { return place_->figures(); }

  /// Calls all work off, and returns when it has ended.
  void Stop() { crew_.reset(); }

 private:
  std::function<void(Status)> OnEngine(Done done) const;
  void OnPool(std::function<Status(spill::Place& place)> work, Done done) const;

  const std::shared_ptr<spill::Place> place_;  // shared with its jobs
  const RunOnPool pool_;
  const Post post_;
  std::unique_ptr<spill::Crew> crew_;
};

}  // namespace vineyard::store
