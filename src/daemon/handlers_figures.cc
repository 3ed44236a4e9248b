// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What the instance says of itself to who looks after it: clients, waits, figures, and the requests there were.
#include <algorithm>
#include <chrono>

#include "base/logging.h"
#include "daemon/server.h"

namespace vineyard::daemon {

namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

constexpr size_t kMostWaits = 10'000;        // of one answer
constexpr size_t kMostClients = 2'000;       // likewise
constexpr size_t kExtentsLookedAt = 50'000;  // in a turn, and those of one client more
constexpr uint32_t kMostTraced = 1024;       // of one answer

uint64_t Milliseconds(os::Clock::duration time) {
  using std::chrono::milliseconds;
  const auto count = std::chrono::duration_cast<milliseconds>(time).count();
  return static_cast<uint64_t>(std::max<int64_t>(count, 0));
}

int64_t Nanoseconds(auto time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

// How far CLOCK_REALTIME is ahead of the clock that requests are timed by.
int64_t RealtimeOffset() {
  return Nanoseconds(std::chrono::system_clock::now().time_since_epoch()) -
         Nanoseconds(os::Clock::now().time_since_epoch());
}

fb::WaitKind KindOf(store::MemoryWait::Kind kind) {
  switch (kind) {
    case store::MemoryWait::Kind::kMemory: return fb::WaitKind::Memory;
    case store::MemoryWait::Kind::kQuota: return fb::WaitKind::Quota;
    case store::MemoryWait::Kind::kDisk: return fb::WaitKind::Disk;
  }
  return fb::WaitKind::Memory;
}

/// Collects what waits.
class WaitList {
 public:
  struct What {
    fb::WaitKind kind{};
    uint64_t bytes = 0;
    std::string_view name;
    uint64_t stream = 0;
    os::TimePoint deadline;
  };
  [[nodiscard]] bool full() const { return entries_.size() >= kMostWaits; }
  void Add(const store::Volume& volume, const Reply& reply, const What& what) {
    const auto connection = reply.connection();
    if (connection == nullptr || full()) return;
    const AskedRequest& asked = reply.asked();
    const auto request = b_.CreateString(fb::EnumNameRequestBody(asked.kind));
    const auto in = b_.CreateString(volume.name());
    const auto name = b_.CreateString(what.name.data(), what.name.size());
    entries_.push_back(fb::CreateWaitEntry(
        b_, what.kind, request, in, connection->client(),
        static_cast<uint64_t>(connection->peer().pid), reply.request_id(), name, what.stream,
        what.bytes, Milliseconds(now_ - asked.begun), Milliseconds(what.deadline - now_)));
  }
  void SendTo(Reply reply) {
    const bool more = full();
    const auto waits = fb::CreateWaits(b_, b_.CreateVector(entries_), more);
    reply.Send(b_, fb::ReplyBody::Waits, waits.Union());
  }

 private:
  const os::TimePoint now_ = os::Clock::now();
  FlatBufferBuilder b_{4096};
  std::vector<Offset<fb::WaitEntry>> entries_;
};

std::vector<Offset<fb::RequestCount>> Describe(FlatBufferBuilder& b, const RequestCounts& counts) {
  std::vector<Offset<fb::RequestCount>> described;
  for (const fb::RequestBody request : fb::EnumValuesRequestBody()) {
    const RequestCounts::Kind* kind = counts.Find(request);
    if (kind == nullptr) continue;
    const auto name = b.CreateString(fb::EnumNameRequestBody(request));
    const auto buckets = b.CreateVector(kind->buckets.data(), kind->buckets.size());
    described.push_back(
        fb::CreateRequestCount(b, name, kind->answered, kind->failed, kind->total_ns, buckets));
  }
  return described;
}

}  // namespace

// ---- noted with each answer

void Server::NoteAnswered(Connection& connection, uint64_t request_id, const AskedRequest& asked,
                          StatusCode code) {
  const os::TimePoint now = os::Clock::now();
  const auto took = now - asked.begun;
  const uint64_t volume = connection.volume();
  auto counts = counts_.find(volume);
  if (counts == counts_.end()) {
    if (store_.FindVolume(volume) == nullptr) return;
    counts = counts_.try_emplace(volume).first;
  }
  counts->second.Note(asked.kind, took, code);
  const auto waited = asked.waits == os::TimePoint{} ? os::Clock::duration{} : now - asked.waits;
  const auto pid = static_cast<uint64_t>(connection.peer().pid);
  log_.Add({.request_id = request_id,
            .client = connection.client(),
            .pid = pid,
            .volume = volume,
            .bytes = asked.bytes,
            .begun = asked.begun,
            .took = took,
            .waited = waited,
            .kind = asked.kind,
            .code = code});
  if (code != StatusCode::kPermissionDenied) return;
  if (const uint64_t times = access_refused_.Note(now)) {
    const store::Volume* of = store_.FindVolume(volume);
    log::Warning("access was refused",
                 {{"request", fb::EnumNameRequestBody(asked.kind)},
                  {"volume", of != nullptr ? std::string_view(of->name()) : std::string_view()},
                  {"pid", pid},
                  {"uid", connection.peer().uid},
                  {"id", request_id},
                  {"times", times}});
  }
}

// ---- questions

std::optional<std::vector<store::Volume*>> Server::Seen(Call& call, bool all) {
  std::vector<store::Volume*> seen;
  if (!all) {
    seen.push_back(&call.volume);
    return seen;
  }
  if (Status may = CheckMayManage(*call.connection, "all volumes are looked at"); !may.ok()) {
    call.reply.Fail(may);
    return std::nullopt;
  }
  for (const auto& [id, volume] : store_.volumes()) seen.push_back(volume.get());
  return seen;
}

std::unordered_map<uint64_t, AskedByClient> Server::CountAsked() const {
  std::unordered_map<uint64_t, AskedByClient> asked;
  for (const auto& [raw, connection] : connections_) {
    AskedByClient& of_it = asked[connection->client()];
    of_it.waiting += connection->requests();
    of_it.answered += connection->answered();
  }
  return asked;
}

Offset<fb::ClientEntry> Server::DescribeClient(FlatBufferBuilder& b,
                                               const store::ClientState& client,
                                               const store::ClientMemory& memory,
                                               AskedByClient asked) {
  const store::Volume* volume = store_.FindVolume(client.volume);
  const auto name = b.CreateString(volume != nullptr ? volume->name() : std::string());
  const auto program = b.CreateString(client.program);
  const auto pod = b.CreateString(client.pod);
  return fb::CreateClientEntry(b, client.key, name, client.pid, client.uid, program, pod,
                               client.connected, client.reads_only,
                               Milliseconds(os::Clock::now() - client.since), memory.mapped,
                               client.mapped.size(), memory.writing, memory.idle, memory.pinned,
                               asked.waiting, asked.answered);
}

std::vector<Offset<fb::ClientEntry>> Server::DescribeHolders(FlatBufferBuilder& b, uint64_t volume,
                                                             const std::vector<ObjectId>& blobs) {
  std::vector<Offset<fb::ClientEntry>> holders;
  for (const auto& [key, client] : store_.clients().all()) {
    if (client->volume != volume || holders.size() >= kMostClients) continue;
    store::ClientMemory memory;
    bool holds = false;
    if (!client->mapped.empty() || !client->pinned.empty()) {
      for (const ObjectId blob : blobs) {
        const bool maps = client->mapped.contains(blob.value());
        const bool pins = client->pinned.contains(blob.value());
        if (!maps && !pins) continue;
        const uint64_t pages = store_.PagesOf(blob.value());
        if (maps) memory.mapped += pages;
        if (pins) memory.pinned += pages;
        holds = true;
      }
    }
    if (holds) holders.push_back(DescribeClient(b, *client, memory));
  }
  return holders;
}

void Server::HandleListClients(Call call, const fb::ListClients& list) {
  const auto seen = Seen(call, list.all());
  if (!seen) return;
  FlatBufferBuilder b(4096);
  std::vector<Offset<fb::ClientEntry>> clients;
  const auto& all = store_.clients().all();
  const auto asked = CountAsked();
  uint64_t last = list.after();
  bool more = false;
  size_t extents = 0;
  for (auto it = all.upper_bound(list.after()); it != all.end(); ++it) {
    if (clients.size() >= kMostClients || extents > kExtentsLookedAt) {
      more = true;
      break;
    }
    last = it->first;
    const store::ClientState& client = *it->second;
    if (!list.all() && client.volume != call.volume.id()) continue;
    extents += client.mapped.size() + client.reservations.size() + client.pinned.size();
    const auto of_it = asked.find(client.key);
    clients.push_back(DescribeClient(b, client, store_.MemoryOf(client),
                                     of_it == asked.end() ? AskedByClient() : of_it->second));
  }
  const auto answer = fb::CreateClients(b, b.CreateVector(clients), last, more);
  call.reply.Send(b, fb::ReplyBody::Clients, answer.Union());
}

void Server::HandleListWaits(Call call, const fb::ListWaits& list) {
  const auto seen = Seen(call, list.all());
  if (!seen) return;
  WaitList waits;
  const store::MemoryWaits for_memory = store_.Waits();
  for (const auto& [raw, connection] : connections_) {
    const bool is_seen = list.all() || connection->volume() == call.volume.id();
    const store::Volume* volume = store_.FindVolume(connection->volume());
    if (!is_seen || volume == nullptr) continue;
    for (const Connection::Wait& wait : connection->waits) {
      const auto it = for_memory.find(wait.ticket);
      if (it == for_memory.end() || wait.reply == nullptr) continue;
      waits.Add(*volume, *wait.reply,
                {.kind = KindOf(it->second.kind),
                 .bytes = it->second.bytes,
                 .name = {},
                 .deadline = it->second.deadline});
    }
  }
  for (const store::Volume* volume : *seen) {
    waiters_.ForEach(volume->id(), [&](const Waiter& waiter) {
      WaitList::What what{.kind = fb::WaitKind::Name, .name = {}, .deadline = waiter.deadline};
      if (const auto* stream = std::get_if<StreamWait>(&waiter.awaited)) {
        what.kind = stream->reader == 0 ? fb::WaitKind::Room : fb::WaitKind::Stream;
        what.stream = stream->stream.value();
      } else {
        what.name = std::get<NameWait>(waiter.awaited).wanted.name;
      }
      waits.Add(*volume, waiter.reply, what);
    });
  }
  waits.SendTo(std::move(call.reply));
}

Offset<fb::VolumeFigures> Server::DescribeVolume(FlatBufferBuilder& b,
                                                 const store::Volume& volume) {
  const store::VolumeMemory m = store_.MemoryOf(volume);
  const fb::VolumeMemory memory(m.sealed, m.writing, m.idle, m.lingering, m.moving, m.records,
                                m.slack, m.catalog);
  uint64_t connections = 0;
  uint64_t waiting = 0;
  for (const auto& [raw, connection] : connections_) {
    if (connection->volume() != volume.id()) continue;
    ++connections;
    waiting += static_cast<uint64_t>(std::ranges::count_if(
        connection->waits, [&](const auto& wait) { return store_.IsWaiting(wait.ticket); }));
  }
  waiters_.ForEach(volume.id(), [&](const Waiter&) { ++waiting; });
  static const RequestCounts kNone;
  const auto it = counts_.find(volume.id());
  const RequestCounts& counts = it == counts_.end() ? kNone : it->second;
  const auto name = b.CreateString(volume.name());
  const auto requests = b.CreateVector(Describe(b, counts));
  return fb::CreateVolumeFigures(
      b, name, &memory, m.held, store_.LimitOf(volume),
      store_.budget().GuaranteedTo(volume.holder()), store_.SpilledOf(volume).bytes,
      volume.kept_bytes(), volume.objects(), volume.blobs(), volume.names_given(), volume.leases(),
      connections, waiting, requests, counts.refused_memory(), counts.refused_access(),
      counts.late(), volume.changes(), volume.durable());
}

void Server::HandleGetFigures(Call call, const fb::GetFigures& get) {
  const auto seen = Seen(call, get.all());
  if (!seen) return;
  FlatBufferBuilder b(4096);
  std::vector<Offset<fb::VolumeFigures>> volumes;
  for (const store::Volume* volume : *seen) volumes.push_back(DescribeVolume(b, *volume));
  store::Spiller::Counts counts;
  uint64_t on_disk = 0;
  if (const store::Spiller* spiller = store_.spiller()) {
    counts = spiller->counts();
    on_disk = spiller->disk().figures().bytes;
  }
  const store::ReadyChunks::Given given = store_.ready_chunks().given();
  const store::Budget& budget = store_.budget();
  const auto figures =
      fb::CreateFigures(b, b.CreateVector(volumes), budget.limit(), budget.held(), budget.spare(),
                        given.ready, given.missing, on_disk, counts.loads, counts.evictions,
                        counts.damaged, Milliseconds(os::Clock::now() - begun_),
                        options_.generation, HeapBytes(), store_.memory_files());
  call.reply.Send(b, fb::ReplyBody::Figures, figures.Union());
}

void Server::HandleGetTrace(Call call, const fb::GetTrace& get) {
  const auto seen = Seen(call, get.all());
  if (!seen) return;
  const uint32_t limit = std::min(get.limit(), kMostTraced);
  const int64_t offset = RealtimeOffset();
  std::vector<fb::TraceEntry> entries;
  uint64_t last = std::min(get.after(), log_.last());
  uint64_t missed = 0;
  log_.ForEachAfter(last, [&](const AnsweredRequest& r) {
    if (entries.size() >= limit) return false;
    missed += r.sequence - last - 1;
    last = r.sequence;
    if (!get.all() && r.volume != call.volume.id()) return true;
    entries.emplace_back(
        r.sequence, r.request_id, r.client, r.pid, Nanoseconds(r.begun.time_since_epoch()) + offset,
        static_cast<uint64_t>(r.took.count()), static_cast<uint64_t>(r.waited.count()), r.volume,
        r.bytes, static_cast<uint8_t>(r.kind), static_cast<uint8_t>(r.code));
    return true;
  });
  FlatBufferBuilder b(4096);
  std::vector<std::string> kinds;
  for (const fb::RequestBody kind : fb::EnumValuesRequestBody()) {
    kinds.emplace_back(fb::EnumNameRequestBody(kind));
  }
  std::vector<Offset<fb::VolumeNumber>> volumes;
  for (const store::Volume* volume : *seen) {
    volumes.push_back(fb::CreateVolumeNumber(b, volume->id(), b.CreateString(volume->name())));
  }
  const auto list = b.CreateVectorOfStructs(entries);
  const auto names = b.CreateVectorOfStrings(kinds);
  const auto trace =
      fb::CreateTrace(b, list, names, b.CreateVector(volumes), last, missed, last < log_.last());
  call.reply.Send(b, fb::ReplyBody::Trace, trace.Union());
}

}  // namespace vineyard::daemon
