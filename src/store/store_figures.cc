// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What the store says of its memory: see figures.h.
#include <algorithm>

#include "store/store.h"

namespace vineyard::store {

VolumeMemory Store::MemoryOf(const Volume& volume) {
  VolumeMemory memory;
  uint64_t reserved = 0;
  for (const auto& [key, client] : clients_->all()) {
    if (client->volume != volume.id()) continue;
    for (const uint64_t blob : client->reservations) reserved += PagesOf(blob);
  }
  // A client may say that it keeps something while it is being asked.
  memory.idle = std::min(IdleBytes(volume), reserved);
  memory.writing = reserved - memory.idle;
  memory.records = volume.arenas().bytes_live();
  memory.slack = volume.arenas().bytes_held() - memory.records;
  memory.catalog = volume.catalog().bytes_held();
  for (const auto& [blob, extent] : lingering_) {
    if (extent->volume == volume.id()) memory.lingering += extent->pages;
  }
  const uint64_t away = SpilledOf(volume).bytes;
  const uint64_t stored = volume.usage() - memory.records;
  memory.sealed = stored - std::min(stored, reserved + away);
  memory.held = budget_.HeldBy(volume.holder()).bytes;
  const uint64_t known =
      memory.sealed + reserved + memory.records + memory.slack + memory.catalog + memory.lingering;
  memory.moving = memory.held - std::min(memory.held, known);
  return memory;
}

ClientMemory Store::MemoryOf(const ClientState& client) {
  ClientMemory memory;
  for (const uint64_t blob : client.mapped) memory.mapped += PagesOf(blob);
  for (const uint64_t blob : client.pinned) memory.pinned += PagesOf(blob);
  for (const uint64_t blob : client.reservations) memory.writing += PagesOf(blob);
  memory.idle = std::min(IdleBytesOf(client), memory.writing);
  memory.writing -= memory.idle;
  return memory;
}

uint64_t Store::PagesOf(uint64_t blob) const {
  const auto it = extents_.find(blob);
  if (it != extents_.end()) return it->second->pages;
  const auto lingers = lingering_.find(blob);
  return lingers != lingering_.end() ? lingers->second->pages : 0;
}

MemoryWaits Store::Waits() const {
  using Kind = MemoryWait::Kind;
  MemoryWaits waits = spiller_ != nullptr ? spiller_->Waits() : MemoryWaits();
  for (const auto& [ticket, waiting] : waiting_) {
    const std::optional<Budget::Wish> wish = budget_.Find(waiting->budget_id);
    if (wish) waits[ticket] = {Kind::kMemory, wish->bytes, wish->deadline};
  }
  for (const QuotaWaiter& w : quota_waiters_) waits[w.ticket] = {Kind::kQuota, w.bytes, w.deadline};
  return waits;
}

}  // namespace vineyard::store
