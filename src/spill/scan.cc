// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <algorithm>
#include <mutex>
#include <utility>

#include "spill/transfers.h"

namespace vineyard::spill {

namespace {

constexpr uint64_t kFilesAPiece = 32;

class Scanning : public Job {
 public:
  Scanning(std::shared_ptr<Place> place, std::function<void(std::vector<Found>)> found,
           std::function<void(Result<ScanReport>)> done, bool (*wanted)(const Key& key))
      : place_(std::move(place)), found_(std::move(found)), done_(std::move(done)),
        wanted_(wanted) {}

 private:
  Result<uint64_t> Begin() override {
    return (place_->survey().files.size() + kFilesAPiece - 1) / kFilesAPiece;
  }

  Status Do(uint64_t piece, std::span<std::byte> /*scratch*/) override {
    const std::vector<Key>& files = place_->survey().files;
    const uint64_t end = std::min<uint64_t>(files.size(), (piece + 1) * kFilesAPiece);
    std::vector<Found> found;
    for (uint64_t i = piece * kFilesAPiece; i < end; ++i) {
      if (wanted_ == nullptr || wanted_(files[i])) Look(files[i], found);
    }
    if (!found.empty()) found_(std::move(found));
    return {};
  }

  void Look(const Key& key, std::vector<Found>& found) {
    auto opened = OpenedFile::Open(place_, key);
    const std::lock_guard lock(mutex_);
    if (opened.ok()) {
      const Head& head = (*opened)->head();
      found.push_back({key, head.size, head.written_ns, head.description});
      ++report_.found;
    } else if (opened.status().Is(StatusCode::kCorrupted)) {
      ++report_.set_aside;
      report_.damaged.push_back(key);
    } else if (opened.status().Is(StatusCode::kNotSupported)) {
      ++report_.disowned;
      report_.left.push_back(key);
    } else if (!opened.status().Is(StatusCode::kNotFound)) {
      report_.unreadable.push_back(opened.status().ToString());
      report_.left.push_back(key);
    }
  }

  void End(Status status) override {
    const auto done = std::exchange(done_, nullptr);
    if (status.ok()) {
      done(std::move(report_));
    } else {
      done(std::move(status));
    }
  }

  const std::shared_ptr<Place> place_;
  const std::function<void(std::vector<Found>)> found_;
  std::function<void(Result<ScanReport>)> done_;
  bool (*const wanted_)(const Key& key);
  std::mutex mutex_;  // guards all below
  ScanReport report_;
};

}  // namespace

std::shared_ptr<Job> Scan(std::shared_ptr<Place> place, Crew& crew,
                          std::function<void(std::vector<Found>)> found,
                          std::function<void(Result<ScanReport>)> done,
                          bool (*wanted)(const Key& key)) {
  auto job =
      std::make_shared<Scanning>(std::move(place), std::move(found), std::move(done), wanted);
  crew.Add(job, Urgency::kRead);
  return job;
}

}  // namespace vineyard::spill
