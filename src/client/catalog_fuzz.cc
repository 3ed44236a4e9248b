// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A catalog and an arena of which the input has changed words: what a client finds in them must be safe to
// read, and be what was asked for.
#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "client/catalog_reader.h"
#include "os/memfd.h"

namespace vineyard::client {
namespace {

constexpr uint64_t kBuckets = 16;
constexpr uint64_t kFile = layout::kFirstSegmentOffset + kBuckets * sizeof(layout::Bucket);
constexpr uint64_t kSegment = 2 * kBuckets * sizeof(layout::Bucket);
constexpr uint64_t kArena = 16 << 10;
constexpr uint64_t kSeed = 11;

// A file that the fuzzer writes and the reader maps.
struct File {
  explicit File(uint64_t size) : fd(os::CreateMemfd("catalog_fuzz", size).value()) {
    memory = os::Mapping::Open(fd, size, os::Access::kReadWrite).value();
  }
  os::UniqueFd fd;
  os::Mapping memory;
  std::vector<std::byte> good;

  void Keep() { good.assign(memory.data(), memory.data() + memory.size()); }
  void Restore() const { std::memcpy(memory.data(), good.data(), good.size()); }
};

void AddRecord(File& arena, uint64_t at, layout::RecordKind kind, uint64_t id,
               std::string_view head) {
  layout::RecordFields fields;
  fields.kind = kind;
  fields.id = id;
  const std::string bytes(200, 'b');
  layout::WriteRecord(arena.memory.data() + at, fields, std::as_bytes(std::span(head)),
                      std::as_bytes(std::span(bytes)), 1);
}

struct Catalog {
  Catalog() : first(kFile), second(kSegment), arena(kArena) {
    auto* header = reinterpret_cast<layout::CatalogHeader*>(first.memory.data());
    header->magic = layout::kCatalogMagic;
    header->version = layout::kCatalogVersion;
    header->state = static_cast<uint32_t>(layout::VolumeState::kLive);
    header->hash_seed = kSeed;
    header->segments[0] = {.buckets = kBuckets, .number = 0};
    header->segments[1] = {.buckets = 2 * kBuckets, .number = 1};
    header->segments_in_use = 1;  // and the older one is 0
    // Held by the fuzzer's thread, as far as a reader sees.
    auto* keeper =
        reinterpret_cast<layout::KeeperPage*>(first.memory.data() + layout::kCatalogPage);
    const uint32_t holder = 1;
    std::memcpy(&header->engine, &holder, sizeof holder);
    std::memcpy(&keeper->keeper, &holder, sizeof holder);
    Fill();
    for (File* file : {&first, &second, &arena}) file->Keep();
  }

  void Fill() {
    using layout::RecordKind;
    const auto buckets = [](File& file, uint64_t offset) {
      return std::span(reinterpret_cast<layout::Bucket*>(file.memory.data() + offset),
                       (file.memory.size() - offset) / sizeof(layout::Bucket));
    };
    layout::IndexWriter old(buckets(first, layout::kFirstSegmentOffset), {});
    layout::IndexWriter current(buckets(second, 0), {});
    for (uint64_t i = 0; i < 8; ++i) {
      const uint64_t id = i + 1 + (i % 3 == 1 ? ObjectId::kBlobBit : 0);
      const std::string name = "n" + std::to_string(i);
      const RecordKind kind = i % 3 == 0   ? RecordKind::kObject
                              : i % 3 == 1 ? RecordKind::kBlob
                                           : RecordKind::kName;
      const uint64_t key = kind == RecordKind::kName ? layout::NameKey(name, kSeed) : id;
      AddRecord(arena, i * 512, kind, key, name);
      VY_CHECK((i < 4 ? old : current).Apply(key, {}, layout::Ref(kind, 1, i * 512)));
    }
  }

  File first, second, arena;
};

struct Change {
  uint8_t where;
  uint8_t mend;  // 1: a word of 8 bytes is added to, not replaced
  uint16_t at;   // in units of 4 bytes
  uint32_t value;
};

uint64_t sink = 0;

void Read(CatalogReader& reader) {
  layout::RecordCopy copy;
  const auto use = [&](uint64_t key) {
    VY_CHECK(copy.fields().id == key);
    for (const std::byte b : copy.head()) sink += static_cast<uint64_t>(b);
    for (const std::byte b : copy.bytes()) sink += static_cast<uint64_t>(b);
  };
  for (uint64_t i = 0; i < 10; ++i) {
    for (const uint64_t id : {i + 1, (i + 1) | ObjectId::kBlobBit}) {
      if (reader.Read(ObjectId(id), &copy) == Outcome::kHit) use(id);
    }
    const std::string name = "n" + std::to_string(i);
    if (reader.ReadName(name, &copy) == Outcome::kHit) VY_CHECK(copy.head_text() == name);
  }
  sink += reader.wanted().arenas.size() + reader.wanted().segments.size();
  sink += reader.IsAlive() + reader.MemoryIsShort();
}

}  // namespace
}  // namespace vineyard::client

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard;
  using namespace vineyard::client;
  static Catalog catalog;
  std::array<File*, 3> files{&catalog.first, &catalog.second, &catalog.arena};
  for (const File* file : files) file->Restore();
  std::vector<Change> changes(std::min<size_t>(size / sizeof(Change), 64));
  if (!changes.empty()) std::memcpy(changes.data(), data, changes.size() * sizeof(Change));

  CatalogReader reader;
  // The first half of them before the reader sees it, the others while it reads.
  for (size_t i = 0; i <= changes.size(); ++i) {
    if (i == changes.size() / 2) {
      if (!reader.Open(catalog.first.fd).ok()) return 0;
      Read(reader);  // nothing else is mapped
      reader.AddSegment(1, catalog.second.fd).IgnoreError();
      reader.AddArena(1, kArena, catalog.arena.fd).IgnoreError();
      VY_CHECK(!reader.AddArena(2, kArena + 1, catalog.arena.fd).ok());
      VY_CHECK(!reader.AddSegment(2, catalog.first.fd).ok());
      Read(reader);
    }
    if (i == changes.size()) break;
    const Change& change = changes[i];
    File& file = *files[change.where % files.size()];
    const uint64_t at = uint64_t{change.at} * 4;
    if (at + 4 > file.memory.size()) continue;
    uint32_t word = 0;
    std::memcpy(&word, file.memory.data() + at, sizeof word);
    word = change.mend == 1 ? word + change.value : change.value;
    std::memcpy(file.memory.data() + at, &word, sizeof word);
  }
  Read(reader);
  reader.Close();
  Read(reader);
  return 0;
}
