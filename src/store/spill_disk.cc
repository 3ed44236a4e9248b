// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/spill_disk.h"

#include <algorithm>
#include <future>
#include <iterator>
#include <mutex>
#include <utility>

#include "spill/transfers.h"

namespace vineyard::store {

std::function<void(Status)> SpillDisk::OnEngine(Done done) const {
  return [post = post_, done = std::move(done)](Status status) {
    post([done, status = std::move(status)] { done(status); });
  };
}

void SpillDisk::Write(const spill::Key& key, spill::Source source, Done done) {
  spill::Write(place_, *crew_,
               {.key = key,
                .source = std::move(source),
                .description = {},
                .if_there = spill::IfThere::kReplace},
               OnEngine(std::move(done)));
}

void SpillDisk::Read(const spill::Key& key, spill::Destination destination, Done done) {
  spill::Read(place_, *crew_, {.key = key, .destination = std::move(destination)},
              OnEngine(std::move(done)));
}

void SpillDisk::OnPool(std::function<Status(spill::Place&)> work, Done done) const {
  auto status = std::make_shared<Status>();
  pool_([place = place_, work = std::move(work), status] { *status = work(*place); },
        [status, done = std::move(done)] { done(*status); });
}

void SpillDisk::Remove(const spill::Key& key, Done done) {
  OnPool([key](spill::Place& place) { return place.Remove(key, spill::Durability::kInstance); },
         std::move(done));
}

void SpillDisk::WriteRecord(const spill::Key& key, std::vector<std::byte> description, Done done) {
  spill::Write(place_, *crew_,
               {.key = key,
                .source = {},
                .description = std::move(description),
                .durability = spill::Durability::kDisk,
                .if_there = spill::IfThere::kReplace,
                .room = spill::Room::kPromised},
               OnEngine(std::move(done)));
}

void SpillDisk::Sync(const spill::Key& key, Done done) {
  OnPool([key](spill::Place& place) { return place.Sync(key); }, std::move(done));
}

void SpillDisk::RemoveAll(std::vector<spill::Key> keys, Done done) {
  OnPool([keys = std::move(keys)](spill::Place& place) { return place.RemoveAll(keys); },
         std::move(done));
}

void SpillDisk::Check(const spill::Key& key, Done done) {
  spill::Check(place_, *crew_, key, OnEngine(std::move(done)));
}

Result<RecordFiles> SpillDisk::ReadRecords() { return ReadRecordFiles(place_, *crew_); }

Result<RecordFiles> ReadRecordFiles(const std::shared_ptr<spill::Place>& place, spill::Crew& crew) {
  RecordFiles files;
  std::mutex mutex;
  std::promise<Result<spill::ScanReport>> told;
  spill::Scan(
      place, crew,
      [&](std::vector<spill::Found> some) {
        const std::lock_guard lock(mutex);
        std::ranges::move(some, std::back_inserter(files.found));
      },
      [&](Result<spill::ScanReport> report) { told.set_value(std::move(report)); }, IsRecordFile);
  VY_ASSIGN_OR_RETURN(spill::ScanReport report, told.get_future().get());
  files.damaged = std::move(report.damaged);
  files.left = std::move(report.left);
  return files;
}

}  // namespace vineyard::store
