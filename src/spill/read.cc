// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <utility>

#include <fmt/format.h>

#include "spill/transfers.h"

namespace vineyard::spill {

namespace {

class Reading : public Job {
 public:
  Reading(std::shared_ptr<Place> place, ReadRequest request, std::function<void(Status)> done)
      : place_(std::move(place)), request_(std::move(request)), done_(std::move(done)) {}

 private:
  Result<uint64_t> Begin() override {
    VY_ASSIGN_OR_RETURN(file_, OpenedFile::Open(place_, request_.key));
    const uint64_t length = request_.destination.size();
    const uint64_t size = file_->head().size;
    if (request_.offset > size || length > size - request_.offset) {
      return Status::Invalid(fmt::format("'{}' has {} bytes, and not {} from {} on",
                                         FileName(request_.key), size, length, request_.offset));
    }
    if (length == 0) return uint64_t{0};
    first_ = request_.offset / kBlock;
    return (request_.offset + length - 1) / kBlock - first_ + 1;
  }

  Status Do(uint64_t piece, std::span<std::byte> scratch) override {
    return file_->ReadBlock(first_ + piece, request_.offset, request_.destination, scratch);
  }

  void End(Status status) override {
    file_.reset();
    request_.destination = {};
    std::exchange(done_, nullptr)(std::move(status));
  }

  const std::shared_ptr<Place> place_;
  ReadRequest request_;
  std::function<void(Status)> done_;
  std::shared_ptr<const OpenedFile> file_;
  uint64_t first_ = 0;  // block
};

class Checking : public Job {
 public:
  Checking(std::shared_ptr<Place> place, const Key& key, std::function<void(Status)> done)
      : place_(std::move(place)), key_(key), done_(std::move(done)) {}

 private:
  Result<uint64_t> Begin() override {
    VY_ASSIGN_OR_RETURN(file_, OpenedFile::Open(place_, key_));
    return BlocksOf(file_->head().size);
  }
  Status Do(uint64_t block, std::span<std::byte> scratch) override {
    return file_->CheckBlock(block, scratch);
  }
  void End(Status status) override {
    file_.reset();
    std::exchange(done_, nullptr)(std::move(status));
  }

  const std::shared_ptr<Place> place_;
  const Key key_;
  std::function<void(Status)> done_;
  std::shared_ptr<const OpenedFile> file_;
};

}  // namespace

std::shared_ptr<Job> Read(std::shared_ptr<Place> place, Crew& crew, ReadRequest request,
                          std::function<void(Status)> done) {
  auto job = std::make_shared<Reading>(std::move(place), std::move(request), std::move(done));
  crew.Add(job, Urgency::kRead);
  return job;
}

std::shared_ptr<Job> Check(std::shared_ptr<Place> place, Crew& crew, const Key& key,
                           std::function<void(Status)> done) {
  auto job = std::make_shared<Checking>(std::move(place), key, std::move(done));
  crew.Add(job, Urgency::kCheck);
  return job;
}

}  // namespace vineyard::spill
