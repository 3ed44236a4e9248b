// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// To the disk, because somebody says so: whether memory is short or not.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "store/spiller.h"

namespace vineyard::store {

namespace {

// Each is a question to the kernel, of a few microseconds, or the begin of a write.
constexpr int kLooksATurn = 64;
constexpr int kLooksInARow = 16;  // for one request, while others wait
// Beside those that are written for whoever waits for memory.
constexpr size_t kMostWrites = 4;

}  // namespace

Status Spiller::MayEvict(uint64_t blob) const {
  const Extent* extent = Find(blob);
  const std::string id = ObjectId(blob).ToString();
  if (extent == nullptr || !IsStored(*extent)) return Status::NotFound(id + " is not there");
  if (extent->state == ExtentState::kSpilled) return {};
  if (extent->pins > 0) {
    return Status::FailedPrecondition(
        fmt::format("{} is pinned by {} clients; unpin it first", id, extent->pins));
  }
  if (extent->kept > 0) {
    return Status::FailedPrecondition(fmt::format(
        "{} is kept in memory by {} names; drop them, or put them without keep", id, extent->kept));
  }
  if (extent->held > 0 || extent->state == ExtentState::kLoading || IsOfFirst(blob)) {
    return Status::FailedPrecondition(id + " is just being read back for somebody");
  }
  if (IsHeldElsewhere(*extent)) {
    return Status::FailedPrecondition(
        id + " is in use: a program has it mapped; let go of the arrays that lie in it first");
  }
  return {};
}

uint64_t Spiller::Evict(std::span<const ObjectId> blobs, os::TimePoint deadline,
                        std::function<void(Status)> done) {
  SpillRequest request{.kind = Kind::kEvict, .deadline = deadline, .done = std::move(done)};
  request.blobs.reserve(blobs.size());
  for (const ObjectId blob : blobs) request.blobs.push_back(blob.value());
  std::ranges::sort(request.blobs);
  request.blobs.erase(std::ranges::unique(request.blobs).begin(), request.blobs.end());
  const uint64_t ticket = requests_.Add(std::move(request));
  asked_.push_back(ticket);
  EvictAsked();
  return ticket;
}

// In turn, so that a short request does not wait for a long one.
void Spiller::EvictAsked() {
  int looks = kLooksATurn;
  while (!asked_.empty() && asked_writes_.size() < kMostWrites && removing_ == 0) {
    if (looks <= 0) {
      Later(&Coming::asked, &Spiller::EvictAsked);
      break;
    }
    const uint64_t ticket = asked_.front();
    asked_.pop_front();
    SpillRequest* request = requests_.Find(ticket);
    if (request == nullptr) continue;  // given up
    const size_t all = request->blobs.size();
    for (int n = 0; n < kLooksInARow && request->looked_at < all; ++n, --looks) {
      if (asked_writes_.size() >= kMostWrites) break;
      EvictOne(ticket, *request);
    }
    if (request->looked_at < all) {
      asked_.push_back(ticket);
    } else if (request->awaited.empty()) {
      Finish(ticket, request->status);
    }
  }
  Tell();
}

void Spiller::EvictOne(uint64_t ticket, SpillRequest& request) {
  const uint64_t blob = request.blobs[request.looked_at++];
  const auto note = [&](Status status) {
    if (request.status.ok()) request.status = std::move(status);
  };
  if (Status may = MayEvict(blob); !may.ok()) return note(std::move(may));
  Extent& extent = *Find(blob);
  if (extent.state == ExtentState::kSpilled) return;
  if (extent.state == ExtentState::kSealed) {
    if (extent.on_disk) return Drop(extent);
    Begin(extent);
    asked_writes_.insert(blob);
  }
  requests_.Await(ticket, blob);
}

}  // namespace vineyard::store
