// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests: a store's disk in a real folder, which does one thing after another when the test runs its
// events; and these events.
#pragma once

#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "spill/transfers.h"
#include "store/disk.h"
#include "store/spill_disk.h"

namespace vineyard::store {

/// What is to run on the engine's thread.
class Events {
 public:
  void Post(std::function<void()> event) { queue_.push_back(std::move(event)); }
  void Run();
  bool Step();
  void Clear() { queue_.clear(); }

 private:
  std::deque<std::function<void()>> queue_;
};

/// Its threads live for one piece of work each: a forked child has its own.
class TestDisk final : public Disk {
 public:
  TestDisk(std::shared_ptr<spill::Place> place, Events& events)
      : place_(std::move(place)), events_(events) {}

  void Write(const spill::Key& key, spill::Source source, Done done) override {
    ++writes;
    auto kept = std::make_shared<spill::Source>(std::move(source));
    Later([this, key, kept, done = std::move(done)] {
      done(Await([&](spill::Crew& crew, std::function<void(Status)> told) {
        spill::Write(place_, crew,
                     {.key = key,
                      .source = std::exchange(*kept, {}),
                      .description = {},
                      .if_there = spill::IfThere::kReplace},
                     std::move(told));
      }));
    });
  }
  void Read(const spill::Key& key, spill::Destination destination, Done done) override {
    ++reads;
    auto kept = std::make_shared<spill::Destination>(std::move(destination));
    Later([this, key, kept, done = std::move(done)] {
      done(Await([&](spill::Crew& crew, std::function<void(Status)> told) {
        spill::Read(place_, crew, {.key = key, .destination = std::exchange(*kept, {})},
                    std::move(told));
      }));
    });
  }
  void Remove(const spill::Key& key, Done done) override {
    Later([this, key, done = std::move(done)] {
      done(place_->Remove(key, spill::Durability::kInstance));
    });
  }
  void WriteRecord(const spill::Key& key, std::vector<std::byte> description, Done done) override {
    ++record_writes;
    Later([this, key, description = std::move(description), done = std::move(done)] {
      if (!broken.ok()) return done(broken);
      done(Await([&](spill::Crew& crew, std::function<void(Status)> told) {
        spill::Write(place_, crew,
                     {.key = key,
                      .source = {},
                      .description = description,
                      .durability = spill::Durability::kDisk,
                      .if_there = spill::IfThere::kReplace,
                      .room = spill::Room::kPromised},
                     std::move(told));
      }));
    });
  }
  void Sync(const spill::Key& key, Done done) override {
    Later([this, key, done = std::move(done)] { done(place_->Sync(key)); });
  }
  void RemoveAll(std::vector<spill::Key> keys, Done done) override {
    Later(
        [this, keys = std::move(keys), done = std::move(done)] { done(place_->RemoveAll(keys)); });
  }
  void Check(const spill::Key& key, Done done) override {
    Later([this, key, done = std::move(done)] {
      done(Await([&](spill::Crew& crew, std::function<void(Status)> told) {
        spill::Check(place_, crew, key, std::move(told));
      }));
    });
  }
  Status Promise(uint64_t bytes) override { return place_->Promise(bytes); }
  void Unpromise(uint64_t bytes) override { place_->Unpromise(bytes); }
  Result<RecordFiles> ReadRecords() override {
    const auto crew = spill::Crew::Start({.threads = 2}).value();
    return ReadRecordFiles(place_, *crew);
  }
  void SetAside(const spill::Key& key, const Status& why) override { place_->SetAside(key, why); }
  [[nodiscard]] bool Contains(const spill::Key& key) const override {
    return place_->Contains(key);
  }
  [[nodiscard]] std::optional<uint64_t> LengthOf(const spill::Key& key) const override {
    return place_->LengthOf(key);
  }
  [[nodiscard]] std::vector<spill::Key> Keys() const override { return place_->Keys(); }
  [[nodiscard]] spill::Figures figures() const override { return place_->figures(); }

  /// What comes from now on is done at Resume.
  void Pause() { paused_ = true; }
  void Resume() {
    paused_ = false;
    for (auto& work : std::exchange(waiting_, {})) events_.Post(std::move(work));
  }
  [[nodiscard]] size_t waiting() const { return waiting_.size(); }
  [[nodiscard]] spill::Place& place() { return *place_; }

  Status broken;  // what writing a record gets
  int record_writes = 0;
  int writes = 0;
  int reads = 0;

 private:
  void Later(std::function<void()> work) {
    if (paused_) {
      waiting_.push_back(std::move(work));
    } else {
      events_.Post(std::move(work));
    }
  }
  template <typename Begin>
  static Status Await(Begin begin) {
    const auto crew = spill::Crew::Start({.threads = 2}).value();
    std::promise<Status> told;
    begin(*crew, [&told](Status status) { told.set_value(std::move(status)); });
    return told.get_future().get();
  }

  const std::shared_ptr<spill::Place> place_;  // shared with its jobs
  Events& events_;
  bool paused_ = false;
  std::vector<std::function<void()>> waiting_;
};

}  // namespace vineyard::store
