// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What of a volume is durable: what becomes so together, and what the disk is told of.
#include <algorithm>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "store/references.h"
#include "store/volume.h"

namespace vineyard::store {

using layout::Answer;
using layout::RecordFields;
using layout::RecordKind;
using layout::Ref;

namespace {

// Records that one change makes durable. Their files are written before it is answered.
constexpr size_t kMostAtOnce = 4096;

}  // namespace

Status Volume::CheckDurable(bool lives_with_client, bool to_stream) const {
  if (lives_with_client) {
    return Status::Invalid(
        "what lingers after its client lives in memory only: a client does not outlive the "
        "machine; "
        "leave out linger, or durability=disk");
  }
  if (to_stream) {
    return Status::Invalid(
        "streams live in memory only, and so do their chunks; leave out durability=disk");
  }
  if (durable() || id_ == kDefaultVolume) return {};
  return Status::FailedPrecondition(
      fmt::format("volume '{}' lives in memory only, and so does all that is in it; create it with "
                  "durability=disk",
                  name_));
}

Result<std::vector<uint64_t>> Volume::NotDurable(std::span<const uint64_t> ids) const {
  std::vector<uint64_t> found;
  std::unordered_set<uint64_t> seen;
  std::vector<uint64_t> left;
  for (uint64_t id : ids) {
    // A small object's own blob has no entry; the object's record has its bytes.
    if (ObjectId(id).is_blob() && !entries_.contains(id)) id = ObjectId(id).owner_of_blob().value();
    if (!entries_.contains(id)) {
      return Status::NotFound(
          fmt::format("no object {} in volume '{}'", ObjectId(id).ToString(), name_));
    }
    if (seen.insert(id).second) left.push_back(id);
  }
  while (!left.empty()) {
    const uint64_t id = left.back();
    left.pop_back();
    const Entry& entry = entries_.at(id);
    if (IsDurable(entry.ref)) continue;  // and then its parts are
    if (found.size() == kMostAtOnce) {
      return Status::LimitExceeded(fmt::format(
          "more than {} objects would become durable at once; make parts of them durable first",
          kMostAtOnce));
    }
    found.push_back(id);
    for (const uint64_t part : ChildrenOf(id, entry).parts) {
      if (entries_.contains(part) && seen.insert(part).second) left.push_back(part);
    }
  }
  return found;
}

Result<Volume::Restaged> Volume::StageDurable(Transaction& tx, std::span<const uint64_t> ids,
                                              uint8_t flags) const {
  VY_ASSIGN_OR_RETURN(const std::vector<uint64_t> all, NotDurable(ids));
  Restaged restaged;
  for (const uint64_t id : all) {
    const bool is_root = std::ranges::find(ids, id) != ids.end();
    const auto more = static_cast<uint8_t>(layout::kFlagDurable | (is_root ? flags : 0));
    VY_ASSIGN_OR_RETURN(const Ref ref, StageFlagged(tx, entries_.at(id), more));
    restaged.emplace_back(id, ref);
  }
  return restaged;
}

void Volume::TakeRestaged(const Restaged& restaged) {
  for (const auto& [id, ref] : restaged) entries_.at(id).ref = ref;
}

Result<Answer> Volume::MakeDurable(const Request& request, std::span<const uint64_t> ids) {
  VY_RETURN_IF_ERROR(CheckDurable(false, false));
  Transaction tx(*this);
  VY_ASSIGN_OR_RETURN(const Restaged restaged, StageDurable(tx, ids));
  const Answer answer{request.number, 0, restaged.size(), 0};
  VY_RETURN_IF_ERROR(tx.Commit(host_.ledger(), &host_.clients(), request.client, answer));
  TakeRestaged(restaged);
  return answer;
}

void Volume::NoteDurable(const layout::IntentChange& change) {
  const Ref was(change.was);
  const Ref now(change.now);
  const bool is = !now.is_null() && IsDurable(now);
  if (!is && (was.is_null() || !IsDurable(was))) return;
  const Ref ref = is ? now : was;
  if (ref.kind() == RecordKind::kName) {
    const auto head = layout::HeadOf(arenas_.At(ref));
    // What it pointed to may have come to the disk as something that is nothing without that name.
    const uint64_t before = was.is_null() ? 0 : layout::FieldsOf(arenas_.At(was)).value;
    const Entry* target = Find(ObjectId(before));
    if (target != nullptr && target->owned && IsDurable(target->ref)) {
      host_.DurableEntryChanged(*this, ObjectId(before), true);
    }
    host_.DurableNameChanged(*this, {reinterpret_cast<const char*>(head.data()), head.size()});
  } else if (ref.kind() != RecordKind::kStream) {
    host_.DurableEntryChanged(*this, ObjectId(change.key), is);
    // Likewise its parts, where they stay.
    if (is || ref.kind() != RecordKind::kObject) return;
    for (const uint64_t part : ReferredTo(*DescriptorOf(arenas_.At(ref)))) {
      const Entry* entry = Find(ObjectId(part));
      if (entry != nullptr) host_.DurableEntryChanged(*this, ObjectId(part), true);
    }
  }
}

Status Volume::RestoreRecord(RecordFields fields, std::span<const std::byte> head,
                             std::span<const std::byte> bytes) {
  const bool is_name = fields.kind == RecordKind::kName;
  const std::string_view name(reinterpret_cast<const char*>(head.data()), head.size());
  if (is_name) fields.id = NameKeyOf(name);
  const uint64_t size = layout::RecordSize(static_cast<uint32_t>(head.size()), bytes.size());
  VY_ASSIGN_OR_RETURN(const Ref ref, arenas_.Allocate(fields.kind, size));
  layout::WriteRecord(arenas_.At(ref), fields, head, bytes, NextSequence());
  if (!catalog_->index().Reserve(1)) {
    arenas_.Free(ref);
    return Status::OutOfMemory("no room for a larger index");
  }
  const bool applied = is_name ? AdoptName(name, ref) : AdoptEntry(ObjectId(fields.id), ref);
  VY_CHECK(applied);
  return {};
}

}  // namespace vineyard::store
