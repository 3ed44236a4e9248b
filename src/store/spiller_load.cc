// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// From the disk to memory.
#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/size.h"
#include "os/crash_point.h"
#include "os/mapping.h"
#include "os/memfd.h"
#include "store/machine_memory.h"
#include "store/spiller.h"

namespace vineyard::store {

namespace {

Status MakePresent(std::span<std::byte> range) {
  VY_RETURN_IF_ERROR(MayTouch(range.size()));
  return os::MakePresent(range);
}

// Its pages are made piece by piece, each just before it is read: while one thread makes pages, others wait for the
// disk. What lies beyond the data, at the end of the last chunk, nobody reads: it is made at once.
Result<spill::Destination> ToFill(std::span<const Chunk> chunks, uint64_t size) {
  VY_ASSIGN_OR_RETURN(os::Mapping mapping,
                      os::Mapping::Open(FilesOf(chunks), os::Access::kReadWrite));
  auto hold = std::make_shared<os::Mapping>(std::move(mapping));
  if (hold->size() > size) VY_RETURN_IF_ERROR(MakePresent(hold->bytes().subspan(size)));
  return spill::Destination{.spans = {hold->bytes().first(size)},
                            .hold = hold,
                            .files = {},
                            .mapped_later = 0,
                            .prepare = MakePresent};
}

}  // namespace

// ---- who wants what, and stands in the line for it: Note [One place in the line]

uint64_t Spiller::Load(std::span<const ObjectId> blobs, os::TimePoint deadline,
                       std::function<void(Status)> done) {
  SpillRequest request{.kind = Kind::kLoad, .deadline = deadline, .done = std::move(done)};
  for (const ObjectId blob : blobs) {
    const Extent* extent = Find(blob.value());
    if (extent != nullptr && IsStored(*extent)) request.blobs.push_back(blob.value());
  }
  std::ranges::sort(request.blobs);
  request.blobs.erase(std::ranges::unique(request.blobs).begin(), request.blobs.end());
  for (const uint64_t blob : request.blobs) {
    Extent& extent = *Find(blob);
    if (IsInMemory(extent)) {
      NoteUse(extent, Use::kOpened);  // soon
    } else {
      request.awaited.insert(blob);
    }
  }
  Status can = CanLoad(request.blobs);
  if (!can.ok() || request.awaited.empty()) {
    request.done(std::move(can));
    return 0;
  }
  const uint64_t ticket = requests_.Add(std::move(request));
  SpillRequest& added = *requests_.Find(ticket);
  for (const uint64_t blob : added.blobs) {
    Extent& extent = *Find(blob);
    if (extent.state != ExtentState::kSpilled) continue;
    ++added.away;
    if (extent.asked_by == 0) Ask(ticket, extent);
  }
  if (added.away == 0) Hold(added);
  StandInLine(ticket);
  Balance();
  return ticket;
}

Status Spiller::CanLoad(std::span<const uint64_t> blobs) const {
  uint64_t sum = 0;
  Holder who{};
  for (const uint64_t blob : blobs) {
    const Extent& extent = *Find(blob);
    if (!extent.damage.ok()) return extent.damage;
    sum += extent.pages;
    who = HolderOf(extent);
  }
  const uint64_t limit = around_.budget.MostFor(who);
  if (sum <= limit) return {};
  if (blobs.size() == 1) {
    return Status::OutOfMemory(fmt::format(
        "{} has {}, which never fits: the limit is {}; start the instance with a larger --size",
        ObjectId(blobs[0]).ToString(), FormatSize(sum), FormatSize(limit)));
  }
  return Status::OutOfMemory(fmt::format(
      "{} blobs are wanted in memory together, which have {} and never fit: the limit is {}; take "
      "some of them at a time, or start the instance with a larger --size",
      blobs.size(), FormatSize(sum), FormatSize(limit)));
}

void Spiller::Ask(uint64_t ticket, Extent& extent) {
  extent.asked_by = ticket;
  SpillRequest& request = *requests_.Find(ticket);
  request.who = HolderOf(extent);
  request.asks.bytes += extent.pages;  // its files are counted when they are made
}

// For what it asks for now. It may be let in from within.
void Spiller::StandInLine(uint64_t ticket) {
  SpillRequest& request = *requests_.Find(ticket);
  if (request.asks.bytes == 0) return;
  if (request.place != 0) return around_.budget.Resize(request.place, request.asks);
  if (around_.budget.TryTake(request.who, request.asks)) return Granted(ticket);
  request.place = around_.budget.Wait(request.who, request.asks, os::TimePoint::max(),
                                      [this, ticket](const Status&) { Granted(ticket); });
  in_line_[request.place] = ticket;
}

// REQUIRES: what it asks for has been taken from the budget.
void Spiller::Granted(uint64_t ticket) {
  SpillRequest& request = *requests_.Find(ticket);
  in_line_.erase(std::exchange(request.place, 0));
  request.asks = {};
  for (const uint64_t blob : request.blobs) {
    if (!request.awaited.contains(blob)) continue;
    if (Extent& extent = *Find(blob); extent.asked_by == ticket) BeginLoad(extent);
  }
}

// It is over: what it asked for others may want still.
void Spiller::StopAsking(uint64_t ticket, SpillRequest& request) {
  if (request.asks.bytes == 0) return;
  around_.budget.Cancel(request.place);
  in_line_.erase(std::exchange(request.place, 0));
  request.asks = {};
  std::set<uint64_t> heirs;
  for (const uint64_t blob : request.awaited) {
    Extent* extent = Find(blob);
    if (extent == nullptr || extent->asked_by != ticket) continue;
    extent->asked_by = 0;
    const uint64_t heir = requests_.First(Kind::kLoad, blob);
    if (heir == 0) continue;
    Ask(heir, *extent);
    heirs.insert(heir);
  }
  for (const uint64_t heir : heirs) StandInLine(heir);
  // Who is let in now may change a volume, and this may be in the midst of a change of it.
  Later(&Coming::pump, &Spiller::PumpBudget);
}

// It has been evicted while loads that hold nothing yet want it.
void Spiller::WentAway(Extent& extent) {
  const uint64_t blob = extent.blob.value();
  for (const uint64_t ticket : requests_.WhoWant(Kind::kLoad, blob)) {
    SpillRequest& request = *requests_.Find(ticket);
    request.awaited.insert(blob);
    ++request.away;
    if (extent.asked_by == 0) Ask(ticket, extent);
  }
  if (extent.asked_by != 0) StandInLine(extent.asked_by);
}

bool Spiller::IsOfFirst(uint64_t blob) const {
  const auto first = in_line_.find(around_.budget.first());
  if (first == in_line_.end()) return false;
  return std::ranges::binary_search(requests_.Find(first->second)->blobs, blob);
}

// ---- one load

// REQUIRES: its pages have been taken from the budget.
void Spiller::BeginLoad(Extent& extent) {
  auto job = std::make_shared<LoadJob>();
  job->blob = extent.blob.value();
  job->key = KeyOf(extent);
  job->size = extent.size;
  job->pages = extent.pages;
  for (const Chunk& chunk : extent.chunks) job->chunks.push_back({{}, chunk.size});
  extent.state = ExtentState::kLoading;
  extent.asked_by = 0;
  loads_[job->blob] = job;
  for (const uint64_t ticket : requests_.WhoWant(Kind::kLoad, job->blob)) {
    SpillRequest& request = *requests_.Find(ticket);
    if (--request.away == 0) Hold(request);
  }
  MakeMemory(job);
}

void Spiller::MakeMemory(const std::shared_ptr<LoadJob>& job) {
  const Holder who{job->key.volume};
  job->status = around_.may_make_files(who, job->chunks.size());
  around_.budget.Take(who, {.files = job->chunks.size()});
  around_.pool(
      [job] {
        if (job->status.ok()) job->status = MakeFiles(job->chunks);
        if (!job->status.ok()) return;
        auto mapped = ToFill(job->chunks, job->size);
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
  Settle(job->blob, Kind::kLoad, {});
  Tell();
  Balance();
}

void Spiller::NoteDamage(Extent& extent, const Status& status) {
  extent.damage = Status::Corrupted(
      fmt::format("{} was spilled, and what lies on the disk is not what was written: {}; delete "
                  "the object, and put it again",
                  extent.blob.ToString(), status.message()));
  extent.on_disk = around_.disk.Contains(KeyOf(extent));
  ++counts_.damaged;
}

// Its memory goes; it stays on the disk, for another try unless the file itself is at fault.
void Spiller::LoadFailed(const std::shared_ptr<LoadJob>& job, Status status) {
  closing_bytes_ += job->pages;
  job->destination = {};
  Close(Holder{job->key.volume}, std::make_shared<std::vector<Chunk>>(std::move(job->chunks)),
        job->pages);
  if (job->deleted) return;
  Extent& extent = *Find(job->blob);
  extent.state = ExtentState::kSpilled;
  loads_.erase(job->blob);
  const StatusCode code = status.code();
  if (code == StatusCode::kCorrupted || code == StatusCode::kNotFound ||
      code == StatusCode::kInvalid || code == StatusCode::kNotSupported) {
    NoteDamage(extent, status);
    status = extent.damage;
  } else {
    status = status.WithContext("bringing " + extent.blob.ToString() + " back from the disk");
  }
  Settle(job->blob, Kind::kLoad, status);
  Tell();
  Balance();
}

}  // namespace vineyard::store
