// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/recovery.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/logging.h"
#include "os/crash_point.h"
#include "os/memfd.h"
#include "os/process.h"
#include "wire/codec.h"

namespace vineyard::store {

using layout::RecordFields;
using layout::RecordKind;
using layout::Ref;

namespace {

constexpr size_t kMaxReported = 20;
// How many entries before its turn the place of one in the index is fetched into the processor's cache.
constexpr size_t kAhead = 8;

uint64_t GenerationOf(const HeldItem& catalog) { return catalog.b >> 32; }
uint64_t SegmentOf(const HeldItem& catalog) { return catalog.b & 0xffffffff; }

}  // namespace

/// What one volume's old catalog says, while it is being taken over.
struct Recovery::OldVolume {
  using Entry = std::pair<uint64_t, uint64_t>;  // key, ref
  OldCatalog catalog;
  std::vector<Entry> entries;  // in their order, each once
  Volume* fresh = nullptr;
};

const std::vector<HeldMemory*>& Recovery::Items(HeldKind kind, uint64_t a) const {
  static const std::vector<HeldMemory*> kNone;
  const auto it = items_.find({kind, a});
  return it == items_.end() ? kNone : it->second;
}

void Recovery::SetAside(std::string why) {
  ++report_.set_aside_count;
  if (report_.set_aside.size() < kMaxReported) report_.set_aside.push_back(std::move(why));
}

Status Recovery::Run(std::function<void()> done) {
  done_ = std::move(done);
  for (HeldMemory& h : held_) items_[{h.item.kind, h.item.a}].push_back(&h);
  if (store_.mirror() != nullptr) {
    restoring_.emplace(store_, [this] { VolumeOpened(); });
    VY_RETURN_IF_ERROR(restoring_->Read());
  }
  FindGeneration();
  opening_ = 1;  // until all have been begun
  if (report_.from_generation != 0) {
    AdoptClients();
    std::set<uint64_t> volumes;
    for (const HeldMemory& h : held_) {
      if (h.item.kind == HeldKind::kCatalog) volumes.insert(h.item.a);
    }
    for (const uint64_t id : volumes) {
      if (Status s = AdoptVolume(id); !s.ok()) {
        SetAside(fmt::format("volume {}: {}", id, s.ToString()));
        taken_.lost_volumes.insert(id);
      }
    }
  }
  taken_.cold = report_.from_generation == 0;
  if (restoring_) opening_ += restoring_->Run(taken_);
  AdoptExtents();  // also where no ledger could be read: nobody else would free them
  if (restoring_) {
    restoring_->Finish();
    report_.restored = restoring_->report();
  }
  store_.DeriveKept();
  VolumeOpened();
  return {};
}

void Recovery::FindGeneration() {
  for (HeldMemory& h : held_) {
    if (h.item.kind != HeldKind::kLedger || h.item.a <= report_.from_generation) continue;
    auto mapping = os::Mapping::Open(h.fd, layout::kLedgerSize, os::Access::kReadWrite);
    auto size = os::FileSize(h.fd);
    if (!mapping.ok() || !size.ok() || *size != layout::kLedgerSize) {
      SetAside(fmt::format("the ledger of generation {} can't be read", h.item.a));
      continue;
    }
    const layout::Ledger ledger(mapping->data());
    if (Status s = ledger.Check(); !s.ok()) {
      SetAside(fmt::format("the ledger of generation {}: {}", h.item.a, s.ToString()));
      continue;
    }
    if (ledger.header().serving.load(std::memory_order_acquire) != 1) continue;
    report_.from_generation = h.item.a;
    old_ledger_mapping_ = std::move(mapping).value();
    old_ledger_ = ledger;
  }
  if (report_.from_generation == 0) return;
  auto intent = old_ledger_.ReadIntent();
  if (intent.ok()) {
    intent_ = std::move(*intent);
  } else {
    SetAside(intent.status().ToString());
  }
  const uint64_t next = old_ledger_.header().next_id.load(std::memory_order_acquire);
  // A nonsense mark would use up all ids; the clock's is then as good.
  if (next < (uint64_t{1} << 48)) store_.next_id_ = std::max(store_.next_id_, next);
  // Kept at once: this engine may die before it gives out an id.
  store_.ledger_.header().next_id.store(store_.next_id_, std::memory_order_relaxed);
}

void Recovery::AdoptClients() {
  for (uint32_t n = 0; n < layout::kMaxClients; ++n) {
    const layout::ClientRow& row = old_ledger_.row(n);
    const uint64_t key = row.client_key.load(std::memory_order_acquire);
    if (key == 0 || store_.clients_->Find(key) != nullptr) continue;
    const std::vector<HeldMemory*>& pidfds = Items(HeldKind::kClient, key);
    if (pidfds.empty() || os::HasEnded(pidfds[0]->fd)) continue;
    auto client = store_.clients_->Add({row.token_high, row.token_low}, row.pid, 0, row.volume,
                                       std::move(pidfds[0]->fd), key);
    if (!client.ok()) return;
    (*client)->claimed = false;
    store_.clients_->Acknowledge(**client, row.acknowledged);
    AdoptFaults(**client, row);
    for (const layout::Answer& answer : row.answers) {
      if (answer.number != 0) store_.clients_->Note(**client, answer);
    }
    if (intent_ && intent_->client_key == key) store_.clients_->Note(**client, intent_->answer);
    ++report_.clients;
  }
}

// What ended the engine before is not run again: it would end this one too.
void Recovery::AdoptFaults(const ClientState& client, const layout::ClientRow& row) {
  const layout::LedgerHeader& old = old_ledger_.header();
  const bool committed = intent_ && intent_->client_key == client.key;
  if (store_.options_.after_fault && old.running_client == client.key && !committed) {
    store_.clients_->NoteFault(client, old.running_request, row.faults + 1);
    log::Error("the engine before ended by a fault in a request of a client",
               {{"pid", client.pid}, {"request", old.running_request.load()}});
  } else if (row.faults > 0) {
    store_.clients_->NoteFault(client, row.fatal_request, row.faults);
  }
}

Status Recovery::AdoptVolume(uint64_t id) {
  OldVolume old;
  HeldMemory* first = nullptr;
  for (HeldMemory* h : Items(HeldKind::kCatalog, id)) {
    if (GenerationOf(h->item) == report_.from_generation && SegmentOf(h->item) == 0) first = h;
  }
  if (first == nullptr) return {};  // of a generation that never served
  VY_ASSIGN_OR_RETURN(const uint64_t size, os::FileSize(first->fd));
  VY_ASSIGN_OR_RETURN(os::Mapping mapping, os::Mapping::Open(first->fd, size, os::Access::kRead));
  VY_ASSIGN_OR_RETURN(old.catalog, ReadOldCatalog(mapping.bytes()));
  if (old.catalog.spec.volume != id) return Status::Corrupted("its catalog is another volume's");
  if (old.catalog.state != layout::VolumeState::kLive) return {};  // never finished, or removed
  if (EndsByIntent(id)) return {};
  CollectEntries(old);
  FinishIntent(old);

  CatalogSpec spec = old.catalog.spec;
  spec.expected_entries = old.entries.size();
  if (Status fits = store_.CheckGuarantee(spec); !fits.ok()) {
    SetAside(fmt::format("the guarantee of volume '{}': {}", spec.name, fits.message()));
    spec.guaranteed = 0;
  }
  VY_RETURN_IF_ERROR(store_.CreateVolume(spec, [this](Result<Volume*>) { VolumeOpened(); }));
  ++opening_;
  old.fresh = store_.FindVolume(id);
  ArenaSet& arenas = old.fresh->arenas();
  for (HeldMemory* h : Items(HeldKind::kArena, id)) {
    Status s = arenas.Adopt(static_cast<uint32_t>(h->item.b), std::move(h->fd), h->item.c);
    if (!s.ok()) SetAside(s.ToString());
  }
  // Objects and blobs first: a name or a stream counts only if its object is there.
  std::vector<std::pair<uint64_t, Ref>> names;
  std::vector<std::pair<uint64_t, Ref>> streams;
  uint64_t last_entry = 0;  // what has two records has them one after the other
  for (size_t i = 0; i < old.entries.size(); ++i) {
    if (i + kAhead < old.entries.size()) old.fresh->WillAdopt(old.entries[i + kAhead].first);
    const auto& [key, ref] = old.entries[i];
    const Ref place(ref);
    if (!CheckRecord(old, key, place)) continue;
    const bool is_entry = place.kind() != RecordKind::kName && place.kind() != RecordKind::kStream;
    if (is_entry && key == last_entry) {
      SetAside(fmt::format("volume '{}': {:016x} has two records", old.fresh->name(), key));
      continue;
    }
    const std::byte* record = arenas.At(place);
    const RecordFields& f = layout::FieldsOf(record);
    arenas.CountLive(place, layout::RecordSize(f.head_length, f.bytes_length));
    if (is_entry) {
      old.fresh->AdoptEntry(ObjectId(key), place);
      last_entry = key;
    } else {
      (place.kind() == RecordKind::kName ? names : streams).emplace_back(key, place);
    }
  }
  for (const auto& [key, place] : names) {
    const std::byte* record = arenas.At(place);
    const auto head = layout::HeadOf(record);
    const std::string_view name(reinterpret_cast<const char*>(head.data()), head.size());
    const bool points = old.fresh->Find(ObjectId(layout::FieldsOf(record).value)) != nullptr;
    if (!points || old.fresh->FindName(name) != nullptr) {
      SetAside(fmt::format("volume '{}': name '{}' {}", old.fresh->name(), name,
                           points ? "has two records" : "points to nothing"));
      taken_.damaged.emplace(id, key);
      arenas.Free(place);
      continue;
    }
    old.fresh->AdoptName(name, place);
  }
  for (const auto& [key, place] : streams) AdoptStream(*old.fresh, ObjectId(key), place);
  old.fresh->DeriveReferences();
  arenas.CloseEmptyAdopted();
  ++report_.volumes;
  report_.objects += old.fresh->objects();
  report_.names += old.fresh->names_given();
  return {};
}

void Recovery::AdoptStream(Volume& volume, ObjectId id, Ref place) {
  const Entry* object = volume.Find(id);
  const bool belongs = object != nullptr && object->ref.kind() == RecordKind::kObject;
  if (!belongs || volume.FindStream(id) != nullptr) {
    SetAside(fmt::format("volume '{}': stream {} {}", volume.name(), id.ToString(),
                         belongs ? "has two records" : "has no object"));
    volume.arenas().Free(place);
    return;
  }
  volume.AdoptStream(id, place, *layout::DecodeStream(layout::HeadOf(volume.arenas().At(place))));
}

void Recovery::CollectEntries(OldVolume& old) {
  const auto collect = [&](std::span<const std::byte> bytes, uint64_t offset) {
    const auto* buckets = reinterpret_cast<const layout::Bucket*>(bytes.data() + offset);
    const size_t count = (bytes.size() - offset) / sizeof(layout::Bucket);
    layout::ForEachEntry({buckets, count}, [&](uint64_t key, Ref ref) {
      // Without bits that have no meaning, or one place would be two.
      old.entries.emplace_back(key, Ref(ref.kind(), ref.arena(), ref.offset()).value());
    });
  };
  for (const uint64_t number : old.catalog.segments) {
    bool found = false;
    for (HeldMemory* h : Items(HeldKind::kCatalog, old.catalog.spec.volume)) {
      if (GenerationOf(h->item) != report_.from_generation || SegmentOf(h->item) != number)
        continue;
      found = true;
      auto size = os::FileSize(h->fd);
      if (!size.ok()) continue;
      auto mapping = os::Mapping::Open(h->fd, *size, os::Access::kRead);
      if (!mapping.ok()) {
        SetAside(mapping.status().ToString());
        continue;
      }
      collect(mapping->bytes(), number == 0 ? layout::kFirstSegmentOffset : 0);
    }
    if (!found) {
      SetAside(fmt::format("volume '{}': segment {} of the index is not there",
                           old.catalog.spec.name, number));
    }
  }
  SortEntries(old);
}

// While an index grows, an entry may stand in two of its segments.
void Recovery::SortEntries(OldVolume& old) {
  std::ranges::sort(old.entries);
  old.entries.erase(std::ranges::unique(old.entries).begin(), old.entries.end());
}

bool Recovery::EndsByIntent(uint64_t volume) const {
  return intent_ && std::ranges::any_of(intent_->changes, [&](const layout::IntentChange& c) {
           return c.volume == volume && c.ends_volume();
         });
}

void Recovery::FinishIntent(OldVolume& old) {
  if (!intent_) return;
  std::set<OldVolume::Entry> gone;
  std::set<OldVolume::Entry> made;
  for (const layout::IntentChange& c : intent_->changes) {
    if (c.volume != old.catalog.spec.volume) continue;
    gone.emplace(c.key, c.was);
    made.erase({c.key, c.was});  // by a change before
    if (c.now != 0) made.emplace(c.key, c.now);
  }
  std::erase_if(old.entries, [&](const OldVolume::Entry& e) { return gone.contains(e); });
  old.entries.insert(old.entries.end(), made.begin(), made.end());
  SortEntries(old);
}

bool Recovery::CheckRecord(OldVolume& old, uint64_t key, Ref ref) {
  const auto bad = [&](std::string_view why) {
    SetAside(fmt::format("volume '{}': the record of {:016x} {}", old.catalog.spec.name, key, why));
    taken_.damaged.emplace(old.catalog.spec.volume, key);
    return false;
  };
  const std::span<const std::byte> bytes = old.fresh->arenas().Peek(ref);
  if (bytes.empty()) return bad("lies in no arena");
  const RecordFields& f = layout::FieldsOf(bytes.data());
  if (f.head_length > bytes.size() || f.bytes_length > bytes.size() ||
      layout::BytesOffset(f.head_length) + f.bytes_length > bytes.size()) {
    return bad("ends behind its arena");
  }
  const auto head = layout::HeadOf(bytes.data());
  if (layout::SequenceOf(bytes.data()) == 0) return bad("is unfinished");
  if (f.checksum != layout::RecordChecksum(f, head)) return bad("does not match its checksum");
  if (f.kind != ref.kind() || f.id != key) return bad("is another one");
  switch (f.kind) {
    case RecordKind::kName: {
      const std::string_view name(reinterpret_cast<const char*>(head.data()), head.size());
      if (name.empty() || !layout::ReadNameTerm(layout::BytesOf(bytes.data()))) {
        return bad("has bytes that a name has not");
      }
      return layout::NameKey(name, old.catalog.spec.hash_seed) == key || bad("is another name's");
    }
    case RecordKind::kBlob:
      if (!ObjectId(key).is_blob()) return bad("has no blob's id");
      return (f.flags & layout::kFlagExtent) == 0 ||
             CheckExtent(old.catalog.spec.volume, f, head) ||
             bad("names memory that is not there, or not sealed");
    case RecordKind::kObject: {
      auto d = wire::DecodeDescriptor(head);
      if (!d.ok()) return bad("has a malformed descriptor");
      return (*d)->stamp()->id() == key || bad("has another one's descriptor");
    }
    case RecordKind::kStream:
      return layout::DecodeStream(head).has_value() || bad("has a malformed state");
    case RecordKind::kFree: break;
  }
  return bad("is of no known kind");
}

// Whole in memory, or whole on the disk: one of them is there at every instant (store/spiller.h).
bool Recovery::CheckExtent(uint64_t volume, const RecordFields& fields,
                           std::span<const std::byte> head) {
  if (head.empty() || head.size() % sizeof(layout::ChunkEntry) != 0) return false;
  const std::span chunks(reinterpret_cast<const layout::ChunkEntry*>(head.data()),
                         head.size() / sizeof(layout::ChunkEntry));
  return CheckInMemory(volume, fields, chunks) || CheckSpilled(volume, fields, chunks);
}

bool Recovery::CheckInMemory(uint64_t volume, const RecordFields& fields,
                             std::span<const layout::ChunkEntry> chunks) {
  const std::vector<HeldMemory*>& held = Items(HeldKind::kChunk, fields.id);
  if (held.size() != chunks.size()) return false;
  uint64_t pages = 0;
  for (const HeldMemory* h : held) {
    if (h->item.e != volume || h->item.b >= held.size() || chunks[h->item.b].size != h->item.c)
      return false;
    auto size = os::FileSize(h->fd);
    auto sealed = os::IsSealedForever(h->fd);
    if (!size.ok() || *size != h->item.c || !sealed.ok() || !*sealed) return false;
    pages += h->item.c;
  }
  if (fields.value > pages) return false;
  published_extents_.insert(fields.id);
  return true;
}

bool Recovery::CheckSpilled(uint64_t volume, const RecordFields& fields,
                            std::span<const layout::ChunkEntry> chunks) {
  constexpr uint64_t kMost = uint64_t{1} << 60;
  if (store_.spiller() == nullptr) return false;
  auto extent = std::make_unique<Extent>();
  extent->blob = ObjectId(fields.id);
  extent->volume = volume;
  extent->size = fields.value;
  extent->state = ExtentState::kSpilled;
  extent->on_disk = true;
  extent->file_instance = restoring_->InstanceOf(volume, fields.id);
  for (const layout::ChunkEntry& chunk : chunks) {
    if (chunk.size == 0 || chunk.size > kMost || extent->pages > kMost) return false;
    extent->pages += chunk.size;
    extent->chunks.push_back({{}, chunk.size});
  }
  if (fields.value > extent->pages || !store_.spiller()->HasFile(*extent)) return false;
  spilled_[fields.id] = std::move(extent);
  return true;
}

void Recovery::VolumeOpened() {
  if (--opening_ > 0) return;
  os::CrashPoint("recovery.before_serving");
  store_.ledger_.header().serving.store(1, std::memory_order_release);
  os::CrashPoint("recovery.serving");
  const auto is_gone = [this](uint64_t key) { return store_.clients_->Find(key) == nullptr; };
  for (const auto& [id, volume] : store_.volumes_) {
    volume->ReleaseStreams(is_gone);
    volume->EndLeases(is_gone, os::Clock::now());
  }
  DropOld();
  store_.BringBackKept();
  done_();
}

void Recovery::DropOld() {
  for (const HeldMemory& h : held_) {
    const HeldItem& i = h.item;
    switch (i.kind) {
      case HeldKind::kLedger:
      case HeldKind::kCatalog: store_.keeper_.Drop(i.kind, i.a, i.b, {}); break;
      case HeldKind::kClient:
        if (store_.clients_->Find(i.a) == nullptr) store_.keeper_.Drop(i.kind, i.a, i.b, {});
        break;
      case HeldKind::kArena:
        if (store_.FindVolume(i.a) == nullptr) store_.keeper_.Drop(i.kind, i.a, i.b, {});
        break;
      case HeldKind::kListener:
      case HeldKind::kChunk: break;
    }
  }
  items_.clear();
  held_.clear();
  old_ledger_mapping_.Reset();
}

}  // namespace vineyard::store
