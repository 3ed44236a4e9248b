// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A new engine takes over what a damaged one left: the input says what is damaged (test_damage.h). What it
// took over must not contradict itself, can be moved and removed, is found again by the engine after it, and
// no descriptor is left over in the end.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/logging.h"
#include "layout/record.h"
#include "os/memfd.h"
#include "store/test_damage.h"
#include "store/test_machine.h"

namespace vineyard::store {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kGenerations = 2;            // of which something is left
constexpr uint64_t kReach = uint64_t{1} << 18;  // of uint16_t times 4

size_t OpenDescriptors() {
  const fs::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

// A folder that goes with the process.
struct Folder {
  Folder() {
    std::string made = (fs::temp_directory_path() / "recovery_fuzz_XXXXXX").string();
    VY_CHECK(::mkdtemp(made.data()) != nullptr);
    path = made;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path); }
  fs::path path;
};

// One instance with a bit of everything, as its engine's end leaves it.
class Left {
 public:
  explicit Left(uint8_t how) {
    if (how == kWithDisk) folder_.emplace();
    Machine machine(Options(), folder_ ? folder_->path.string() : "");
    instance_ = machine.instance();
    Fill(machine);
    while (how == kGrowing && machine.volume().catalog().segments().empty()) {
      VY_CHECK(machine.PutBlob(client_, "one of many").ok());
    }
    for (const auto& [id, entry] : machine.volume().entries()) records_.push_back({id, entry.ref});
    const uint64_t seed = machine.volume().catalog().header().hash_seed;
    for (const auto& [name, entry] : machine.volume().names()) {
      records_.push_back({layout::NameKey(name, seed), entry.ref});
    }
    for (const auto& [id, entry] : machine.volume().entries()) {
      const Stream* stream = machine.volume().FindStream(ObjectId(id));
      if (stream != nullptr) records_.push_back({id, stream->ref});
    }
    machine.RestartAndDie();  // and one that never served
    held_ = machine.keeper().HandOver();
  }

  static StoreOptions Options() {
    StoreOptions options = Machine::DefaultOptions();
    options.spill_marks = {.lower = 1, .upper = 1};
    return options;
  }

  struct Record {
    uint64_t key;
    layout::Ref ref;
  };
  [[nodiscard]] const std::vector<HeldMemory>& held() const { return held_; }
  [[nodiscard]] const std::vector<Record>& records() const { return records_; }
  [[nodiscard]] uint64_t instance() const { return instance_; }
  [[nodiscard]] uint64_t client() const { return client_; }
  /// Empty: it has no disk.
  [[nodiscard]] fs::path folder() const { return folder_ ? folder_->path : fs::path(); }

 private:
  static ObjectId Put(Machine& machine, uint64_t client, const TestObject& object) {
    return ObjectId(machine.Put(client, object).value().id);
  }
  void Fill(Machine& machine) {
    client_ = machine.AddClient();
    const uint64_t dead = machine.AddClient(Machine::EndedProcess());
    std::vector<ObjectId> ids;
    for (size_t i = 0; i < 8; ++i) {
      TestObject object{.bytes = std::string(20 * i + 1, 'x')};
      if (i % 2 == 0) object.name = "n" + std::to_string(i);
      if (i % 3 == 2) object.members = {ids[i / 2]};
      object.large = i >= 5;
      if (i == 6) object.bytes = std::string(3 << 20, 'x');  // more than a chunk
      ids.push_back(Put(machine, client_, object));
    }
    const auto days = std::chrono::hours(100);
    Put(machine, client_, {.bytes = "a", .name = "ends", .name_ends = os::Clock::now() + days});
    Put(machine, client_, {.bytes = "b", .name = "mine", .linger = days});
    Put(machine, dead, {.bytes = "c", .name = "lingers", .linger = days});
    Put(machine, dead, {.bytes = "d", .linger = std::chrono::nanoseconds(0)});
    VY_CHECK(machine.PutBlob(client_, "bytes", "blob").ok());
    for (const uint64_t client : {client_, dead}) VY_CHECK(machine.Reserve(client, 100'000).ok());
    Volume& volume = machine.volume();
    for (const size_t i : {size_t{0}, size_t{1}}) {
      const uint64_t writer = i == 0 ? client_ : dead;
      const auto next = [&](uint64_t client) { return machine.NextRequest(client); };
      VY_CHECK(volume.CreateStream(next(client_), ids[i], 4, 2).ok());
      VY_CHECK(volume.OpenStream(next(writer), ids[i], true).ok());
      VY_CHECK(volume.OpenStream(next(client_), ids[i], false).ok());
      VY_CHECK(volume.PushChunk(next(writer), ids[i], ids[3], false).ok());
    }
    const auto made = [](Result<Volume*> ready) { VY_CHECK(ready.ok()); };
    const CatalogSpec second{.volume = 2, .name = "second", .guaranteed = 1 << 20, .hash_seed = 1};
    VY_CHECK(machine.store().CreateVolume(second, made).ok());
    machine.Run();
    if (Spiller* spiller = machine.store().spiller()) {
      const auto done = [](const Status& status) { VY_CHECK(status.ok()); };
      spiller->Evict(std::vector{ids[5].own_blob(), ids[6].own_blob()}, os::TimePoint::max(), done);
      machine.Run();
      spiller->Load(std::vector{ids[6].own_blob()}, os::TimePoint::max(), done);
      machine.Run();
    }
  }

  std::optional<Folder> folder_;
  uint64_t instance_ = 0;
  uint64_t client_ = 0;
  std::vector<HeldMemory> held_;
  std::vector<Record> records_;
};

// The same memory, of which what is to be changed is a copy.
class Damaged {
 public:
  explicit Damaged(const Left& left) : left_(left) {
    for (const HeldMemory& held : left.held()) items_.push_back({held.item, nullptr, {}, false});
  }

  void Apply(const Change& change) {
    const size_t what = change.what % items_.size();
    const auto how = static_cast<Damage>(static_cast<unsigned>(change.how) % kDamages);
    switch (how) {
      case Damage::kWord: return SetWord(what, 0, change);
      case Damage::kIntent: return SetWord(Ledger(), layout::kLedgerPage, change);
      case Damage::kClientRow:
        return SetWord(Ledger(), layout::kLedgerPage + layout::kIntentArea, change);
      case Damage::kItem: return SetItem(items_[what].item, change);
      case Damage::kGone: items_[what].gone = true; return;
      case Damage::kCopied: Copy(what, change.value); return;
      case Damage::kVolumeEnds:
        intent_.push_back(layout::IntentChange::VolumeEnds(change.at));
        return;
      case Damage::kTorn:
      case Damage::kRecord:
      case Damage::kKind:
      case Damage::kTwice:
      case Damage::kEntry: break;
    }
    if (left_.records().empty()) return;
    ApplyToRecord(left_.records()[change.what % left_.records().size()], how, change);
  }

  /// To a keeper that has nothing else.
  void HandTo(FakeKeeper& keeper) {
    const std::span<std::byte> ledger = Bytes(Ledger());
    if (!intent_.empty() && ledger.size() == layout::kLedgerSize) {
      layout::Ledger(ledger.data()).Publish(left_.client(), {3, 4, 5, 0}, intent_);
    }
    for (size_t i = 0; i < items_.size(); ++i) {
      Item& item = items_[i];
      if (item.gone) continue;
      if (item.copy.valid())
        keeper.Put(item.item, std::move(item.copy));
      else
        keeper.Put(item.item, left_.held()[i].fd.Duplicate().value());
    }
  }

 private:
  struct Item {
    HeldItem item;
    std::unique_ptr<os::Mapping> bytes;
    os::UniqueFd copy;
    bool gone;
  };

  // Of the engine that served.
  [[nodiscard]] size_t Ledger() const {
    const auto is_ledger = [](const Item& i) { return i.item.kind == HeldKind::kLedger; };
    return static_cast<size_t>(std::ranges::find_if(items_, is_ledger) - items_.begin());
  }

  // Of `size` bytes; 0: of all.
  void Copy(size_t what, uint64_t size) {
    const HeldMemory& held = left_.held()[what];
    if (held.item.kind == HeldKind::kClient) return;
    const uint64_t length = os::FileSize(held.fd).value();
    const uint64_t wanted = size == 0 ? length : std::min<uint64_t>(size, 2 * kReach);
    const auto old = os::Mapping::Open(held.fd, length, os::Access::kRead).value();
    Item& item = items_[what];
    item.copy = os::CreateMemfd("recovery_fuzz", wanted).value();
    item.bytes = std::make_unique<os::Mapping>(
        os::Mapping::Open(item.copy, wanted, os::Access::kReadWrite).value());
    std::memcpy(item.bytes->data(), old.data(), std::min({wanted, length, kReach}));
    const uint64_t rows = layout::kLedgerPage + layout::kIntentArea;
    if (held.item.kind == HeldKind::kLedger && wanted == layout::kLedgerSize) {
      std::memcpy(item.bytes->data() + rows, old.data() + rows, 4 * sizeof(layout::ClientRow));
    }
  }
  std::span<std::byte> Bytes(size_t what) {
    if (items_[what].bytes == nullptr) Copy(what, 0);
    if (items_[what].bytes == nullptr) return {};
    return items_[what].bytes->bytes();
  }

  void SetWord(size_t what, uint64_t base, const Change& change) {
    const std::span<std::byte> bytes = Bytes(what);
    const uint64_t at = base + uint64_t{change.at} * 4;
    if (at + 4 <= bytes.size()) std::memcpy(bytes.data() + at, &change.value, 4);
  }

  // Catalogs and ledgers are found by their numbers.
  static void SetItem(HeldItem& item, const Change& change) {
    if (item.kind == HeldKind::kCatalog || item.kind == HeldKind::kLedger) return;
    uint64_t* numbers[] = {&item.a, &item.b, &item.c, &item.d, &item.e, &item.f};
    *numbers[change.at % std::size(numbers)] = change.value;
  }

  // From the record on; empty where it is not there.
  std::span<std::byte> RecordBytes(layout::Ref ref) {
    for (size_t i = 0; i < items_.size(); ++i) {
      const HeldItem& item = left_.held()[i].item;
      if (item.kind != HeldKind::kArena || item.a != 1 || item.b != ref.arena()) continue;
      const std::span<std::byte> bytes = Bytes(i);
      if (ref.offset() + layout::kRecordHeader <= bytes.size()) return bytes.subspan(ref.offset());
    }
    return {};
  }

  static void Mend(std::span<std::byte> record) {
    layout::RecordFields fields = layout::FieldsOf(record.data());
    if (fields.head_length > record.size() - layout::kRecordHeader) return;
    fields.checksum = layout::RecordChecksum(fields, layout::HeadOf(record.data()));
    std::memcpy(record.data() + 8, &fields, sizeof fields);
  }

  void ApplyToRecord(const Left::Record& record, Damage how, const Change& change) {
    using layout::Ref;
    const std::span<std::byte> bytes = RecordBytes(record.ref);
    if (bytes.empty()) return;
    const auto becomes = [&](Ref now) {
      intent_.push_back({1, record.key, record.ref.value(), now.value()});
    };
    const auto kind = static_cast<layout::RecordKind>(change.value % 8);
    const Ref ref = record.ref;
    if (how == Damage::kEntry) {
      switch (static_cast<EntryChange>(change.at % 4)) {
        case EntryChange::kErased: return becomes({});
        case EntryChange::kOfRecord:
          return becomes(left_.records()[change.value % left_.records().size()].ref);
        case EntryChange::kOfNoArena: return becomes(Ref(ref.kind(), 99, 0));
        case EntryChange::kBehindArena:
          return becomes(Ref(ref.kind(), ref.arena(), Ref::kMaxOffset));
      }
    }
    if (how == Damage::kTwice) {
      const uint64_t size = layout::RecordSize(layout::FieldsOf(bytes.data()).head_length,
                                               layout::FieldsOf(bytes.data()).bytes_length);
      const uint64_t end = ref.offset() + bytes.size();
      if (size > bytes.size() / 2 || size > end / 2) return;
      const uint64_t other = (end - size) / layout::kRecordAlign * layout::kRecordAlign;
      std::memcpy(bytes.data() + (other - ref.offset()), bytes.data(), size);
      intent_.push_back({1, record.key, 0, Ref(ref.kind(), ref.arena(), other).value()});
      return;
    }
    if (how == Damage::kKind) {
      bytes[8] = static_cast<std::byte>(kind);
      becomes(Ref(kind, ref.arena(), ref.offset()));
    } else if (const size_t at = size_t{change.at} * 4; at + 4 <= bytes.size()) {
      std::memcpy(bytes.data() + at, &change.value, 4);
    }
    if (how != Damage::kTorn) Mend(bytes);
  }

  const Left& left_;
  std::vector<Item> items_;
  std::vector<layout::IntentChange> intent_;
};

void UseAndRemove(Machine& machine) {
  Volume* volume = machine.store().FindVolume(1);
  if (volume == nullptr) return;
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
  machine.CheckConsistent(*volume);
}

void TakeOver(const Left& left, bool after_fault, const std::vector<Change>& changes) {
  std::optional<Folder> folder;
  if (!left.folder().empty()) folder.emplace();
  StoreOptions options = Left::Options();
  options.instance[0] = left.instance();
  options.after_fault = after_fault;
  Machine machine(options, folder ? folder->path.string() : "");
  machine.Kill();
  for (const auto& held : machine.keeper().HandOver()) {
    machine.keeper().Remove(held.item.kind, held.item.a, held.item.b);
  }
  if (folder) {
    fs::remove_all(folder->path);
    fs::copy(left.folder(), folder->path, fs::copy_options::recursive);
  }
  {
    Damaged damaged(left);
    for (const Change& change : changes) damaged.Apply(change);
    damaged.HandTo(machine.keeper());
  }
  machine.SetGeneration(kGenerations);
  machine.Restart();
  UseAndRemove(machine);
}

}  // namespace
}  // namespace vineyard::store

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  GTEST_FLAG_SET(throw_on_failure, true);  // a broken expectation is a finding
  vineyard::log::Configure(vineyard::log::Level::kOff, vineyard::log::Format::kText);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vineyard;
  using namespace vineyard::store;
  static const Left plain(0);
  static const Left with_disk(kWithDisk);
  static const Left growing(kGrowing);
  if (size == 0) return 0;
  std::vector<Change> changes(std::min<size_t>((size - 1) / sizeof(Change), 64));
  if (!changes.empty()) std::memcpy(changes.data(), data + 1, changes.size() * sizeof(Change));
  const size_t before = OpenDescriptors();
  const Left& left = (data[0] & kWithDisk) != 0  ? with_disk
                     : (data[0] & kGrowing) != 0 ? growing
                                                 : plain;
  TakeOver(left, (data[0] & kAfterFault) != 0, changes);
  VY_CHECK(OpenDescriptors() == before);
  return 0;
}
