// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "corpus.h"
#include "layout/catalog.h"
#include "layout/ledger.h"
#include "layout/record.h"
#include "layout/stream_state.h"
#include "os/mapping.h"
#include "os/memfd.h"
#include "spill/format.h"
#include "store/durable_format.h"
#include "store/test_damage.h"
#include "wire/codec.h"
#include "wire/test_object.h"

namespace vineyard::fuzz {

namespace {

void AddRecords(Corpus& corpus) {
  using namespace layout;
  struct alignas(64) Slot {
    std::byte bytes[2048] = {};
  };
  const auto descriptor = wire::EncodeDescriptor(wire::ExampleObject());
  const std::vector<ChunkEntry> chunks{{2 << 20}, {4096}};
  const std::string_view name = "a name";
  const std::span<const std::byte> heads[] = {descriptor, std::as_bytes(std::span(chunks)),
                                              std::as_bytes(std::span(name))};
  for (uint8_t kind = 1; kind <= 3; ++kind) {
    Slot slot;
    RecordFields fields;
    fields.kind = static_cast<RecordKind>(kind);
    fields.id = 7;
    const auto head = heads[kind - 1];
    WriteRecord(slot.bytes, fields, head, std::as_bytes(std::span(name)), 1);
    const uint64_t size = RecordSize(static_cast<uint32_t>(head.size()), name.size());
    corpus.Add("record_fuzz", std::span(slot.bytes).first(size));
    const uint64_t message = BytesOffset(static_cast<uint32_t>(head.size())) + name.size() - 8;
    corpus.Add("record_fuzz", std::span(slot.bytes).subspan(8, message));
    corpus.Add("record_fuzz", std::span(slot.bytes).first(size - kRecordAlign));
  }
}

void AddLedgers(Corpus& corpus) {
  using namespace layout;
  const os::UniqueFd memory = os::CreateMemfd("make_corpus", kLedgerSize).value();
  const auto mapping = os::Mapping::Open(memory, kLedgerSize, os::Access::kReadWrite).value();
  Ledger ledger(mapping.data());
  ledger.Initialize(1, 2);
  for (const size_t changes : {size_t{0}, size_t{1}, size_t{5}}) {
    ledger.Publish(3, {1, 2, 3, 0}, std::vector<IntentChange>(changes, {1, 2, 3, 4}));
    std::vector<std::byte> input(mapping.data(), mapping.data() + sizeof(LedgerHeader));
    const std::byte* intent = mapping.data() + kLedgerPage;
    input.insert(input.end(), intent, intent + ledger.header().intent.load());
    corpus.Add("ledger_fuzz", input);
    // Its version, and the length of its intent.
    for (const size_t at : {offsetof(LedgerHeader, version), offsetof(LedgerHeader, intent)}) {
      for (const uint8_t other : std::array<uint8_t, 4>{0, 1, 57, 255}) {
        std::vector<std::byte> changed = input;
        changed[at] = std::byte{other};
        changed[at + 7] = std::byte{other};
        corpus.Add("ledger_fuzz", changed);
        changed[at + 7] = std::byte{0};
        corpus.Add("ledger_fuzz", changed);
      }
    }
    input.back() ^= std::byte{1};  // as its checksum is not
    corpus.Add("ledger_fuzz", input);
  }
}

// After the byte that says what the fuzzer makes right: heads, names, identities.
void AddSpillFiles(Corpus& corpus) {
  using namespace spill;
  const auto add = [&corpus](char mend, std::span<const std::byte> bytes) {
    std::string input(1, mend);
    input.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    corpus.Add("spill_fuzz", input);
  };
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, 3 * kBlock + 1}) {
    Head head{.key = {.volume = 1, .id = 2, .kind = 3, .instance = size % 3},
              .place = {4, 5},
              .size = size};
    head.description.resize(size % 100, std::byte{'d'});
    head.checksums.resize(BlocksOf(size), 6);
    std::vector<std::byte> bytes(HeadLength(head.description.size(), size));
    EncodeHead(head, bytes);
    for (char mend = 0; mend < 4; ++mend) add(mend, bytes);
    // Each word of it is another one, and its checksum right.
    for (size_t at = 0; at + 4 <= bytes.size() && at < kFixedHead; at += 4) {
      for (const uint32_t value : {0U, 1U, 300U, ~0U}) {
        std::vector<std::byte> changed = bytes;
        std::memcpy(changed.data() + at, &value, sizeof value);
        add(1, changed);
        add(3, changed);
      }
    }
    bytes.back() = std::byte{1};
    add(3, bytes);
    bytes.pop_back();
    add(1, bytes);
    add(0, std::vector<std::byte>(bytes.size()));
  }
  for (const std::string& name :
       {FileName({1, 2, 3}), PartName({~uint64_t{0}, 0xab, 255}), FileName({1, 2, 3, 4})}) {
    add(0, std::as_bytes(std::span(name)));
    for (size_t at = 0; at < name.size(); ++at) {
      for (const char other : {'A', '-', '0', 'g'}) {
        std::string changed = name;
        changed[at] = other;
        add(0, std::as_bytes(std::span(changed)));
      }
    }
    add(0, std::as_bytes(std::span(name).subspan(1)));
  }
  std::array<std::byte, kIdentityLength> identity{};
  EncodeIdentity({1, 2}, identity);
  add(0, identity);
  add(1, identity);
  for (std::byte& byte : identity) {
    byte ^= std::byte{1};
    for (const char mend : {'\0', '\1'}) add(mend, identity);
    byte ^= std::byte{1};
  }
}

void AddDurableFiles(Corpus& corpus) {
  using namespace store;
  const std::string_view name = "a name";
  const auto descriptor = wire::EncodeDescriptor(wire::ExampleObject());
  const auto* d = flatbuffers::GetRoot<fb::Descriptor>(descriptor.data());
  const std::vector<layout::ChunkEntry> chunks{{2 << 20}, {4096}};
  const std::span<const std::byte> text = std::as_bytes(std::span(name));
  const uint64_t blob = ObjectId(7).own_blob().value();
  using layout::RecordKind;
  const uint8_t durable = layout::kFlagDurable;
  const uint8_t in_extent = durable | layout::kFlagExtent;
  const uint8_t keeps = durable | layout::kFlagKeeps;
  for (const DurableRecord& record :
       {DurableRecord{
            .fields = {.kind = RecordKind::kName, .flags = durable, .value = 7, .version = 1},
            .head = text,
            .ends_ns = 5},
        DurableRecord{
            .fields = {.kind = RecordKind::kName, .flags = keeps, .value = 7, .version = 2},
            .head = text,
            .ends_ns = {}},
        DurableRecord{.fields = {.kind = RecordKind::kObject,
                                 .flags = durable,
                                 .id = d->stamp()->id(),
                                 .value = text.size()},
                      .head = descriptor,
                      .bytes = text},
        DurableRecord{.fields = {.kind = RecordKind::kBlob,
                                 .flags = durable,
                                 .id = blob,
                                 .value = text.size()},
                      .bytes = text,
                      .needs_referrer = true},
        DurableRecord{
            .fields = {.kind = RecordKind::kBlob, .flags = in_extent, .id = blob, .value = 9},
            .head = std::as_bytes(std::span(chunks)),
            .file_instance = 3}}) {
    corpus.Add("durable_fuzz", EncodeDurableRecord(record));
  }
  DurableVolume volume{.name = "data", .quota = 2, .guaranteed = 1, .hash_seed = 3, .sockets = {}};
  volume.sockets[0] = {.path = "/run/a", .mode = 0600, .owner = 1, .group = 2};
  corpus.Add("durable_fuzz", EncodeDurableVolume(volume));
}

void AddStreams(Corpus& corpus) {
  layout::StreamState state;
  const auto add = [&] { corpus.Add("stream_fuzz", layout::EncodeStream(state)); };
  add();
  state.capacity = 4;
  state.readers_wanted = 2;
  state.chunks = {1, 2, 3};
  state.first = 7;
  state.writer = 5;
  state.readers = {{.number = 1, .client = 6, .position = 8},
                   {.number = 2, .client = 7, .position = 9}};
  state.next_reader = 3;
  state.places_taken = 2;
  add();
  state.phase = layout::StreamPhase::kFailed;
  state.reason = "why";
  add();
}

// Changes to a catalog: which file, whether added, where (2 bytes, words of 4), what (4 bytes).
void AddCatalogChanges(Corpus& corpus) {
  corpus.Add("catalog_fuzz", std::string_view());
  for (uint8_t where = 0; where < 3; ++where) {
    for (uint16_t at = 0; at < 64; at = static_cast<uint16_t>(at + 2)) {
      const auto low = static_cast<uint8_t>(at);
      const uint8_t change[] = {where, 1, low, 0, 1, 0, 0, 0, where, 0, low, 0, 255, 1, 0, 0};
      corpus.Add("catalog_fuzz", std::as_bytes(std::span(change)));
      // Only once the reader has opened it.
      const uint8_t later[] = {0, 1, 255, 255, 0, 0, 0, 0, where, 1, low, 0, 1, 0, 0, 0};
      corpus.Add("catalog_fuzz", std::as_bytes(std::span(later)));
    }
  }
  for (const size_t offset : {offsetof(layout::CatalogHeader, closed_epoch),
                              offsetof(layout::CatalogHeader, segments_in_use)}) {
    const auto at = static_cast<uint8_t>(offset / 4);
    const uint8_t later[] = {0, 1, 255, 255, 0, 0, 0, 0, 0, 1, at, 0, 1, 0, 0, 0};
    corpus.Add("catalog_fuzz", std::as_bytes(std::span(later)));
  }
}

// Steps of a ring: what, how far shifted, a number (2 bytes).
void AddRingSteps(Corpus& corpus) {
  const uint8_t plain[] = {0, 0, 200, 0, 3, 0, 150, 0, 4, 0, 220, 0, 5, 0, 0, 0,
                           1, 0, 220, 0, 4, 0, 100, 0, 6, 0, 0,   0, 5, 0, 0, 0};
  corpus.Add("ring_fuzz", std::as_bytes(std::span(plain)));
  const uint8_t hostile[] = {0, 40, 1, 0, 3, 0, 1, 0, 1, 48, 1, 0, 4, 0, 255, 255,
                             2, 0,  1, 0, 5, 0, 0, 0, 6, 0,  0, 0, 3, 0, 1,   0};
  corpus.Add("ring_fuzz", std::as_bytes(std::span(hostile)));
}

// What becomes of an engine's memory, one thing at a time.
void AddDamage(Corpus& corpus) {
  using store::Change;
  using store::Damage;
  const auto add = [&corpus](const std::vector<Change>& changes, int how = 0) {
    std::string input(1, static_cast<char>(how));
    input.append(reinterpret_cast<const char*>(changes.data()), changes.size() * sizeof(Change));
    corpus.Add("recovery_fuzz", input);
  };
  for (const int how : {0, int{store::kWithDisk}, int{store::kAfterFault}}) add({}, how);
  add({}, store::kGrowing);
  for (uint8_t what = 0; what < 8; ++what) {
    add({{what, Damage::kGone, 0, 0}}, store::kGrowing);
    for (const uint32_t size : {0U, 100U, 4096U}) {
      add({{what, Damage::kCopied, 0, size}}, store::kGrowing);
    }
  }
  const uint32_t values[] = {0, 5, ~uint32_t{0}};
  for (uint8_t what = 0; what < 24; ++what) {
    for (const int disk : {0, int{store::kWithDisk}}) {
      add({{what, Damage::kGone, 0, 0}}, disk);
      for (const uint32_t size : {0U, 100U, 4096U}) add({{what, Damage::kCopied, 0, size}}, disk);
      for (uint16_t number = 0; number < 6; ++number) {
        add({{what, Damage::kItem, number, 3}}, disk);
      }
    }
    for (const uint32_t value : values) {
      for (uint16_t at = 0; at < 40; at = static_cast<uint16_t>(at + 1)) {
        add({{what, Damage::kRecord, at, value}});
      }
      add({{what, Damage::kTorn, 0, value}});
      add({{what, Damage::kTorn, 4, value}});
    }
    for (uint32_t kind = 0; kind < 8; ++kind) add({{what, Damage::kKind, 0, kind}});
    add({{what, Damage::kTwice, 0, 0}});
    for (uint16_t change = 0; change < 4; ++change) {
      for (const uint32_t other : {0U, 9U, 20U}) add({{what, Damage::kEntry, change, other}});
    }
  }
  constexpr auto kSegments =
      static_cast<uint16_t>(offsetof(layout::CatalogHeader, segments_in_use) / 4);
  for (uint8_t what = 0; what < 6; ++what) {
    for (const uint16_t half : {uint16_t{0}, uint16_t{1}}) {
      add({{what, Damage::kWord, static_cast<uint16_t>(kSegments + half), 7}});
    }
  }
  for (uint16_t at = 0; at < 32; ++at) {
    for (const uint32_t value : values) {
      for (uint8_t what = 0; what < 8; ++what) add({{what, Damage::kWord, at, value}});
      add({{0, Damage::kClientRow, at, value}}, value % 4);
      for (uint8_t what = 4; what < 7; ++what) {  // a ledger among them: the length of its intent
        add({{what, Damage::kWord, 6, 88}, {0, Damage::kIntent, at, value}});
      }
    }
  }
  // The engine before ended by a fault, in a request of each client.
  for (uint32_t client = 1; client < 4; ++client) {
    for (uint8_t what = 0; what < 8; ++what) {
      add({{what, Damage::kWord, 10, client}, {what, Damage::kWord, 12, 3}}, store::kAfterFault);
    }
  }
  for (uint16_t volume = 0; volume < 3; ++volume) add({{0, Damage::kVolumeEnds, volume, 0}});
}

}  // namespace

void AddMemory(Corpus& corpus) {
  AddRecords(corpus);
  AddLedgers(corpus);
  AddStreams(corpus);
  AddSpillFiles(corpus);
  AddDurableFiles(corpus);
  AddDamage(corpus);
  AddCatalogChanges(corpus);
  AddRingSteps(corpus);
}

}  // namespace vineyard::fuzz
