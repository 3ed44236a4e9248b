// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "store/test_machine.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <set>

#include "base/testing.h"
#include "os/crash_point.h"
#include "os/memfd.h"
#include "os/packet.h"
#include "os/process.h"

namespace vineyard::store {

using layout::RecordCopy;
using layout::RecordKind;
using layout::Ref;

void Events::Run() {
  while (Step()) {
  }
}

bool Events::Step() {
  if (queue_.empty()) return false;
  const auto event = std::move(queue_.front());
  queue_.pop_front();
  event();
  return true;
}

// ---- the keeper

void FakeKeeper::Link::Hold(const HeldItem& item, const os::UniqueFd& fd) {
  if (keeper_ != nullptr) keeper_->Put(item, fd.Duplicate().value());
}

void FakeKeeper::Link::HoldAndTell(const HeldItem& item, const os::UniqueFd& fd,
                                   std::function<void()> held) {
  Hold(item, fd);
  events_.Post(std::move(held));
}

void FakeKeeper::Link::Drop(HeldKind kind, uint64_t a, uint64_t b, std::function<void()> dropped) {
  if (keeper_ != nullptr) keeper_->Remove(kind, a, b);
  if (dropped) events_.Post(std::move(dropped));
}

namespace {

struct Told {
  HeldItem item;
  uint64_t dropped = 0;
};

}  // namespace

void FakeKeeper::Put(const HeldItem& item, os::UniqueFd fd) {
  if (parent_.valid()) {
    const Told told{item, 0};
    const auto bytes = std::as_bytes(std::span(&told, 1));
    while (os::SendPacket(parent_, bytes, fd.get()).value() != os::Sent::kSent) ::usleep(1000);
  }
  items_.insert_or_assign(Key{item.kind, item.a, item.b}, HeldMemory{item, std::move(fd)});
}

void FakeKeeper::Remove(HeldKind kind, uint64_t a, uint64_t b) {
  if (parent_.valid()) {
    const Told told{{.kind = kind, .a = a, .b = b}, 1};
    const auto bytes = std::as_bytes(std::span(&told, 1));
    while (os::SendPacket(parent_, bytes, -1).value() != os::Sent::kSent) ::usleep(1000);
  }
  items_.erase(Key{kind, a, b});
}

void FakeKeeper::HearChild(const os::UniqueFd& socket) {
  while (true) {
    Told told;
    os::Packet packet =
        os::ReceivePacket(socket, std::as_writable_bytes(std::span(&told, 1))).value();
    if (packet.arrival != os::Arrival::kPacket) return;
    if (told.dropped != 0) {
      Remove(told.item.kind, told.item.a, told.item.b);
    } else {
      Put(told.item, std::move(packet.fd));
    }
  }
}

std::vector<HeldMemory> FakeKeeper::HandOver() const {
  std::vector<HeldMemory> all;
  for (const auto& [key, held] : items_) all.push_back({held.item, held.fd.Duplicate().value()});
  return all;
}

size_t FakeKeeper::Count(HeldKind kind) const {
  size_t count = 0;
  for (const auto& [key, held] : items_) count += std::get<0>(key) == kind ? 1 : 0;
  return count;
}

HeldMemory* FakeKeeper::Find(HeldKind kind, uint64_t a, uint64_t b) {
  const auto it = items_.find(Key{kind, a, b});
  return it == items_.end() ? nullptr : &it->second;
}

// ---- engines

StoreOptions Machine::DefaultOptions() {
  StoreOptions options;
  options.limit = uint64_t{64} << 20;
  options.inline_max = uint64_t{64} << 10;
  return options;
}

Machine::Machine(const StoreOptions& options, std::string spill_path)
    : options_(options), spill_path_(std::move(spill_path)) {
  os::IgnoreLeaseSignals();
  if (options_.instance[0] == 0) options_.instance[0] = ++instances_;
  options_.generation = 0;
  Start(true);
}

Machine::~Machine() { Kill(); }

void Machine::Kill() {
  if (link_) link_->Cut();
  events_.Clear();
  store_.reset();
  events_.Clear();
  disk_.reset();
  link_.reset();
}

RecoveryReport Machine::Start(bool serve) {
  ++options_.generation;
  std::vector<HeldMemory> held = keeper_.HandOver();
  link_ = std::make_unique<FakeKeeper::Link>(keeper_, events_);
  if (!spill_path_.empty()) {
    auto place = spill::Place::Take(
        {.path = spill_path_, .instance = "instance", .limits = {.most = spill_limit_}});
    disk_ = std::make_unique<TestDisk>(std::move(place).value(), events_);
    options_.disk = disk_.get();
  }
  store_ = Store::Create(options_, *link_,
                         [this](std::function<void()> work, std::function<void()> done) {
                           events_.Post([work = std::move(work), done = std::move(done)] {
                             work();
                             done();
                           });
                         })
               .value();
  bool done = false;
  Recovery recovery(*store_, std::move(held));
  EXPECT_OK(recovery.Run([&] { done = true; }));
  if (!serve) {
    Kill();
    return recovery.report();
  }
  events_.Run();
  EXPECT_TRUE(done) << "recovery never ended";
  if (store_->FindVolume(1) == nullptr) {
    EXPECT_OK(store_->CreateVolume({.volume = 1, .name = "default", .hash_seed = 7},
                                   [](Result<Volume*> made) { EXPECT_OK(made); }));
    events_.Run();
  }
  return recovery.report();
}

RecoveryReport Machine::Restart() {
  Kill();
  return Start(true);
}

RecoveryReport Machine::ColdRestart() {
  Kill();
  keeper_.Clear();
  options_.instance[0] = ++instances_;
  options_.generation = 0;
  numbers_.clear();
  return Start(true);
}

void Machine::RestartAndDie() {
  Kill();
  Start(false);
}

bool Machine::CrashIn(const std::string& point, const std::function<void()>& act) {
  auto [ours, childs] = os::PacketPair().value();
  const pid_t child = ::fork();
  if (child == 0) {
    ours.Reset();
    keeper_.TellParent(std::move(childs));
    ::setenv("VINEYARD_CRASH_AT", point.c_str(), 1);
    os::LoadCrashPoint(1);
    act();
    Run();
    ::_exit(0);
  }
  childs.Reset();
  // The child's pipe may fill up, so we listen while it lives.
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    keeper_.HearChild(ours);
    ::usleep(200);
  }
  keeper_.HearChild(ours);
  Kill();
  EXPECT_TRUE(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

// ---- clients

uint64_t Machine::AddClient(os::UniqueFd pidfd) {
  static uint64_t tokens = 0;
  if (!pidfd.valid()) pidfd = os::OpenPidFd(::getpid()).value();
  os::UniqueFd copy = pidfd.Duplicate().value();
  const Token token{1, ++tokens};
  ClientState* client = store_->clients().Add(token, 42, 0, 1, std::move(pidfd)).value();
  keeper_.Put(
      {.kind = HeldKind::kClient, .a = client->key, .c = 42, .d = token.high, .e = token.low},
      std::move(copy));
  numbers_[client->key] = 0;
  return client->key;
}

os::UniqueFd Machine::EndedProcess() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  os::UniqueFd pidfd = os::OpenPidFd(child).value();
  EXPECT_OK(os::Reap(child));
  return pidfd;
}

Result<Extent*> Machine::Reserve(uint64_t client, uint64_t size, Volume* volume) {
  Result<Extent*> result = Status::Internal("no answer");
  store_->Reserve(volume != nullptr ? *volume : this->volume(), client, size, os::TimePoint::max(),
                  [&](Result<Extent*> r) { result = std::move(r); });
  Run();
  return result;
}

void Machine::FillAndSeal(const Extent& extent, std::string_view bytes) {
  for (const Chunk& chunk : extent.chunks) {
    {
      const os::UniqueFd fd = os::Reopen(chunk.fd, os::Access::kReadWrite).value();
      const auto mapping = os::Mapping::Open(fd, chunk.size, os::Access::kReadWrite).value();
      const size_t n = std::min<size_t>(bytes.size(), chunk.size);
      std::memcpy(mapping.data(), bytes.data(), n);
      bytes.remove_prefix(n);
    }
    ASSERT_OK(os::SealForever(chunk.fd));
  }
}

Result<layout::Answer> Machine::Put(uint64_t client, const TestObject& object) {
  ObjectInfo info;
  info.type_name = "test";
  info.metadata = "{}";
  if (!object.bytes.empty()) info.buffers.push_back({ObjectId(), 0, object.bytes.size()});
  for (const ObjectId blob : object.blobs) info.buffers.push_back({blob, 0, 1});
  for (const ObjectId id : object.members) info.members.push_back({"m" + id.ToString(), id});
  const std::vector<std::byte> descriptor = wire::EncodeDescriptor(info);
  PutArgs args{.descriptor = descriptor,
               .own_size = object.bytes.size(),
               .name = object.name,
               .if_version = object.if_version,
               .name_ends = object.name_ends,
               .linger = object.linger,
               .stream = object.stream,
               .keeps = object.keeps};
  if (object.large) {
    VY_ASSIGN_OR_RETURN(args.extent, Reserve(client, std::max<uint64_t>(object.bytes.size(),
                                                                        options_.inline_max + 1)));
    FillAndSeal(*args.extent, object.bytes);
    args.id = args.extent->blob.owner_of_blob();
  } else {
    args.bytes = std::as_bytes(std::span(object.bytes));
    args.id = store_->NextId();
  }
  if (!object.durable) return volume().Put(NextRequest(client), args);
  args.durable = true;
  std::vector<uint64_t> parts;
  for (const ObjectId id : object.members) parts.push_back(id.value());
  for (const ObjectId id : object.blobs) parts.push_back(id.value());
  VY_ASSIGN_OR_RETURN(Store::DurableNeeds needs, store_->NeedsOf(volume(), parts));
  needs.room += Mirror::FileLengthOf(descriptor.size(), args.bytes.size());
  if (object.large) {
    store_->NoteSize(*args.extent, args.own_size);
    needs.extents.push_back(args.extent->blob);
  }
  VY_RETURN_IF_ERROR(Secure(needs));
  return AwaitDisk(volume().Put(NextRequest(client), args));
}

Status Machine::Secure(const Store::DurableNeeds& needs) {
  VY_ASSIGN_OR_RETURN(const Store::RoomPromise room, store_->PromiseRoom(needs.room));
  Status secured = Status::Internal("no answer");
  store_->Secure(needs.extents, [&](Status s) { secured = std::move(s); });
  Run();
  return secured;
}

Result<layout::Answer> Machine::AwaitDisk(Result<layout::Answer> answer) {
  if (!answer.ok()) return answer;
  Status done = Status::Internal("no answer");
  store_->mirror()->WhenDone([&](Status s) { done = std::move(s); });
  Run();
  if (!done.ok()) return done;
  return answer;
}

Result<layout::Answer> Machine::PutBlob(uint64_t client, const std::string& bytes,
                                        const std::string& name) {
  return volume().Put(NextRequest(client), {.bytes = std::as_bytes(std::span(bytes)),
                                            .own_size = bytes.size(),
                                            .name = name,
                                            .id = store_->NextId()});
}

std::optional<RecordCopy> Machine::Lookup(uint64_t key,
                                          const std::function<bool(const RecordCopy&)>& fits) {
  Catalog& catalog = volume().catalog();
  std::vector<std::pair<const os::UniqueFd*, uint64_t>> files{
      {&catalog.first_file(), layout::kFirstSegmentOffset}};
  const auto segments = catalog.segments();
  for (const auto& segment : segments) files.emplace_back(segment.fd, 0);
  std::optional<RecordCopy> found;
  for (const auto& [fd, offset] : files) {
    const os::UniqueFd mine = os::Reopen(*fd, os::Access::kRead).value();
    const auto size = os::FileSize(mine).value();
    const auto mapping = os::Mapping::Open(mine, size, os::Access::kRead).value();
    const std::span buckets(reinterpret_cast<const layout::Bucket*>(mapping.data() + offset),
                            (size - offset) / sizeof(layout::Bucket));
    layout::ProbeSegment(buckets, key, [&](Ref ref) {
      const auto arena = volume().arenas().Find(ref.arena());
      if (!arena) return false;
      const os::UniqueFd again = os::Reopen(*arena->fd, os::Access::kRead).value();
      const auto bytes = os::Mapping::Open(again, arena->size, os::Access::kRead).value();
      auto copy = layout::TryReadRecord(bytes.data() + ref.offset(), arena->size - ref.offset());
      if (!copy || !fits(*copy)) return false;
      found = std::move(copy);
      return true;
    });
    if (found) break;
  }
  return found;
}

std::optional<RecordCopy> Machine::Read(ObjectId id) {
  return Lookup(id.value(), [&](const RecordCopy& r) {
    return (r.fields().kind == RecordKind::kObject || r.fields().kind == RecordKind::kBlob) &&
           r.fields().id == id.value();
  });
}

std::optional<RecordCopy> Machine::ReadName(std::string_view name) {
  const uint64_t seed = volume().catalog().header().hash_seed;
  return Lookup(layout::NameKey(name, seed), [&](const RecordCopy& r) {
    return r.fields().kind == RecordKind::kName && r.head_text() == name;
  });
}

// ---- the check

void Machine::CheckConsistent(Volume& volume) {
  std::set<std::pair<uint64_t, uint64_t>> in_index;
  const auto collect = [&](const os::UniqueFd& fd, uint64_t offset) {
    const auto size = os::FileSize(fd).value();
    const auto mapping = os::Mapping::Open(fd, size, os::Access::kRead).value();
    layout::ForEachEntry({reinterpret_cast<const layout::Bucket*>(mapping.data() + offset),
                          (size - offset) / sizeof(layout::Bucket)},
                         [&](uint64_t key, Ref ref) {
                           EXPECT_TRUE(in_index.emplace(key, ref.value()).second) << "twice";
                         });
  };
  collect(volume.catalog().first_file(), layout::kFirstSegmentOffset);
  for (const auto& segment : volume.catalog().segments()) collect(*segment.fd, 0);
  EXPECT_EQ(in_index.size(), volume.catalog().index().live());

  uint64_t live = 0;
  const auto check = [&](uint64_t key, Ref ref) {
    EXPECT_TRUE(in_index.contains({key, ref.value()})) << std::hex << key;
    const std::byte* record = volume.arenas().At(ref);
    const layout::RecordFields& f = layout::FieldsOf(record);
    EXPECT_NE(layout::SequenceOf(record), 0u);
    EXPECT_EQ(f.checksum, layout::RecordChecksum(f, layout::HeadOf(record)));
    EXPECT_EQ(f.kind, ref.kind());
    EXPECT_EQ(f.id, key);
    live += volume.arenas().SlotSize(ref);
  };
  std::map<uint64_t, uint32_t> parents;
  std::map<uint64_t, uint32_t> names;
  uint64_t pages = 0;
  uint64_t objects = 0;
  size_t streams = 0;
  for (const auto& [id, entry] : volume.entries()) {
    check(id, entry.ref);
    const std::byte* record = volume.Record(entry);
    const layout::RecordFields& f = layout::FieldsOf(record);
    const bool extent = (f.flags & layout::kFlagExtent) != 0;
    if (ObjectId(id).is_blob()) {
      Extent* e = extent ? store_->FindExtent(ObjectId(id)) : nullptr;
      if (extent) {
        EXPECT_NE(e, nullptr);
        EXPECT_TRUE(e == nullptr || IsStored(*e));
      }
      continue;
    }
    ++objects;
    std::set<uint64_t> children;
    const auto* d = wire::DecodeDescriptor(layout::HeadOf(record)).value();
    EXPECT_EQ(d->stamp()->id(), id);
    if (d->members() != nullptr) {
      for (const auto* m : *d->members()) children.insert(m->id());
    }
    if (d->buffers() != nullptr) {
      for (const auto* b : *d->buffers()) {
        if (b->blob() != 0) children.insert(b->blob());
      }
    }
    if (extent) children.insert(ObjectId(id).own_blob().value());
    for (const uint64_t child : children) ++parents[child];
    if (const Stream* stream = volume.FindStream(ObjectId(id))) {
      check(id, stream->ref);
      EXPECT_EQ(layout::DecodeStream(layout::HeadOf(volume.arenas().At(stream->ref))),
                stream->state);
      ++streams;
      const auto& chunks = stream->state.chunks;
      for (const uint64_t chunk : std::set(chunks.begin(), chunks.end())) ++parents[chunk];
    }
  }
  EXPECT_EQ(objects, volume.objects());
  std::map<ObjectId, uint32_t> kept;
  for (const auto& [name, entry] : volume.names()) {
    if (volume.Keeps(entry.ref)) {
      const auto extents = volume.ExtentsBelow({&entry.id, 1}, SIZE_MAX).value();
      for (const ObjectId blob : extents) ++kept[blob];
    }
    const uint64_t seed = volume.catalog().header().hash_seed;
    check(layout::NameKey(name, seed), entry.ref);
    const std::byte* record = volume.arenas().At(entry.ref);
    EXPECT_EQ(layout::FieldsOf(record).value, entry.id);
    EXPECT_EQ(layout::FieldsOf(record).version, entry.version);
    EXPECT_EQ(layout::BytesOf(record).size(), entry.client != 0 ? sizeof(layout::NameLease)
                                              : entry.ends      ? sizeof(layout::NameEnd)
                                                                : 0);
    EXPECT_NE(volume.Find(ObjectId(entry.id)), nullptr) << name << " points to nothing";
    ++names[entry.id];
  }
  for (const auto& [id, entry] : volume.entries()) {
    EXPECT_EQ(entry.parents, parents[id]) << ObjectId(id).ToString();
    EXPECT_EQ(entry.names, names[id]) << ObjectId(id).ToString();
  }
  uint64_t kept_bytes = 0;
  for (const auto& [id, entry] : volume.entries()) {
    const Extent* e = store_->FindExtent(ObjectId(id));
    if (e == nullptr) continue;
    EXPECT_EQ(e->kept, kept[e->blob]) << ObjectId(id).ToString();
    kept_bytes += e->kept > 0 ? e->pages : 0;
  }
  EXPECT_EQ(volume.kept_bytes(), kept_bytes);
  EXPECT_EQ(in_index.size(), volume.entries().size() + volume.names().size() + streams);
  EXPECT_EQ(volume.arenas().bytes_live(), live);
  for (const auto& [id, entry] : volume.entries()) {
    if (const Extent* e = store_->FindExtent(ObjectId(id))) pages += e->pages;
  }
  for (const auto& [key, client] : store_->clients().all()) {
    for (const uint64_t blob : client->reservations) {
      const Extent* e = store_->FindExtent(ObjectId(blob));
      EXPECT_NE(e, nullptr) << "a reservation of nothing";
      if (e == nullptr || e->volume != volume.id()) continue;
      EXPECT_EQ(e->state, ExtentState::kReserved);
      pages += e->pages;
    }
  }
  EXPECT_EQ(volume.usage(), live + pages);
  uint64_t in_memory = volume.arenas().bytes_held() + volume.catalog().bytes_held();
  for (const auto& [id, entry] : volume.entries()) {
    const Extent* e = store_->FindExtent(ObjectId(id));
    if (e != nullptr && IsInMemory(*e)) in_memory += e->pages;
  }
  EXPECT_GE(store_->budget().HeldBy(volume.holder()).bytes, in_memory);
}

}  // namespace vineyard::store
