// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What the spiller is told and asked: uses, pins, deletions, and who waits for what.
#include "store/spiller.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/size.h"

namespace vineyard::store {

Spiller::~Spiller() {
  for (const auto& [blob, job] : loads_) around_.budget.Cancel(job->budget_id);
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

// ---- requests

// Its callback is called last: it may ask for something else, or end others.
void Spiller::End(uint64_t ticket, Status status) {
  auto node = requests_.extract(ticket);
  if (node.empty()) return;
  StopWanting(node.mapped());
  node.mapped().done(std::move(status));
}

void Spiller::Cancel(uint64_t ticket) {
  const auto node = requests_.extract(ticket);
  if (!node.empty()) StopWanting(node.mapped());
}

void Spiller::StopWanting(const Request& request) {
  if (request.kind == Request::Kind::kEvict) return;
  for (const uint64_t blob : request.blobs) {
    Extent* extent = Find(blob);
    if (extent == nullptr) continue;
    if (--extent->wanted == 0 && request.missing.contains(blob)) ForgetLoad(*extent);
  }
}

std::vector<uint64_t> Spiller::WhoWaitFor(uint64_t blob, Request::Kind kind) const {
  std::vector<uint64_t> tickets;
  for (const auto& [ticket, request] : requests_) {
    if (request.kind == kind && request.missing.contains(blob)) tickets.push_back(ticket);
  }
  return tickets;
}

void Spiller::Settle(uint64_t blob, Request::Kind kind, const Status& status) {
  for (const uint64_t ticket : WhoWaitFor(blob, kind)) {
    const auto it = requests_.find(ticket);
    if (it == requests_.end()) continue;  // another one's callback has ended it
    Request& request = it->second;
    request.missing.erase(blob);
    if (request.status.ok()) request.status = status;
    // A load needs them all; an eviction goes on with the others.
    const bool fails = kind == Request::Kind::kLoad && !status.ok();
    if (fails || request.missing.empty()) {
      Status outcome = request.status;
      End(ticket, std::move(outcome));
    }
  }
}

std::optional<os::TimePoint> Spiller::NextLook() const {
  std::optional<os::TimePoint> next = look_again();
  for (const auto& [ticket, request] : requests_) {
    next = next ? std::min(*next, request.deadline) : request.deadline;
  }
  return next;
}

void Spiller::Tick(os::TimePoint now) {
  std::vector<uint64_t> late;
  for (const auto& [ticket, request] : requests_) {
    if (request.deadline <= now) late.push_back(ticket);
  }
  for (const uint64_t ticket : late) {
    const auto it = requests_.find(ticket);
    if (it != requests_.end()) End(ticket, WhyLate(it->second));
  }
  Balance(now);
}

Status Spiller::WhyLate(const Request& request) const {
  uint64_t wanting_memory = 0;
  for (const uint64_t blob : request.missing) {
    const auto job = loads_.find(blob);
    if (job != loads_.end() && job->second->budget_id != 0) wanting_memory += job->second->pages;
  }
  if (wanting_memory > 0) {
    return Status::OutOfMemory("no memory to bring a spilled object back: " +
                               around_.explain(wanting_memory));
  }
  return Status::DeadlineExceeded(fmt::format(
      "{} of {} extents are still being {}", request.missing.size(), request.blobs.size(),
      request.kind == Request::Kind::kEvict ? "written to the disk" : "read from the disk"));
}

// ---- deletions

bool Spiller::TakeDeleted(std::unique_ptr<Extent>& extent) {
  const uint64_t blob = extent->blob.value();
  const Status gone = Status::NotFound(extent->blob.ToString() + " has been deleted meanwhile");
  const spill::Key key = KeyOf(*extent);
  const bool has_file = extent->on_disk;
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
    case ExtentState::kLoading: {
      CountSpilled(*extent, -1);
      const auto node = loads_.extract(blob);
      node.mapped()->deleted = true;
      if (const Budget::Id id = std::exchange(node.mapped()->budget_id, 0); id != 0) {
        around_.budget.Cancel(id);
        // Who is let in now may change the volume, and this may be in the midst of a change of it.
        around_.pool([] {}, [this] { around_.budget.Pump(); });
      }
      break;
    }
    case ExtentState::kMaking:
    case ExtentState::kReserved:
    case ExtentState::kSealed:
    case ExtentState::kLingering: taken = false; break;
  }
  if (has_file) RemoveFile(key);
  if (taken) Settle(blob, Request::Kind::kLoad, gone);
  return taken;
}

void Spiller::RemoveFile(const spill::Key& key) {
  around_.disk.Remove(key, [this](const Status& removed) {
    if (!removed.ok()) return;
    disk_trouble_ = {};
    no_writes_before_.reset();
    stuck_since_.reset();
    Balance();
  });
}

// ---- recovery

bool Spiller::HasFile(uint64_t volume, ObjectId blob) const {
  return around_.disk.Contains({.volume = volume, .id = blob.value(), .kind = kExtentFile});
}

uint64_t Spiller::RemoveOrphans() {
  uint64_t count = 0;
  for (const spill::Key& key : around_.disk.Keys()) {
    if (key.kind != kExtentFile) continue;
    const Extent* extent = Find(key.id);
    if (extent != nullptr && extent->volume == key.volume && extent->on_disk) continue;
    ++count;
    RemoveFile(key);
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

std::string Spiller::Explain() const {
  std::unordered_set<uint64_t> mapped_blobs;
  for (const auto& [key, client] : around_.clients.all()) {
    mapped_blobs.insert(client->mapped.begin(), client->mapped.end());
  }
  uint64_t mapped = 0;
  uint64_t pinned = 0;
  for (const auto& [blob, extent] : around_.extents) {
    if (!IsInMemory(*extent)) continue;
    if (extent->pins > 0) {
      pinned += extent->pages;
    } else if (mapped_blobs.contains(blob)) {
      mapped += extent->pages;
    }
  }
  uint64_t spilled = 0;
  for (const auto& [volume, of_it] : spilled_) spilled += of_it.bytes;
  std::string text = fmt::format("; {} mapped by clients, {} pinned; {} on disk",
                                 FormatSize(mapped), FormatSize(pinned), FormatSize(spilled));
  if (!disk_trouble_.ok())
    text += fmt::format("; nothing can be spilled: {}", disk_trouble_.message());
  return text;
}

}  // namespace vineyard::store
