// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What the store does before a change that is to be durable, and what it tells the mirror of one.
#include <algorithm>
#include <utility>

#include "base/logging.h"
#include "store/store.h"

namespace vineyard::store {

void Store::StartMirror() {
  securing_ = std::make_unique<ExtentSecuring>(*spiller_, *options_.disk, extents_);
  mirror_ = std::make_unique<Mirror>(Mirror::Surroundings{
      .disk = *options_.disk,
      .pool = pool_,
      .find_volume = [this](uint64_t id) { return FindVolume(id); },
      .find_extent = [this](ObjectId blob) { return FindExtent(blob); },
      .file_of = [this](const Extent& extent) { return spiller_->KeyOf(extent); },
      .rearm =
          [this] {
            if (on_deadline) on_deadline();
          }});
}

Status Store::CheckDurable() const {
  if (mirror_ != nullptr) return {};
  return Status::NotSupported(
      "durability=disk needs a folder to write to: start the instance with --spill_path");
}

Result<Store::DurableNeeds> Store::NeedsOf(const Volume& volume,
                                           std::span<const uint64_t> ids) const {
  DurableNeeds needs;
  VY_ASSIGN_OR_RETURN(const std::vector<uint64_t> all, volume.NotDurable(ids));
  for (const uint64_t id : all) {
    const std::byte* record = volume.Record(*volume.Find(ObjectId(id)));
    const layout::RecordFields& f = layout::FieldsOf(record);
    needs.room += Mirror::FileLengthOf(f.head_length, f.bytes_length);
    const bool in_extent = (f.flags & layout::kFlagExtent) != 0;
    if (in_extent && ObjectId(id).is_blob()) needs.extents.emplace_back(id);
  }
  return needs;
}

Result<Store::RoomPromise> Store::PromiseRoom(uint64_t bytes) {
  Disk* disk = options_.disk;
  VY_RETURN_IF_ERROR(disk->Promise(bytes));
  return RoomPromise(nullptr, [disk, bytes](void*) { disk->Unpromise(bytes); });
}

bool Store::IsSecured(const DurableNeeds& needs) {
  return std::ranges::all_of(needs.extents, [this](ObjectId blob) {
    const Extent* extent = FindExtent(blob);
    return extent != nullptr && extent->secured;
  });
}

void Store::NoteSize(Extent& extent, uint64_t size) {
  if (extent.size == size) return;
  // A file of another length is none of what is to be published.
  extent.size = size;
  extent.on_disk = false;
  extent.secured = false;
}

void Store::KeepVolume(uint64_t id, const DurableVolume& volume, std::function<void(Status)> done) {
  std::vector<std::byte> description = EncodeDurableVolume(volume);
  auto room = PromiseRoom(spill::FileLength(description.size(), 0));
  if (!room.ok()) return done(room.status());
  options_.disk->WriteRecord(
      {.volume = id, .kind = kVolumeFile}, std::move(description),
      [room = *room, done = std::move(done)](Status written) { done(std::move(written)); });
}

void Store::UnkeepVolume(uint64_t id) {
  options_.disk->RemoveAll({{.volume = id, .kind = kVolumeFile}}, [](const Status& removed) {
    if (removed.ok()) return;
    log::Warning("the file of a volume that could not be made can't be removed",
                 {{"why", removed.message()}});
  });
}

// ---- VolumeHost

void Store::DurableEntryChanged(Volume& volume, ObjectId id, bool is_durable_now) {
  if (mirror_ == nullptr)
    return;  // this instance was started without a disk; the files stay as they are
  Extent* extent = id.is_blob() ? FindExtent(id) : nullptr;
  std::optional<spill::Key> file;
  if (extent != nullptr && !extent->chunks.empty()) {
    if (is_durable_now) extent->durable = true;
    if (extent->durable) file = spiller_->KeyOf(*extent);
  }
  mirror_->MarkEntry(volume.id(), id.value(), file);
}

void Store::DurableNameChanged(Volume& volume, std::string_view name) {
  if (mirror_ != nullptr) mirror_->MarkName(volume.id(), name);
}

// ---- bytes that nobody asks for

void Store::CheckInBackground(std::vector<ObjectId> blobs) {
  const bool idle = unchecked_.empty();
  unchecked_.insert(unchecked_.end(), blobs.begin(), blobs.end());
  if (idle) CheckNext();
}

void Store::CheckNext() {
  while (!unchecked_.empty()) {
    const ObjectId blob = unchecked_.front();
    const Extent* extent = FindExtent(blob);
    if (extent != nullptr && extent->on_disk) {
      return options_.disk->Check(spiller_->KeyOf(*extent), [this, blob](const Status& status) {
        if (!status.ok()) Checked(blob, status);
        unchecked_.pop_front();
        CheckNext();
      });
    }
    unchecked_.pop_front();
  }
}

// The file has been set aside, and that was said.
void Store::Checked(ObjectId blob, const Status& status) {
  Extent* extent = FindExtent(blob);
  if (extent == nullptr || !status.Is(StatusCode::kCorrupted)) return;
  if (!IsInMemory(*extent)) return spiller_->NoteDamage(*extent, status);
  extent->on_disk = false;
  extent->secured = false;
  SecureAgain({blob});
}

void Store::SecureAgain(const std::vector<ObjectId>& blobs) {
  for (const ObjectId blob : blobs) {
    securing_->Secure({&blob, 1}, [blob](const Status& secured) {
      if (secured.ok()) return;
      log::Error("the bytes of a durable object are in memory only",
                 {{"blob", blob.ToString()}, {"why", secured.message()}});
    });
  }
}

}  // namespace vineyard::store
