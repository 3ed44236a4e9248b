// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/spill_disk.h"

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

void SpillDisk::Remove(const spill::Key& key, Done done) {
  auto status = std::make_shared<Status>();
  pool_(
      [place = place_, key, status] { *status = place->Remove(key, spill::Durability::kInstance); },
      [status, done = std::move(done)] { done(*status); });
}

}  // namespace vineyard::store
