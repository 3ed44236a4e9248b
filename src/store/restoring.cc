// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/restoring.h"

#include <algorithm>
#include <chrono>
#include <random>

#include <fmt/format.h>

#include "store/references.h"

namespace vineyard::store {

using layout::RecordKind;

namespace {

constexpr size_t kMostLines = 20;

/// Of a time of the calendar, which may have passed.
os::TimePoint OnOurClock(int64_t ns) {
  using namespace std::chrono;
  const nanoseconds now = system_clock::now().time_since_epoch();
  return os::Clock::now() + duration_cast<os::Clock::duration>(nanoseconds(ns) - now);
}

std::string_view NameIn(const DurableRecord& record) {
  return {reinterpret_cast<const char*>(record.head.data()), record.head.size()};
}

}  // namespace

// ---- reading

Status Restoring::Read() {
  VY_ASSIGN_OR_RETURN(RecordFiles files, store_.options_.disk->ReadRecords());
  for (const spill::Key& key : files.damaged) {
    NoteNextId(key);
    ++report_.set_aside;  // and said
    if (key.kind == kVolumeFile) damaged_volumes_.insert(key.volume);
    if (key.kind == kEntryFile) gone_.emplace(key.volume, key.id);
    if (key.kind == kNameFile) store_.mirror_->NoteUsedNumber(key.id);
  }
  for (const spill::Key& key : files.left) Leave(key, "it can't be read by this program");
  for (spill::Found& found : files.found) Understand(found);
  for (const spill::Key& key : store_.options_.disk->Keys()) {
    if (key.kind == kExtentFile) NoteNextId(key);
  }
  return {};
}

void Restoring::Understand(spill::Found& found) {
  NoteNextId(found.key);
  if (found.key.kind == kNameFile) store_.mirror_->NoteUsedNumber(found.key.id);
  const auto refuse = [&](const Status& why) {
    if (why.Is(StatusCode::kNotSupported)) return Leave(found.key, why.ToString());
    if (found.key.kind == kVolumeFile) damaged_volumes_.insert(found.key.volume);
    SetAside(found.key, why.ToString());
  };
  if (found.key.kind == kVolumeFile) {
    auto volume = DecodeDurableVolume(found.description);
    if (!volume.ok()) return refuse(volume.status());
    volumes_[found.key.volume] = std::move(*volume);
    return;
  }
  auto record = DecodeDurableRecord(found.description);
  if (!record.ok()) return refuse(record.status());
  const bool is_name = record->fields.kind == RecordKind::kName;
  const bool agrees =
      found.key.kind == kNameFile ? is_name : !is_name && record->fields.id == found.key.id;
  if (!agrees) return refuse(Status::Corrupted("it holds another record than its name says"));
  Files& files = is_name ? names_ : entries_;
  files[found.key.volume].push_back(
      {found.key, found.written_ns, std::move(found.description), *record});
  if (record->file_instance != 0) {
    instances_[{found.key.volume, found.key.id}] = record->file_instance;
  }
}

// Ids do not begin anew, nor do those of volumes.
void Restoring::NoteNextId(const spill::Key& key) {
  store_.next_volume_ = std::max(store_.next_volume_, key.volume + 1);
  if (key.kind != kEntryFile && key.kind != kExtentFile) return;
  const uint64_t number = ObjectId(key.id).owner_of_blob().value();
  if (number >= uint64_t{1} << 48 || number < store_.next_id_) return;
  store_.next_id_ = number + 1;
  store_.ledger_.header().next_id.store(store_.next_id_, std::memory_order_relaxed);
}

uint64_t Restoring::InstanceOf(uint64_t volume, uint64_t blob) const {
  const auto it = instances_.find({volume, blob});
  return it == instances_.end() ? 0 : it->second;
}

void Restoring::SetAside(const spill::Key& key, const std::string& why) {
  store_.options_.disk->SetAside(key, Status::Corrupted(why));
  untouched_.insert(key);
  ++report_.set_aside;
  if (key.kind == kEntryFile) gone_.emplace(key.volume, key.id);
}

void Restoring::Leave(const spill::Key& key, const std::string& why) {
  ++report_.left;
  leaves_files_ = true;
  untouched_.insert(key);
  NoteNextId(key);
  if (key.kind == kVolumeFile) left_volumes_.insert(key.volume);
  if (key.kind == kEntryFile) left_.emplace(key.volume, key.id);
  if (key.kind == kNameFile) store_.mirror_->NoteUsedNumber(key.id);
  if (report_.lines.size() < kMostLines) {
    report_.lines.push_back(fmt::format("{} stays on the disk: {}", spill::FileName(key), why));
  }
}

// ---- volumes

size_t Restoring::Run(const Taken& taken) {
  cold_ = taken.cold;
  std::set<uint64_t> ids;
  for (const auto& [id, volume] : volumes_) ids.insert(id);
  for (const Files* files : {&entries_, &names_}) {
    for (const auto& [id, of_it] : *files) ids.insert(id);
  }
  for (const auto& [id, volume] : store_.volumes_) ids.insert(id);
  size_t opening = 0;
  for (const uint64_t id : ids) {
    if (left_volumes_.contains(id)) continue;
    const auto described = volumes_.find(id);
    const bool is_removed = described != volumes_.end() && described->second.removed;
    if (Volume* volume = store_.FindVolume(id)) {
      RestoreRecords(*volume, &taken.damaged);
      if (volume->durable() && described == volumes_.end()) {
        report_.lines.push_back(fmt::format(
            "the file of volume '{}' is not there: the volume will not be brought back after this "
            "instance's end",
            volume->name()));
      }
    } else if (is_removed ||
               (described != volumes_.end() && !taken.cold && !taken.lost_volumes.contains(id))) {
      // Its removal was not finished, or it was never made.
      ++report_.outdated;
      store_.mirror_->MarkRemovedVolume(id);
    } else if (id != kDefaultVolume && described == volumes_.end()) {
      LoseVolume(id);
    } else if (MakeVolume(id)) {
      ++opening;
      RestoreRecords(*store_.FindVolume(id), nullptr);
      DropNameless(*store_.FindVolume(id));
    }
  }
  KeepOrphans();
  return opening;
}

// Bytes whose record is damaged may be all that somebody has.
void Restoring::KeepOrphans() {
  if (gone_.empty()) return;
  for (const spill::Key& key : store_.options_.disk->Keys()) {
    if (key.kind != kExtentFile || !gone_.contains({key.volume, key.id})) continue;
    const Volume* volume = store_.FindVolume(key.volume);
    if (volume != nullptr && volume->Find(ObjectId(key.id)) != nullptr) continue;
    SetAside(key, "the record of these bytes is damaged");
  }
}

// Without the volume's own file nobody knows what it was.
void Restoring::LoseVolume(uint64_t id) {
  std::set<uint64_t> blobs;
  for (Files* files : {&entries_, &names_}) {
    for (const File& file : Of(*files, id)) {
      blobs.insert(file.key.id);
      SetAside(file.key, fmt::format("the file of its volume ({}) is not there", id));
    }
  }
  for (const spill::Key& key : store_.options_.disk->Keys()) {
    if (key.volume == id && key.kind == kExtentFile && blobs.contains(key.id)) {
      SetAside(key, fmt::format("the file of its volume ({}) is not there", id));
    }
  }
}

bool Restoring::MakeVolume(uint64_t id) {
  CatalogSpec spec;
  spec.volume = id;
  spec.expected_entries = Of(entries_, id).size() + Of(names_, id).size();
  if (id == kDefaultVolume) {
    std::random_device random;
    spec.name = "default";
    spec.guaranteed = store_.options_.guaranteed;
    spec.hash_seed = uint64_t{random()} << 32 | random();
  } else {
    const DurableVolume& volume = volumes_.at(id);
    spec.name = volume.name;
    spec.quota = volume.quota;
    spec.guaranteed = volume.guaranteed;
    spec.hash_seed = volume.hash_seed;
    spec.durable = true;
  }
  if (Status fits = store_.CheckGuarantee(spec); !fits.ok()) {
    report_.lines.push_back(fmt::format("the guarantee of volume '{}' is less than it was: {}",
                                        spec.name, fits.message()));
    spec.guaranteed =
        std::min(spec.guaranteed, store_.budget_.limit() - store_.budget_.guaranteed());
    if (spec.quota != 0) spec.guaranteed = std::min(spec.guaranteed, spec.quota);
  }
  Status made = store_.CreateVolume(spec, [this](const Result<Volume*>&) { opened_(); });
  if (!made.ok()) {
    leaves_files_ = true;
    ++report_.left;
    report_.lines.push_back(
        fmt::format("volume '{}' stays on the disk: {}", spec.name, made.ToString()));
    return false;
  }
  ++report_.volumes;
  return true;
}

// ---- records

// Whole after its parts, however they are ordered.
void Restoring::RestoreRecords(Volume& volume, const Keys* only) {
  const auto wanted = [&](const File& file) {
    return only == nullptr || (only->contains({volume.id(), file.key.id}) &&
                               volume.Find(ObjectId(file.key.id)) == nullptr);
  };
  std::vector<const File*> objects;
  for (const File& file : Of(entries_, volume.id())) {
    if (!wanted(file)) continue;
    if (file.record.fields.kind == RecordKind::kObject) {
      objects.push_back(&file);
    } else {
      RestoreEntry(volume, file, RestoreBlob(volume, file));
    }
  }
  std::ranges::sort(objects, {}, [](const File* file) { return file->key.id; });
  const auto parts_of = [](const File& file) {
    std::set<uint64_t> parts =
        ReferredTo(*flatbuffers::GetRoot<fb::Descriptor>(file.record.head.data()));
    if ((file.record.fields.flags & layout::kFlagExtent) != 0) {
      parts.insert(ObjectId(file.key.id).own_blob().value());
    }
    return parts;
  };
  for (size_t before = objects.size() + 1; objects.size() < before;) {
    before = objects.size();
    std::erase_if(objects, [&](const File* file) {
      const auto is_there = [&](uint64_t part) { return volume.Find(ObjectId(part)) != nullptr; };
      if (!std::ranges::all_of(parts_of(*file), is_there)) return false;
      const layout::RecordFields& f = file->record.fields;
      RestoreEntry(volume, *file, volume.RestoreRecord(f, file->record.head, file->record.bytes));
      return true;
    });
  }
  // The rest lacks something. What stays on the disk takes along what it is a part of.
  for (bool found = true; found;) {
    found = false;
    for (const File* file : objects) {
      const auto is_left = [&](uint64_t part) { return left_.contains({volume.id(), part}); };
      if (left_.contains({volume.id(), file->key.id})) continue;
      if (!std::ranges::any_of(parts_of(*file), is_left)) continue;
      Leave(file->key, "a part of it stays there");
      found = true;
    }
  }
  for (const File* file : objects) {
    if (!left_.contains({volume.id(), file->key.id}))
      SetAside(file->key, "a part of it is not there");
  }
  volume.DeriveReferences();
  std::vector<File>& names = Of(names_, volume.id());
  std::ranges::sort(names, std::greater(), &File::written_ns);  // of two of one name, the newer
  for (const File& file : names) {
    const uint64_t key = layout::NameKey(NameIn(file.record), volume.catalog().header().hash_seed);
    if (only == nullptr || only->contains({volume.id(), key})) RestoreName(volume, file);
  }
}

Status Restoring::RestoreBlob(Volume& volume, const File& file) {
  const layout::RecordFields& f = file.record.fields;
  if ((f.flags & layout::kFlagExtent) != 0) {
    auto extent = std::make_unique<Extent>();
    extent->blob = ObjectId(f.id);
    extent->volume = volume.id();
    extent->size = f.value;
    extent->state = ExtentState::kSpilled;
    extent->on_disk = extent->secured = extent->durable = true;
    extent->file_instance = file.record.file_instance;
    const std::span chunks(reinterpret_cast<const layout::ChunkEntry*>(file.record.head.data()),
                           file.record.head.size() / sizeof(layout::ChunkEntry));
    for (const layout::ChunkEntry& chunk : chunks) {
      extent->pages += chunk.size;
      extent->chunks.push_back({{}, chunk.size});
    }
    if (!store_.spiller_->HasFile(*extent)) return Status::Corrupted("its bytes are not there");
    VY_RETURN_IF_ERROR(volume.RestoreRecord(f, file.record.head, {}));
    volume.NoteUsage(extent->pages, 0);
    store_.spiller_->CountSpilled(*extent, 1);
    store_.extents_[f.id] = std::move(extent);
    return {};
  }
  return volume.RestoreRecord(f, {}, file.record.bytes);
}

void Restoring::RestoreEntry(Volume& volume, const File& file, const Status& restored) {
  if (restored.Is(StatusCode::kCorrupted)) return SetAside(file.key, restored.ToString());
  if (!restored.ok()) {
    return Leave(file.key, fmt::format("volume '{}': {}; start the instance with a larger --size",
                                       volume.name(), restored.message()));
  }
  if (file.record.fields.kind == RecordKind::kObject) ++report_.objects;
}

void Restoring::RestoreName(Volume& volume, const File& file) {
  const DurableRecord& record = file.record;
  const std::string_view name = NameIn(record);
  const std::pair target{volume.id(), record.fields.value};
  if (left_.contains(target)) return Leave(file.key, "what it points to stays there");
  if (gone_.contains(target)) {
    return SetAside(file.key, fmt::format("what name '{}' points to is damaged", name));
  }
  if (volume.FindName(name) != nullptr) {
    return SetAside(file.key, fmt::format("there are two files of name '{}'", name));
  }
  store_.mirror_->NoteNameFile(volume.id(), name, file.key.id);
  if (volume.Find(ObjectId(record.fields.value)) == nullptr) {
    // Its object was being deleted.
    ++report_.outdated;
    return store_.mirror_->MarkName(volume.id(), name);
  }
  layout::NameTerm term;
  if (record.ends_ns) term.ends_ns = OnOurClock(*record.ends_ns).time_since_epoch().count();
  const auto bytes = layout::WriteNameTerm(term);
  Status restored = volume.RestoreRecord(record.fields, record.head, bytes);
  if (!restored.ok()) return Leave(file.key, restored.ToString());
  ++report_.names;
}

// What came with a name, or an object, that was not written any more, or was taken from it. Where something may
// refer to it that could not be brought back, it stays, from now on by itself.
void Restoring::DropNameless(Volume& volume) {
  std::set<uint64_t> named;  // on the disk, if not in memory
  for (const File& file : Of(names_, volume.id())) named.insert(file.record.fields.value);
  const auto is_here = [&](const auto& key) { return key.first == volume.id(); };
  const bool lacks_some =
      std::ranges::any_of(gone_, is_here) || std::ranges::any_of(left_, is_here);
  for (const File& file : Of(entries_, volume.id())) {
    const Entry* entry = volume.Find(ObjectId(file.key.id));
    if (entry == nullptr || !file.record.needs_referrer || entry->names > 0 || entry->parents > 0)
      continue;
    if (named.contains(file.key.id)) continue;
    ++report_.outdated;
    if (lacks_some) {
      store_.mirror_->MarkEntry(volume.id(), file.key.id, {});
      continue;
    }
    volume.Delete({}, {&file.key.id, 1}, true, false).status().IgnoreError();  // another time
  }
}

// ---- beside what was taken over from memory

void Restoring::CompareEntries(Volume& volume) {
  std::set<uint64_t> same;
  for (const File& file : Of(entries_, volume.id())) {
    if (untouched_.contains(file.key)) continue;
    const Entry* entry = volume.Find(ObjectId(file.key.id));
    const bool is_durable = entry != nullptr && volume.IsDurable(entry->ref);
    if (is_durable &&
        store_.mirror_->DescribeEntry(volume, *entry, file.record.needs_referrer) == file.bytes) {
      same.insert(file.key.id);
      continue;
    }
    if (is_durable) continue;
    std::optional<spill::Key> extent;
    if (ObjectId(file.key.id).is_blob() && (file.record.fields.flags & layout::kFlagExtent) != 0) {
      extent = spill::Key{.volume = volume.id(),
                          .id = file.key.id,
                          .kind = kExtentFile,
                          .instance = file.record.file_instance};
    }
    ++report_.outdated;
    store_.mirror_->MarkEntry(volume.id(), file.key.id, extent);
  }
  for (const auto& [id, entry] : volume.entries()) {
    if (!volume.IsDurable(entry.ref) || same.contains(id)) continue;
    ++report_.outdated;
    store_.mirror_->MarkEntry(volume.id(), id, {});
  }
}

void Restoring::CompareNames(Volume& volume) {
  std::set<std::string_view> same;
  for (const File& file : Of(names_, volume.id())) {
    if (untouched_.contains(file.key)) continue;
    const std::string_view name = NameIn(file.record);
    store_.mirror_->NoteNameFile(volume.id(), name, file.key.id);
    const NameEntry* entry = volume.FindName(name);
    if (entry != nullptr && volume.IsDurable(entry->ref) && entry->id == file.record.fields.value &&
        entry->version == file.record.fields.version &&
        entry->ends.has_value() == file.record.ends_ns.has_value()) {
      same.insert(name);
      continue;
    }
    ++report_.outdated;
    store_.mirror_->MarkName(volume.id(), name);
  }
  for (const auto& [name, entry] : volume.names()) {
    if (!volume.IsDurable(entry.ref) || same.contains(name)) continue;
    ++report_.outdated;
    store_.mirror_->MarkName(volume.id(), name);
  }
}

void Restoring::Finish() {
  std::vector<ObjectId> to_check;
  std::vector<ObjectId> to_write;
  for (const auto& [id, volume] : store_.volumes_) {
    CompareEntries(*volume);
    CompareNames(*volume);
    for (const auto& [key, entry] : volume->entries()) {
      Extent* extent = ObjectId(key).is_blob() && volume->IsDurable(entry.ref)
                           ? store_.FindExtent(ObjectId(key))
                           : nullptr;
      if (extent == nullptr || extent->chunks.empty()) continue;
      extent->durable = true;
      extent->secured = extent->on_disk;
      (extent->on_disk ? to_check : to_write).push_back(extent->blob);
    }
  }
  store_.unrestored_ = {report_.set_aside, report_.left};
  store_.SecureAgain(to_write);
  if (cold_) store_.CheckInBackground(std::move(to_check));
}

}  // namespace vineyard::store
