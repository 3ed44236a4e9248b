// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Memory that clients keep for later: counted, and taken back when somebody needs it.
#include <algorithm>
#include <chrono>
#include <unordered_set>

#include "layout/idle_table.h"
#include "os/memfd.h"
#include "store/store.h"

namespace vineyard::store {

namespace {

layout::IdleTable* TableOf(const ClientState& client) {
  return reinterpret_cast<layout::IdleTable*>(client.idle.data());
}

}  // namespace

Status Store::ShareIdle(ClientState& client, const os::UniqueFd& file) {
  if (!os::HasFixedSize(file)) return Status::Invalid("a table that can shrink");
  VY_ASSIGN_OR_RETURN(const uint64_t size, os::FileSize(file));
  if (size != sizeof(layout::IdleTable)) {
    return Status::Invalid("a table of idle memory has another size");
  }
  VY_ASSIGN_OR_RETURN(client.idle, os::Mapping::Open(file, size, os::Access::kReadWrite));
  return {};
}

uint64_t Store::IdleBytes(const Volume& volume) {
  uint64_t bytes = 0;
  for (const auto& [key, client] : clients_->all()) {
    if (client->volume == volume.id()) bytes += IdleBytesOf(*client);
  }
  return bytes;
}

uint64_t Store::IdleBytesOf(const ClientState& client) {
  if (!client.idle.valid()) return 0;
  uint64_t bytes = 0;
  std::unordered_set<uint64_t> seen;
  for (const auto& slot : TableOf(client)->slots) {
    const uint64_t blob = slot.load();
    if (blob == 0 || !seen.insert(blob).second) continue;
    const auto idle = FindReservation(client.key, ObjectId(blob));
    if (idle.ok()) bytes += (*idle)->pages;
  }
  return bytes;
}

// Another volume's is left alone where what it gives up would be kept free for it.
uint64_t Store::ClaimIdle(uint64_t bytes, Holder who, Whose whose) {
  uint64_t claimed = 0;
  std::vector<ObjectId> blobs;
  for (const auto& [key, client] : clients_->all()) {
    if (!client->idle.valid()) continue;
    const Holder owner{client->volume};
    const bool is_own = owner == who;
    const bool helps = whose == Whose::kAnybodys && budget_.HelpsToEvict(owner);
    if (!is_own && !helps) continue;
    layout::IdleTable& table = *TableOf(*client);
    for (size_t i = 0; i < layout::IdleTable::kSlots && claimed < bytes; ++i) {
      const ObjectId blob(table.slots[i].load());
      if (blob.value() == 0) continue;
      const auto idle = FindReservation(key, blob);
      if (!idle.ok() || !table.Claim(i, blob.value())) continue;
      (*idle)->claimed = true;
      claimed += (*idle)->pages;
      blobs.push_back(blob);
    }
  }
  for (const ObjectId blob : blobs) FreeExtent(blob);
  return claimed;
}

// What is claimed is not free at once, and what is spare has to be closed first.
os::TimePoint Store::MakeRoom(Holder who, uint64_t bytes, os::TimePoint deadline) {
  constexpr std::chrono::milliseconds kMoment{500};
  const auto coming = [this, who] {
    const uint64_t evicted = spiller_ != nullptr ? spiller_->closing_bytes() : 0;
    return budget_.FreeFor(who) + freeing_bytes_ + evicted;
  };
  if (bytes > coming()) CheckLingering();
  if (bytes > coming()) ClaimIdle(bytes - coming(), who, Whose::kAnybodys);
  // Who waits is provided for by the spiller; who does not gets what takes no writing.
  if (bytes > coming() && spiller_ != nullptr && deadline <= os::Clock::now()) {
    spiller_->EvictClean(bytes - coming());
  }
  return bytes <= coming() ? std::max(deadline, os::Clock::now() + kMoment) : deadline;
}

os::TimePoint Store::MakeRoom(const Volume& volume, uint64_t bytes, os::TimePoint deadline) {
  if (bytes > volume.QuotaLeft()) {
    ClaimIdle(bytes - volume.QuotaLeft(), volume.holder(), Whose::kOwn);
  }
  const os::TimePoint until = MakeRoom(volume.holder(), bytes, deadline);
  return bytes <= volume.QuotaLeft() ? until : deadline;
}

}  // namespace vineyard::store
