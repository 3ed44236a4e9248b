// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What the spiller is told and asked: uses, pins, deletions, and who waits for what.
#include "store/spiller.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "base/logging.h"
#include "base/size.h"

namespace vineyard::store {

Spiller::~Spiller() {
  for (const auto& [place, ticket] : in_line_) around_.budget.Cancel(place);
}

Extent* Spiller::Find(uint64_t blob) const {
  const auto it = around_.extents.find(blob);
  return it == around_.extents.end() ? nullptr : it->second.get();
}

void Spiller::NoteUse(Extent& extent, Use use) {
  if (use == Use::kCameIntoMemory) clock_ += extent.pages;
  extent.last_use = clock_;
}

std::vector<ObjectId> Spiller::NotInMemory(std::span<const ObjectId> blobs) const {
  std::vector<ObjectId> away;
  for (const ObjectId blob : blobs) {
    const Extent* extent = Find(blob.value());
    if (extent != nullptr && IsStored(*extent) && !IsInMemory(*extent)) away.push_back(blob);
  }
  return away;
}

// ---- pins

void Spiller::Pin(ClientState& client, Extent& extent) {
  if (client.pinned.insert(extent.blob.value()).second) ++extent.pins;
}

bool Spiller::Unpin(ClientState& client, ObjectId blob) {
  if (client.pinned.erase(blob.value()) == 0) return false;
  if (Extent* extent = Find(blob.value())) --extent->pins;
  return true;
}

void Spiller::UnpinAll(ClientState& client) {
  for (const uint64_t blob : client.pinned) {
    if (Extent* extent = Find(blob)) --extent->pins;
  }
  client.pinned.clear();
}

// ---- who waits

// By way of the pool: the engine's loop has no other door here.
void Spiller::Later(bool Coming::* coming, void (Spiller::*work)()) {
  if (std::exchange(coming_.*coming, true)) return;
  around_.pool([] {},
               [this, coming, work] {
                 coming_.*coming = false;
                 (this->*work)();
               });
}

void Spiller::Hold(SpillRequest& request) {
  request.holds = true;
  for (const uint64_t blob : request.blobs) {
    if (Extent* extent = Find(blob)) ++extent->held;
  }
}

void Spiller::LetGo(SpillRequest& request) {
  if (!std::exchange(request.holds, false)) return;
  for (const uint64_t blob : request.blobs) {
    if (Extent* extent = Find(blob)) --extent->held;
  }
  stuck_since_.reset();  // now they may go
}

void Spiller::Settle(uint64_t blob, Kind kind, const Status& status) {
  for (const uint64_t ticket : requests_.WhoWant(kind, blob)) {
    if (!requests_.Arrived(ticket, blob)) continue;
    SpillRequest& request = *requests_.Find(ticket);
    if (request.status.ok()) request.status = status;
    // A load needs them all; an eviction goes on with the others.
    const bool fails = kind == Kind::kLoad && !status.ok();
    const bool all_seen = kind == Kind::kLoad || request.looked_at == request.blobs.size();
    if (fails || (all_seen && request.awaited.empty())) Finish(ticket, request.status);
  }
}

void Spiller::Finish(uint64_t ticket, Status status) {
  StopAsking(ticket, requests_.Finish(ticket, std::move(status)));
}

// Each callback comes last: it may ask for something else, or end others.
void Spiller::Tell() {
  constexpr int kAtOnce = 64;
  if (std::exchange(telling_, true)) return;
  for (int n = 0; n < kAtOnce; ++n) {
    std::optional<SpillRequest> request = requests_.TakeOver();
    if (!request) break;
    LetGo(*request);
    request->done(std::move(request->status));
  }
  telling_ = false;
  if (requests_.any_over()) Later(&Coming::tell, &Spiller::Tell);
}

void Spiller::Cancel(uint64_t ticket) {
  std::optional<SpillRequest> request = requests_.Remove(ticket);
  if (!request) return;
  StopAsking(ticket, *request);
  LetGo(*request);
}

std::optional<os::TimePoint> Spiller::NextLook() const {
  std::optional<os::TimePoint> next = look_again();
  for (const auto& other : {requests_.NextDeadline(), remove_again_}) {
    if (other) next = std::min(next.value_or(*other), *other);
  }
  return next;
}

void Spiller::Tick(os::TimePoint now) {
  for (const uint64_t ticket : requests_.Late(now)) {
    Finish(ticket, WhyLate(*requests_.Find(ticket)));
  }
  Tell();
  RemoveAgain(now);
  Balance(now);
}

Status Spiller::WhyLate(const SpillRequest& request) const {
  uint64_t wanting_memory = 0;
  for (const uint64_t blob : request.awaited) {
    const Extent* extent = Find(blob);
    if (extent != nullptr && extent->state == ExtentState::kSpilled)
      wanting_memory += extent->pages;
  }
  if (wanting_memory > 0) {
    return Status::OutOfMemory("no memory to bring a spilled object back: " +
                               around_.explain(wanting_memory));
  }
  if (request.kind == Kind::kLoad) {
    return Status::DeadlineExceeded(
        fmt::format("{} of {} extents are still being read from the disk", request.awaited.size(),
                    request.blobs.size()));
  }
  return Status::DeadlineExceeded(fmt::format(
      "{} of {} extents are still to be written to the disk",
      request.awaited.size() + request.blobs.size() - request.looked_at, request.blobs.size()));
}

// ---- deletions

// In the midst of a change of a volume: nobody else's callback may run now.
bool Spiller::TakeDeleted(std::unique_ptr<Extent>& extent) {
  const uint64_t blob = extent->blob.value();
  const Status gone = Status::NotFound(extent->blob.ToString() + " has been deleted meanwhile");
  const spill::Key key = KeyOf(*extent);
  const bool has_file = extent->on_disk && !extent->durable;  // that goes with its record's: Mirror
  if (extent->pins > 0) {
    for (const auto& [number, client] : around_.clients.all()) client->pinned.erase(blob);
  }
  bool taken = true;
  switch (extent->state) {
    case ExtentState::kSpilling:
      // The disk's threads read its memory: it goes when they are done.
      deleted_.emplace(blob, std::move(extent));
      break;
    case ExtentState::kSpilled: CountSpilled(*extent, -1); break;
    case ExtentState::kLoading:
      CountSpilled(*extent, -1);
      loads_.extract(blob).mapped()->deleted = true;
      break;
    case ExtentState::kMaking:
    case ExtentState::kReserved:
    case ExtentState::kSealed:
    case ExtentState::kLingering: taken = false; break;
  }
  if (has_file) RemoveFile(key);
  if (taken) Settle(blob, Kind::kLoad, gone);
  if (requests_.any_over()) Later(&Coming::tell, &Spiller::Tell);
  return taken;
}

// ---- files

void Spiller::RemoveFile(const spill::Key& key) {
  around_.disk.Remove(key, [this, key](const Status& removed) {
    if (removed.Is(StatusCode::kNotFound)) return;
    if (!removed.ok()) return RemoveLater(key, removed);
    disk_trouble_ = {};
    no_writes_before_.reset();
    stuck_since_.reset();
    Balance();
  });
}

// It takes room on the disk for nothing until then.
void Spiller::RemoveLater(const spill::Key& key, const Status& why) {
  constexpr std::chrono::seconds kPause{1};
  constexpr std::chrono::seconds kComplaints{30};
  const os::TimePoint now = os::Clock::now();
  unremoved_.push_back(key);
  remove_again_ = remove_again_.value_or(now + kPause);
  around_.rearm();
  if (remove_complained_ && now < *remove_complained_ + kComplaints) return;
  remove_complained_ = now;
  log::Warning("a file of a spilled object that is gone can't be removed",
               {{"file", spill::FileName(key)}, {"why", why.message()}});
}

void Spiller::RemoveAgain(os::TimePoint now) {
  constexpr size_t kAtOnce = 64;
  if (!remove_again_ || now < *remove_again_) return;
  remove_again_.reset();
  for (size_t n = 0; n < kAtOnce && !unremoved_.empty(); ++n) {
    const spill::Key key = unremoved_.front();
    unremoved_.pop_front();
    // Its id was given again after the ledger was lost: the new one's file takes its place.
    const Extent* extent = Find(key.id);
    if (extent == nullptr || KeyOf(*extent) != key) RemoveFile(key);
  }
  if (!unremoved_.empty()) remove_again_ = now;
}

// ---- recovery

bool Spiller::HasFile(const Extent& extent) const {
  return around_.disk.LengthOf(KeyOf(extent)) == spill::FileLength(0, extent.size);
}

uint64_t Spiller::RemoveOrphans(Others others) {
  uint64_t count = 0;
  for (const spill::Key& key : around_.disk.Keys()) {
    if (key.kind != kExtentFile) continue;
    const Extent* extent = Find(key.id);
    if (extent != nullptr && extent->on_disk && KeyOf(*extent) == key) continue;
    if (key.instance != around_.instance && others == Others::kLeave) continue;
    ++count;
    if (key.instance != around_.instance) {
      RemoveFile(key);
      continue;
    }
    // Where the ledger was lost too its id may be given again.
    ++removing_;
    around_.disk.Remove(key, [this, key](const Status& removed) {
      if (!removed.ok() && !removed.Is(StatusCode::kNotFound)) RemoveLater(key, removed);
      RoomWasMade();
    });
  }
  return count;
}

// ---- figures

void Spiller::CountSpilled(const Extent& extent, int by) {
  Spilled& spilled = spilled_[extent.volume];
  if (by > 0) {
    spilled.bytes += extent.pages;
    ++spilled.extents;
  } else {
    spilled.bytes -= extent.pages;
    --spilled.extents;
  }
}

Spiller::Spilled Spiller::SpilledOf(uint64_t volume) const {
  const auto it = spilled_.find(volume);
  return it == spilled_.end() ? Spilled() : it->second;
}

MemoryWaits Spiller::Waits() const {
  MemoryWaits waits;
  for (const auto& [ticket, request] : requests_.all()) {
    if (request.over) continue;
    uint64_t bytes = 0;
    for (const uint64_t blob : request.awaited) {
      const auto it = around_.extents.find(blob);
      if (it != around_.extents.end()) bytes += it->second->pages;
    }
    waits[ticket] = {MemoryWait::Kind::kDisk, bytes, request.deadline};
  }
  return waits;
}

std::string Spiller::Explain() const {
  std::unordered_set<uint64_t> mapped_blobs;
  for (const auto& [key, client] : around_.clients.all()) {
    mapped_blobs.insert(client->mapped.begin(), client->mapped.end());
  }
  uint64_t mapped = 0;
  uint64_t pinned = 0;
  uint64_t kept = 0;
  for (const auto& [blob, extent] : around_.extents) {
    if (!IsInMemory(*extent)) continue;
    if (extent->pins > 0) {
      pinned += extent->pages;
    } else if (extent->kept > 0) {
      kept += extent->pages;
    } else if (mapped_blobs.contains(blob)) {
      mapped += extent->pages;
    }
  }
  uint64_t spilled = 0;
  for (const auto& [volume, of_it] : spilled_) spilled += of_it.bytes;
  std::string text =
      fmt::format("; {} mapped by clients, {} pinned, {} kept by names; {} on disk",
                  FormatSize(mapped), FormatSize(pinned), FormatSize(kept), FormatSize(spilled));
  if (!disk_trouble_.ok())
    text += fmt::format("; nothing can be spilled: {}", disk_trouble_.message());
  return text;
}

}  // namespace vineyard::store
