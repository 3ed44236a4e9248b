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

  const std::shared_ptr<spill::Place> place_;  // shared with its jobs
  const RunOnPool pool_;
  const Post post_;
  std::unique_ptr<spill::Crew> crew_;
};

}  // namespace vineyard::store
