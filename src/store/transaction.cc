// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/transaction.h"

#include "os/crash_point.h"
#include "store/volume.h"

namespace vineyard::store {

using layout::Ref;

Transaction::~Transaction() {
  if (committed_) return;
  for (const Ref ref : staged_) volume_.arenas().Free(ref);
}

Result<Ref> Transaction::Stage(const layout::RecordFields& fields, std::span<const std::byte> head,
                               std::span<const std::byte> bytes) {
  const uint64_t size = layout::RecordSize(static_cast<uint32_t>(head.size()), bytes.size());
  VY_ASSIGN_OR_RETURN(const Ref ref, volume_.arenas().Allocate(fields.kind, size));
  layout::WriteRecord(volume_.arenas().At(ref), fields, head, bytes, volume_.NextSequence());
  staged_.push_back(ref);
  os::CrashPoint("record.written");
  return ref;
}

void Transaction::Change(uint64_t key, Ref was, Ref now) {
  if (was.is_null()) ++links_;
  changes_.push_back({volume_.id(), key, was.value(), now.value()});
}

Status Transaction::Commit(layout::Ledger ledger, ClientTable* clients, const ClientState* client,
                           const layout::Answer& answer) {
  layout::IndexWriter& index = volume_.catalog().index();
  if (changes_.size() > layout::kMaxChanges) {
    return Status::LimitExceeded("this changes " + std::to_string(changes_.size()) +
                                 " entries at once; the limit is " +
                                 std::to_string(layout::kMaxChanges));
  }
  if (!index.Reserve(links_)) return Status::OutOfMemory("no room for a larger index");
  os::CrashPoint("commit.before");
  ledger.Publish(client ? client->key : 0, answer, changes_);
  committed_ = true;
  os::CrashPoint("commit.published");
  for (const layout::IntentChange& c : changes_) {
    VY_CHECK(index.Apply(c.key, Ref(c.was), Ref(c.now)));
    os::CrashPoint("commit.between_changes");
  }
  os::CrashPoint("commit.applied");
  if (client != nullptr) clients->Note(*client, answer);
  os::CrashPoint("commit.noted");
  ledger.Clear();
  os::CrashPoint("commit.cleared");
  for (const layout::IntentChange& c : changes_) {
    if (!moves_) volume_.NoteDurable(c);
    if (!moves_) volume_.NoteChange();
    if (c.was != 0) volume_.arenas().Free(Ref(c.was));
  }
  return {};
}

}  // namespace vineyard::store
