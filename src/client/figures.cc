// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What an instance says of itself.
#include "vineyard/figures.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "client/client_info.h"
#include "client/impl.h"

namespace vineyard {

using client::Answer;
using client::Question;
using flatbuffers::FlatBufferBuilder;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

namespace {

// The answer to a question, if it has the body that is expected.
Result<Answer> Ask(Client::Impl& impl, fb::RequestBody question, fb::ReplyBody expected,
                   os::TimePoint deadline, client::BuildBody body) {
  VY_ASSIGN_OR_RETURN(Answer answer,
                      impl.connection().Call(Question(question, std::move(body)), deadline));
  if (answer.reply().body_type() == expected) return answer;
  return Status::Protocol("the instance's answer is none");
}

MemoryFigures ToMemory(const fb::VolumeMemory& m) {
  return {m.sealed(), m.writing(), m.idle(),  m.lingering(),
          m.moving(), m.records(), m.slack(), m.catalog()};
}

RequestFigures ToRequest(const fb::RequestCount& count) {
  RequestFigures request;
  request.kind = count.kind()->str();
  request.answered = count.answered();
  request.failed = count.failed();
  request.total = nanoseconds(count.total_ns());
  if (const auto* buckets = count.buckets()) {
    const size_t known = std::min<size_t>(buckets->size(), RequestFigures::kBuckets);
    std::copy_n(buckets->begin(), known, request.buckets.begin());
  }
  return request;
}

VolumeFigures ToVolume(const fb::VolumeFigures& v) {
  VolumeFigures volume;
  volume.name = v.name()->str();
  volume.memory = ToMemory(*v.memory());
  volume.held = v.held();
  volume.limit = v.limit();
  volume.guaranteed = v.guaranteed();
  volume.spilled = v.spilled();
  volume.kept_by_names = v.kept_by_names();
  volume.objects = v.objects();
  volume.blobs = v.blobs();
  volume.names = v.names();
  volume.leases = v.leases();
  volume.connections = v.connections();
  volume.waiting = v.waiting();
  if (v.requests() != nullptr) {
    for (const fb::RequestCount* count : *v.requests())
      volume.requests.push_back(ToRequest(*count));
  }
  volume.refused_memory = v.refused_memory();
  volume.refused_access = v.refused_access();
  volume.late = v.late();
  volume.changes = v.changes();
  volume.durable = v.durable();
  return volume;
}

WaitInfo ToWait(const fb::WaitEntry& w) {
  WaitInfo wait;
  wait.kind = static_cast<WaitInfo::Kind>(w.kind());
  wait.request = wire::ToString(w.request());
  wait.volume = w.volume()->str();
  wait.client = w.client();
  wait.pid = w.pid();
  wait.request_id = w.request_id();
  wait.name = wire::ToString(w.name());
  wait.object = ObjectId(w.stream());
  wait.bytes = w.bytes();
  wait.since = milliseconds(w.since_ms());
  wait.left = milliseconds(w.left_ms());
  return wait;
}

}  // namespace

std::string_view WaitKindName(WaitInfo::Kind kind) {
  switch (kind) {
    case WaitInfo::Kind::kMemory: return "memory";
    case WaitInfo::Kind::kQuota: return "quota";
    case WaitInfo::Kind::kDisk: return "disk";
    case WaitInfo::Kind::kName: return "name";
    case WaitInfo::Kind::kStream: return "stream";
    case WaitInfo::Kind::kRoom: return "room in a stream";
  }
  return "something this version does not know";
}

ClientInfo client::ToClientInfo(const fb::ClientEntry& c) {
  ClientInfo client;
  client.number = c.number();
  client.volume = c.volume()->str();
  client.pid = c.pid();
  client.uid = c.uid();
  client.program = wire::ToString(c.program());
  client.pod = wire::ToString(c.pod());
  client.connected = c.connected();
  client.read_only = c.read_only();
  client.known_for = milliseconds(c.since_ms());
  client.mapped_bytes = c.mapped_bytes();
  client.mapped_blobs = c.mapped_blobs();
  client.writing_bytes = c.writing_bytes();
  client.idle_bytes = c.idle_bytes();
  client.pinned_bytes = c.pinned_bytes();
  client.waiting = c.waiting();
  client.requests = c.requests();
  return client;
}

Result<Figures> Client::GetFigures(bool all, const CallOptions& options) {
  VY_ASSIGN_OR_RETURN(
      const Answer answer,
      Ask(*impl_, fb::RequestBody::GetFigures, fb::ReplyBody::Figures,
          impl_->connection().Deadline(options.timeout),
          [all](FlatBufferBuilder& b, uint64_t) { return fb::CreateGetFigures(b, all).Union(); }));
  const fb::Figures* f = answer.reply().body_as_Figures();
  Figures figures;
  for (const fb::VolumeFigures* volume : *f->volumes()) {
    figures.volumes.push_back(ToVolume(*volume));
  }
  figures.limit = f->limit();
  figures.held = f->held();
  figures.ready = f->ready();
  figures.chunks_ready = f->chunks_ready();
  figures.chunks_made = f->chunks_made();
  figures.disk_bytes = f->disk_bytes();
  figures.loads = f->loads();
  figures.evictions = f->evictions();
  figures.damaged = f->damaged();
  figures.engine_for = milliseconds(f->engine_ms());
  figures.generation = f->generation();
  figures.heap_bytes = f->heap_bytes();
  figures.memory_files = f->descriptors();
  return figures;
}

Result<std::vector<ClientInfo>> Client::ListClients(bool all, const CallOptions& options) {
  const os::TimePoint deadline = impl_->connection().Deadline(options.timeout);
  std::vector<ClientInfo> found;
  uint64_t after = 0;
  bool more = true;
  while (more) {
    VY_ASSIGN_OR_RETURN(const Answer answer,
                        Ask(*impl_, fb::RequestBody::ListClients, fb::ReplyBody::Clients, deadline,
                            [&](FlatBufferBuilder& b, uint64_t) {
                              return fb::CreateListClients(b, all, after).Union();
                            }));
    const fb::Clients* clients = answer.reply().body_as_Clients();
    for (const fb::ClientEntry* c : *clients->clients()) found.push_back(client::ToClientInfo(*c));
    more = clients->more() && clients->last() > after;
    after = clients->last();
  }
  return found;
}

Result<std::vector<WaitInfo>> Client::ListWaits(bool all, const CallOptions& options) {
  VY_ASSIGN_OR_RETURN(
      const Answer answer,
      Ask(*impl_, fb::RequestBody::ListWaits, fb::ReplyBody::Waits,
          impl_->connection().Deadline(options.timeout),
          [all](FlatBufferBuilder& b, uint64_t) { return fb::CreateListWaits(b, all).Union(); }));
  const fb::Waits* waits = answer.reply().body_as_Waits();
  std::vector<WaitInfo> found;
  for (const fb::WaitEntry* wait : *waits->waits()) found.push_back(ToWait(*wait));
  std::ranges::sort(found, [](const WaitInfo& a, const WaitInfo& b) {
    return std::tie(b.since, a.client, a.request_id) < std::tie(a.since, b.client, b.request_id);
  });
  return found;
}

Result<TracePage> Client::GetTrace(uint64_t after, bool all, const CallOptions& options) {
  constexpr uint32_t kMost = 1024;
  VY_ASSIGN_OR_RETURN(
      const Answer answer,
      Ask(*impl_, fb::RequestBody::GetTrace, fb::ReplyBody::Trace,
          impl_->connection().Deadline(options.timeout), [&](FlatBufferBuilder& b, uint64_t) {
            return fb::CreateGetTrace(b, all, after, kMost).Union();
          }));
  const fb::Trace* trace = answer.reply().body_as_Trace();
  std::map<uint64_t, std::string> volumes;
  if (trace->volumes() != nullptr) {
    for (const fb::VolumeNumber* v : *trace->volumes()) volumes[v->number()] = v->name()->str();
  }
  TracePage page;
  page.last = trace->last();
  page.missed = trace->missed();
  page.more = trace->more();
  if (trace->entries() == nullptr) return page;
  for (const fb::TraceEntry* e : *trace->entries()) {
    const auto* kinds = trace->kinds();
    const bool is_known = kinds != nullptr && e->kind() < kinds->size();
    page.requests.push_back({.sequence = e->sequence(),
                             .request_id = e->request_id(),
                             .client = e->client(),
                             .pid = e->pid(),
                             .kind = is_known ? kinds->GetAsString(e->kind())->str() : "?",
                             .volume = volumes[e->volume()],
                             .bytes = e->bytes(),
                             .begun_unix_ns = e->begun_unix_ns(),
                             .took = nanoseconds(e->took_ns()),
                             .waited = nanoseconds(e->waited_ns()),
                             .code = static_cast<StatusCode>(e->code())});
  }
  return page;
}

}  // namespace vineyard
