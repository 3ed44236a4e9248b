// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/mirror.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include <fmt/format.h>

#include "base/logging.h"
#include "os/crash_point.h"
#include "store/durable_format.h"
#include "store/references.h"

namespace vineyard::store {

using layout::RecordKind;

namespace {

constexpr size_t kMostWriting = 32;
constexpr std::chrono::seconds kPause{1};
constexpr std::chrono::seconds kComplaints{30};

int64_t OnCalendar(os::TimePoint time) {
  using namespace std::chrono;
  const auto from_now = time - os::Clock::now();
  return duration_cast<nanoseconds>(system_clock::now().time_since_epoch() + from_now).count();
}

}  // namespace

// ---- marks

void Mirror::MarkEntry(uint64_t volume, uint64_t id, std::optional<spill::Key> extent) {
  std::optional<spill::Key>& file = entries_[{volume, id}];
  if (extent) file = extent;
  Mark();
}

void Mirror::MarkName(uint64_t volume, std::string_view name) {
  names_.emplace(volume, name);
  Mark();
}

void Mirror::MarkRemovedVolume(uint64_t volume) {
  volumes_.insert(volume);
  Mark();
}

void Mirror::Mark() {
  ++marks_;
  Later();
}

// By way of the pool: in a turn of its own, when the change is whole, and others have made theirs.
void Mirror::Later() {
  if (running_ || next_try_ || std::exchange(coming_, true)) return;
  around_.pool([] {},
               [this] {
                 coming_ = false;
                 Begin();
               });
}

void Mirror::WhenDone(std::function<void(Status)> done) {
  if (!running_ && not_on_disk() == 0) return done({});
  waiters_.push_back({marks_, std::move(done)});
}

void Mirror::Tick(os::TimePoint now) {
  if (!next_try_ || now < *next_try_) return;
  next_try_.reset();
  Later();
}

void Mirror::NoteNameFile(uint64_t volume, std::string_view name, uint64_t file) {
  name_files_[{volume, std::string(name)}] = file;
  NoteUsedNumber(file);
}

// ---- what records say

uint64_t Mirror::FileLengthOf(uint64_t head, uint64_t bytes) {
  return spill::FileLength(DurableRecordLength(head, bytes), 0);
}

std::vector<std::byte> Mirror::DescribeEntry(const Volume& volume, const Entry& entry,
                                             bool needs_referrer) const {
  const std::byte* record = volume.Record(entry);
  DurableRecord durable{.fields = layout::FieldsOf(record),
                        .head = layout::HeadOf(record),
                        .bytes = layout::BytesOf(record),
                        .ends_ns = {},
                        .needs_referrer = needs_referrer};
  const bool in_extent = (durable.fields.flags & layout::kFlagExtent) != 0;
  if (in_extent && durable.fields.kind == RecordKind::kBlob) {
    const Extent* extent = around_.find_extent(ObjectId(durable.fields.id));
    if (extent != nullptr) durable.file_instance = around_.file_of(*extent).instance;
  }
  return EncodeDurableRecord(durable);
}

std::vector<std::byte> Mirror::DescribeName(const Volume& volume, const NameEntry& name) {
  const std::byte* record = volume.arenas().At(name.ref);
  DurableRecord durable{.fields = layout::FieldsOf(record),
                        .head = layout::HeadOf(record),
                        .bytes = {},
                        .ends_ns = {}};
  durable.fields.id = 0;
  if (name.ends) durable.ends_ns = OnCalendar(*name.ends);
  return EncodeDurableRecord(durable);
}

const Entry* Mirror::FindDurable(const Id& id) const {
  const Volume* volume = around_.find_volume(id.first);
  const Entry* entry = volume == nullptr ? nullptr : volume->Find(ObjectId(id.second));
  return entry != nullptr && volume->IsDurable(entry->ref) ? entry : nullptr;
}

std::vector<Mirror::Id> Mirror::PartsOf(const Id& id) const {
  const Entry* entry = FindDurable(id);
  if (entry == nullptr || entry->ref.kind() != RecordKind::kObject) return {};
  const std::byte* record = around_.find_volume(id.first)->Record(*entry);
  std::set<uint64_t> parts = ReferredTo(*DescriptorOf(record));
  if ((layout::FieldsOf(record).flags & layout::kFlagExtent) != 0) {
    parts.insert(ObjectId(id.second).own_blob().value());
  }
  std::vector<Id> ids;
  for (const uint64_t part : parts) ids.emplace_back(id.first, part);
  return ids;
}

// ---- a batch

void Mirror::Begin() {
  if (running_ || next_try_ || not_on_disk() == 0) return;
  running_ = true;
  batch_ = Batch();
  batch_.marks = marks_;
  batch_.entries = std::exchange(entries_, {});
  batch_.names = std::exchange(names_, {});
  batch_.volumes = std::exchange(volumes_, {});
  SortOut();
  os::CrashPoint("mirror.begun");
  WriteVolumes();
}

void Mirror::SortOut() {
  std::map<Id, std::vector<Id>> parts;
  std::vector<spill::Key> extents;
  for (const auto& [id, extent] : batch_.entries) {
    if (FindDurable(id) != nullptr) {
      parts[id] = PartsOf(id);
      continue;
    }
    batch_.gone.push_back(FileOf(id));
    if (extent) extents.push_back(*extent);
  }
  for (auto& [id, of_it] : parts) {
    std::erase_if(of_it, [&](const Id& part) { return !parts.contains(part); });
    batch_.parts.insert(of_it.begin(), of_it.end());
  }
  std::set<Id> added;
  for (const auto& [id, of_it] : parts) AddInOrder(id, parts, added);
  // Wholes have been put after their parts, mostly.
  std::ranges::reverse(batch_.gone);
  for (const Name& name : batch_.names) {
    const Volume* volume = around_.find_volume(name.first);
    const NameEntry* entry = volume == nullptr ? nullptr : volume->FindName(name.second);
    const auto file = name_files_.find(name);
    if (entry != nullptr && volume->IsDurable(entry->ref)) {
      const uint64_t number = file != name_files_.end() ? file->second : next_name_file_++;
      name_files_[name] = number;
      batch_.named.emplace(name.first, entry->id);
      batch_.name_writes.emplace_back(
          spill::Key{.volume = name.first, .id = number, .kind = kNameFile},
          DescribeName(*volume, *entry));
    } else if (file != name_files_.end()) {
      batch_.gone.push_back({.volume = name.first, .id = file->second, .kind = kNameFile});
      batch_.gone_names.push_back(name);
    }
  }
  batch_.gone.insert(batch_.gone.end(), extents.begin(), extents.end());
}

// Without recursion: objects can be parts of parts of parts.
void Mirror::AddInOrder(const Id& id, const std::map<Id, std::vector<Id>>& parts,
                        std::set<Id>& added) {
  std::vector<std::pair<Id, size_t>> path;  // and how many of its parts have been looked at
  if (added.insert(id).second) path.emplace_back(id, 0);
  while (!path.empty()) {
    auto& [at, looked] = path.back();
    const std::vector<Id>& of_it = parts.at(at);
    if (looked < of_it.size()) {
      const Id& next = of_it[looked++];
      if (added.insert(next).second) path.emplace_back(next, 0);
      continue;
    }
    batch_.unfinished.insert(at);
    batch_.writes.push_back({at, of_it});
    path.pop_back();
  }
}

void Mirror::WriteVolumes() {
  batch_.under_way = 1;
  const auto written = [this](const Status& status) {
    if (batch_.status.ok()) batch_.status = status;
    if (--batch_.under_way > 0) return;
    if (!batch_.status.ok()) return End();
    os::CrashPoint("mirror.volumes_written");
    WriteEntries();
  };
  for (const uint64_t volume : batch_.volumes) {
    const spill::Key key{.volume = volume, .kind = kVolumeFile};
    // A volume that was not durable has neither this nor other files that stay.
    if (!around_.disk.Contains(key)) continue;
    ++batch_.under_way;
    around_.disk.WriteRecord(
        key, EncodeDurableVolume({.name = "removed", .removed = true, .sockets = {}}), written);
  }
  written({});
}

void Mirror::WriteEntries() {
  while (batch_.under_way < kMostWriting && batch_.begun < batch_.writes.size() &&
         batch_.status.ok()) {
    const Write& write = batch_.writes[batch_.begun];
    const auto awaits = [this](const Id& part) { return batch_.unfinished.contains(part); };
    if (std::ranges::any_of(write.parts, awaits)) break;
    ++batch_.begun;
    if (!WriteEntry(write)) batch_.unfinished.erase(write.id);
  }
  if (batch_.under_way > 0) return;
  if (!batch_.status.ok()) return End();
  os::CrashPoint("mirror.entries_written");
  WriteNames();
}

// False: it is gone meanwhile, and the next batch removes what there is of it.
bool Mirror::WriteEntry(const Write& write) {
  const Entry* entry = FindDurable(write.id);
  if (entry == nullptr) return false;
  const Volume& volume = *around_.find_volume(write.id.first);
  const spill::Key key = FileOf(write.id);
  // Once it has been there it does not depend on what is written next.
  const bool comes_along =
      batch_.parts.contains(write.id) || (entry->owned != 0 && batch_.named.contains(write.id));
  const bool needs_referrer = comes_along && !around_.disk.Contains(key);
  ++batch_.under_way;
  around_.disk.WriteRecord(key, DescribeEntry(volume, *entry, needs_referrer),
                           [this, id = write.id](const Status& status) {
                             os::CrashPoint("mirror.entry_written");
                             --batch_.under_way;
                             if (batch_.status.ok()) batch_.status = status;
                             batch_.unfinished.erase(id);
                             WriteEntries();
                           });
  return true;
}

void Mirror::WriteNames() {
  while (batch_.under_way < kMostWriting && !batch_.name_writes.empty() && batch_.status.ok()) {
    auto [key, description] = std::move(batch_.name_writes.back());
    batch_.name_writes.pop_back();
    ++batch_.under_way;
    around_.disk.WriteRecord(key, std::move(description), [this](const Status& status) {
      os::CrashPoint("mirror.name_written");
      --batch_.under_way;
      if (batch_.status.ok()) batch_.status = status;
      WriteNames();
    });
  }
  if (batch_.under_way > 0) return;
  if (!batch_.status.ok()) return End();
  os::CrashPoint("mirror.names_written");
  RemoveGone();
}

void Mirror::RemoveGone() {
  if (!batch_.volumes.empty()) {
    std::vector<spill::Key> last;
    for (const spill::Key& key : around_.disk.Keys()) {
      if (!batch_.volumes.contains(key.volume)) continue;
      (key.kind == kVolumeFile ? last : batch_.gone).push_back(key);
    }
    batch_.gone.insert(batch_.gone.end(), last.begin(), last.end());
  }
  if (batch_.gone.empty()) return End();
  around_.disk.RemoveAll(batch_.gone, [this](const Status& status) {
    os::CrashPoint("mirror.removed");
    batch_.status = status;
    End();
  });
}

void Mirror::End() {
  running_ = false;
  Status outcome;
  if (batch_.status.ok()) {
    for (const Name& name : batch_.gone_names) name_files_.erase(name);
    std::erase_if(name_files_,
                  [&](const auto& file) { return batch_.volumes.contains(file.first.first); });
  } else {
    // All of it again: what is there already is written as it is.
    for (const auto& [id, extent] : batch_.entries) {
      std::optional<spill::Key>& file = entries_[id];
      if (!file) file = extent;
    }
    names_.merge(batch_.names);
    volumes_.merge(batch_.volumes);
    const os::TimePoint now = os::Clock::now();
    next_try_ = now + kPause;
    around_.rearm();
    outcome =
        Status::IOError(fmt::format("this has taken effect, and is not on the disk, which fails: "
                                    "{}; it is tried again until it is",
                                    batch_.status.message()));
    if (!complained_ || now >= *complained_ + kComplaints) {
      complained_ = now;
      log::Error("what is durable could not be brought to the disk",
                 {{"records", not_on_disk()}, {"why", batch_.status.message()}});
    }
  }
  const auto first_later = std::ranges::find_if(
      waiters_, [this](const Waiter& waiter) { return waiter.marks > batch_.marks; });
  std::vector<Waiter> over(std::make_move_iterator(waiters_.begin()),
                           std::make_move_iterator(first_later));
  waiters_.erase(waiters_.begin(), first_later);
  if (not_on_disk() > 0) Later();
  for (const Waiter& waiter : over) waiter.done(outcome);
}

}  // namespace vineyard::store
