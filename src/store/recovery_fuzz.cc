// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A new engine takes over what a damaged one left. The input is a list of changes: which memory, where,
// and what to write there. Some put the record's checksum right again, so that what lies behind it is
// reached too.
#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "layout/record.h"
#include "os/memfd.h"
#include "store/test_machine.h"

namespace vineyard::store {
namespace {

struct Change {
  uint8_t what;
  uint8_t checksum;  // 1: of the record that begins at or before it
  uint16_t at;       // in units of 4 bytes
  uint32_t value;
};

constexpr uint64_t kReach = uint64_t{1} << 18;  // of uint16_t times 4

// One instance with a bit of everything, made once; each run works on copies of its memory.
std::vector<HeldMemory> MakeSeed() {
  Machine machine;
  const uint64_t client = machine.AddClient();
  std::vector<ObjectId> ids;
  for (int i = 0; i < 12; ++i) {
    TestObject object{.bytes = std::string(static_cast<size_t>(20 * i + 1), 'x')};
    if (i % 2 == 0) object.name = "n" + std::to_string(i);
    if (i % 3 == 2) object.members = {ids[static_cast<size_t>(i) / 2]};
    object.large = i == 5 || i == 7;
    ids.emplace_back(machine.Put(client, object).value().id);
  }
  machine.PutBlob(client, "bytes", "blob").status().IgnoreError();
  machine.Reserve(client, 100'000).status().IgnoreError();
  return machine.keeper().HandOver();
}

void Apply(const Change& change, HeldKind kind, std::span<std::byte> bytes) {
  uint64_t base = 0;
  // The ledger's rows lie far behind its intent.
  if (kind == HeldKind::kLedger && change.checksum >= 2) {
    base = layout::kLedgerPage + (change.checksum == 2 ? 0 : layout::kIntentArea);
  }
  const uint64_t at = base + uint64_t{change.at} * 4;
  if (at + 4 > bytes.size()) return;
  std::memcpy(bytes.data() + at, &change.value, 4);
  if (kind != HeldKind::kArena || change.checksum != 1) return;
  // The record that this lies in begins at one of the lines before.
  for (uint64_t line = at / 64 * 64;; line -= 64) {
    std::byte* slot = bytes.data() + line;
    layout::RecordFields fields = layout::FieldsOf(slot);
    const uint64_t room = bytes.size() - line - layout::kRecordHeader;
    const bool plausible = layout::SequenceOf(slot) != 0 && fields.head_length <= room &&
                           static_cast<uint8_t>(fields.kind) <= 3;
    if (plausible) {
      fields.checksum = layout::RecordChecksum(fields, layout::HeadOf(slot));
      std::memcpy(slot + 8, &fields, sizeof fields);
      return;
    }
    if (line == 0) return;
  }
}

}  // namespace
}  // namespace vineyard::store

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  GTEST_FLAG_SET(throw_on_failure, true);  // a broken expectation is a finding
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard;
  using namespace vineyard::store;
  static const std::vector<HeldMemory> seed = MakeSeed();
  std::vector<Change> changes(std::min<size_t>(size / sizeof(Change), 64));
  if (!changes.empty()) std::memcpy(changes.data(), data, changes.size() * sizeof(Change));

  Machine machine;
  machine.Kill();
  for (const auto& held : machine.keeper().HandOver()) {
    machine.keeper().Remove(held.item.kind, held.item.a, held.item.b);
  }
  uint8_t number = 0;
  for (const HeldMemory& held : seed) {
    const bool changeable = held.item.kind == HeldKind::kArena ||
                            held.item.kind == HeldKind::kCatalog ||
                            held.item.kind == HeldKind::kLedger;
    const uint8_t mine = number++;
    const bool touched =
        std::ranges::any_of(changes, [&](const Change& c) { return c.what % seed.size() == mine; });
    if (!changeable || !touched) {
      machine.keeper().Put(held.item, held.fd.Duplicate().value());
      continue;
    }
    const uint64_t bytes = os::FileSize(held.fd).value();
    const auto old = os::Mapping::Open(held.fd, bytes, os::Access::kRead).value();
    os::UniqueFd copy = os::CreateMemfd("recovery_fuzz", bytes).value();
    {
      const auto fresh = os::Mapping::Open(copy, bytes, os::Access::kReadWrite).value();
      std::memcpy(fresh.data(), old.data(), std::min(bytes, kReach));
      if (held.item.kind == HeldKind::kLedger) {
        const uint64_t rows = layout::kLedgerPage + layout::kIntentArea;
        std::memcpy(fresh.data() + rows, old.data() + rows, 4 * sizeof(layout::ClientRow));
      }
      for (const Change& change : changes) {
        if (change.what % seed.size() == mine) Apply(change, held.item.kind, fresh.bytes());
      }
    }
    machine.keeper().Put(held.item, std::move(copy));
  }
  machine.Restart();
  // What it took over can be used and removed, and the next engine finds it again.
  if (Volume* volume = machine.store().FindVolume(1)) {
    machine.CheckConsistent(*volume);
    while (machine.store().MoveSome()) machine.Run();
    machine.CheckConsistent(*volume);
    const size_t entries = volume->entries().size();
    machine.Restart();
    volume = machine.store().FindVolume(1);
    VY_CHECK(volume != nullptr && volume->entries().size() == entries);
    std::vector<uint64_t> all;
    for (const auto& [id, entry] : volume->entries()) all.push_back(id);
    volume->Delete({}, all, true, true).status().IgnoreError();
    machine.Run();
  }
  return 0;
}
