// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// From the disk to memory.
#include <utility>

#include <fmt/format.h>

#include "base/size.h"
#include "os/crash_point.h"
#include "os/mapping.h"
#include "os/memfd.h"
#include "store/spiller.h"

namespace vineyard::store {

uint64_t Spiller::Load(std::span<const ObjectId> blobs, os::TimePoint deadline,
                       std::function<void(Status)> done) {
  const uint64_t ticket = next_ticket_++;
  Request request{.kind = Request::Kind::kLoad, .deadline = deadline, .done = std::move(done)};
  for (const ObjectId blob : blobs) {
    const Extent* extent = Find(blob.value());
    if (extent == nullptr || !IsStored(*extent)) continue;
    Status can = CanLoad(*extent);
    if (!can.ok()) {
      request.done(std::move(can));
      return ticket;
    }
    request.blobs.push_back(blob.value());
    if (!IsInMemory(*extent)) request.missing.insert(blob.value());
  }
  if (request.missing.empty()) {
    request.done({});
    return ticket;
  }
  for (const uint64_t blob : request.blobs) ++Find(blob)->wanted;
  const std::set<uint64_t> missing = request.missing;
  requests_.emplace(ticket, std::move(request));
  for (const uint64_t blob : missing) {
    if (Extent* extent = Find(blob); extent->state == ExtentState::kSpilled) BeginLoad(*extent);
  }
  Balance();
  return ticket;
}

Status Spiller::CanLoad(const Extent& extent) const {
  if (!extent.damage.ok()) return extent.damage;
  if (extent.pages <= around_.budget.limit()) return {};
  return Status::OutOfMemory(fmt::format("{} has {}, which never fits: the limit is {}",
                                         extent.blob.ToString(), FormatSize(extent.pages),
                                         FormatSize(around_.budget.limit())));
}

void Spiller::BeginLoad(Extent& extent) {
  auto job = std::make_shared<LoadJob>();
  job->blob = extent.blob.value();
  job->key = KeyOf(extent);
  job->size = extent.size;
  job->pages = extent.pages;
  for (const Chunk& chunk : extent.chunks) job->chunks.push_back({{}, chunk.size});
  extent.state = ExtentState::kLoading;
  loads_[job->blob] = job;
  if (around_.budget.TryTake(job->pages)) return MakeMemory(job);
  job->budget_id =
      around_.budget.Wait(job->pages, os::TimePoint::max(), [this, job](const Status&) {
        job->budget_id = 0;
        MakeMemory(job);
      });
}

// Nobody wants it any more. What has its memory already goes on: the work is nearly done.
void Spiller::ForgetLoad(Extent& extent) {
  const auto it = loads_.find(extent.blob.value());
  if (it == loads_.end() || it->second->budget_id == 0) return;
  around_.budget.Cancel(it->second->budget_id);
  loads_.erase(it);
  extent.state = ExtentState::kSpilled;
  around_.budget.Pump();
}

// REQUIRES: its pages have been taken from the budget.
void Spiller::MakeMemory(const std::shared_ptr<LoadJob>& job) {
  around_.pool(
      [job] {
        job->status = MakeMissing(job->chunks);
        if (!job->status.ok()) return;
        std::vector<os::FilePart> parts;
        parts.reserve(job->chunks.size());
        for (const Chunk& chunk : job->chunks) parts.push_back({chunk.fd.get(), chunk.size});
        auto mapped = spill::MapDestination(parts, job->size);
        job->status = mapped.status();
        if (mapped.ok()) job->destination = std::move(*mapped);
      },
      [this, job] { Fill(job); });
}

void Spiller::Fill(const std::shared_ptr<LoadJob>& job) {
  os::CrashPoint("load.made");
  if (job->deleted || !job->status.ok()) return LoadFailed(job, job->status);
  around_.disk.Read(job->key, std::exchange(job->destination, {}),
                    [this, job](const Status& status) { Filled(job, status); });
}

void Spiller::Filled(const std::shared_ptr<LoadJob>& job, Status status) {
  os::CrashPoint("load.filled");
  if (job->deleted || !status.ok()) return LoadFailed(job, std::move(status));
  around_.pool(
      [job] {
        for (const Chunk& chunk : job->chunks) {
          if (job->status.ok()) job->status = os::SealForever(chunk.fd);
        }
      },
      [this, job] { Serve(job); });
}

void Spiller::Serve(const std::shared_ptr<LoadJob>& job) {
  os::CrashPoint("load.sealed");
  if (job->deleted || !job->status.ok()) return LoadFailed(job, job->status);
  Extent& extent = *Find(job->blob);
  extent.chunks = std::move(job->chunks);
  extent.unkept = extent.chunks.size();
  for (size_t i = 0; i < extent.chunks.size(); ++i) {
    around_.keeper.HoldAndTell({.kind = HeldKind::kChunk,
                                .a = job->blob,
                                .b = i,
                                .c = extent.chunks[i].size,
                                .e = extent.volume,
                                .f = extent.chunks.size()},
                               extent.chunks[i].fd, [this, blob = job->blob] {
                                 if (Extent* kept = Find(blob))
                                   kept->unkept -= kept->unkept > 0 ? 1 : 0;
                               });
    os::CrashPoint("load.between_holds");
  }
  os::CrashPoint("load.held");
  extent.state = ExtentState::kSealed;
  loads_.erase(job->blob);
  CountSpilled(extent, -1);
  ++counts_.loads;
  NoteUse(extent, Use::kCameIntoMemory);
  Settle(job->blob, Request::Kind::kLoad, {});
  Balance();
}

// Its memory goes; it stays on the disk, for another try unless the file itself is at fault.
void Spiller::LoadFailed(const std::shared_ptr<LoadJob>& job, Status status) {
  closing_bytes_ += job->pages;
  job->destination = {};
  Close(std::make_shared<std::vector<Chunk>>(std::move(job->chunks)), job->pages);
  if (job->deleted) return;
  Extent& extent = *Find(job->blob);
  extent.state = ExtentState::kSpilled;
  loads_.erase(job->blob);
  const StatusCode code = status.code();
  if (code == StatusCode::kCorrupted || code == StatusCode::kNotFound ||
      code == StatusCode::kInvalid || code == StatusCode::kNotSupported) {
    extent.damage = Status::Corrupted(
        fmt::format("{} was spilled, and what lies on the disk is not what was written: {}; delete "
                    "the object, and put it again",
                    extent.blob.ToString(), status.message()));
    extent.on_disk = around_.disk.Contains(job->key);
    ++counts_.damaged;
    status = extent.damage;
  } else {
    status = status.WithContext("bringing " + extent.blob.ToString() + " back from the disk");
  }
  Settle(job->blob, Request::Kind::kLoad, status);
  Balance();
}

}  // namespace vineyard::store
