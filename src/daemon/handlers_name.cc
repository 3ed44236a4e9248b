// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Requests about names.
#include <asio/post.hpp>

#include <algorithm>

#include <fmt/format.h>

#include "base/glob.h"
#include "daemon/request_values.h"
#include "daemon/server.h"

namespace vineyard::daemon {

namespace {

constexpr uint32_t kMaxPage = 10'000;
constexpr size_t kMaxLookedAt = 20'000;  // names, whether they match or not
// Names that nobody gave come before it.
constexpr char kFirstShown = store::kHiddenName + 1;

}  // namespace

void Server::HandlePutName(Call call, const fb::PutName& put) {
  if (SendRecalled(call, put.number())) return;
  store::Volume::Naming naming{.if_version = IfVersion(put.check_version(), put.if_version()),
                               .owns = put.owns(),
                               .ends = EndAfter(put.ttl_ms()),
                               .linger = LingerOf(put.with_client(), put.linger_ms())};
  naming.durable = put.durable() || (call.volume.durable() && !naming.linger);
  naming.keeps = put.keep();
  const std::string name = put.name()->str();
  const uint64_t id = put.id();
  if (naming.keeps) {
    return PutKeepingName(call.connection,
                          {.number = put.number(),
                           .name = name,
                           .id = id,
                           .naming = naming,
                           .deadline = DeadlineAfter(put.timeout_ms())},
                          std::move(call.reply));
  }
  if (!naming.durable) {
    const uint64_t marks = Marks();
    SendWhenKept(std::move(call.reply),
                 call.volume.PutName({&call.client, put.number()}, name, ObjectId(id), naming),
                 marks);
    AfterChange();
    if (naming.ends) ArmTimer();
    return;
  }
  Status may = CheckDurable(call.volume, naming.linger.has_value(), false);
  if (!may.ok()) return call.reply.Fail(may);
  auto needs = store_.NeedsOf(call.volume, {&id, 1});
  if (!needs.ok()) return call.reply.Fail(needs.status());
  needs->room += store::Mirror::FileLengthOf(name.size(), 0);
  ChangeDurably(std::move(call), put.number(), *needs,
                [name, id, naming](store::Volume& volume, const store::Request& request) {
                  return volume.PutName(request, name, ObjectId(id), naming);
                });
}

void Server::HandleDropName(Call call, const fb::DropName& drop) {
  if (SendRecalled(call, drop.number())) return;
  const uint64_t marks = Marks();
  SendWhenKept(std::move(call.reply),
               call.volume.DropName({&call.client, drop.number()}, drop.name()->string_view(),
                                    IfVersion(drop.check_version(), drop.if_version())),
               marks);
  AfterChange();
}

void Server::HandleListNames(Call call, const fb::ListNames& list) {
  const std::string pattern = list.pattern()->str();
  const bool by_prefix = list.match() == fb::Match::Prefix;
  const uint32_t limit = std::min(list.limit(), kMaxPage);
  const auto& names = call.volume.names();
  const std::string first(1, kFirstShown);
  auto it = names.lower_bound(by_prefix ? std::max(pattern, first) : first);
  if (list.after() != nullptr && list.after()->size() > 0) {
    const auto after = names.upper_bound(list.after()->string_view());
    if (after == names.end() || it == names.end() || it->first < after->first) it = after;
  }
  flatbuffers::FlatBufferBuilder b(4096);
  std::vector<flatbuffers::Offset<fb::NameEntry>> entries;
  bool more = false;
  std::string_view last;
  size_t looked_at = 0;
  for (; it != names.end(); ++it) {
    if (by_prefix && !it->first.starts_with(pattern)) break;
    if (entries.size() >= limit || b.GetSize() > wire::kMaxBody / 4 || ++looked_at > kMaxLookedAt) {
      more = true;
      break;
    }
    last = it->first;
    if (list.id() != 0 && it->second.id != list.id()) continue;
    if (!by_prefix && !GlobMatch(pattern, it->first)) continue;
    const NameLease lease = LeaseOf(call.volume, it->first, it->second);
    entries.push_back(fb::CreateNameEntry(b, b.CreateString(it->first), it->second.id,
                                          it->second.version, TimeLeft(it->second.ends), lease.pid,
                                          lease.linger_ms, call.volume.IsDurable(it->second.ref),
                                          call.volume.Keeps(it->second.ref)));
  }
  const auto found = b.CreateVector(entries);
  const auto reply = fb::CreateNames(b, found, more, b.CreateString(last.data(), last.size()));
  call.reply.Send(b, fb::ReplyBody::Names, reply.Union());
}

Server::NameLease Server::LeaseOf(const store::Volume& volume, std::string_view name,
                                  const store::NameEntry& entry) {
  const store::ClientState* client = store_.clients().Find(entry.client);
  if (client == nullptr) return {};
  const auto linger = volume.LingerOf(name, entry);
  using std::chrono::milliseconds;
  return {client->pid, static_cast<uint64_t>(std::chrono::ceil<milliseconds>(linger).count())};
}

void Server::WaitForName(Call call, Wanted wanted) {
  if (wanted.name.size() > store::kMaxName) {
    return call.reply.Fail(Status::Invalid(
        fmt::format("a name has 1 to {} bytes, not {}", store::kMaxName, wanted.name.size())));
  }
  const os::TimePoint deadline = wanted.deadline;
  waiters_.Add({call.volume.id(), NameWait{std::move(wanted)}, deadline, std::move(call.reply)});
  ArmTimer();
}

void Server::NameChanged(store::Volume& volume, const std::string& name) {
  const auto waits_for_it = [&](const Waiter& w) {
    const auto* wait = std::get_if<NameWait>(&w.awaited);
    return wait != nullptr && wait->wanted.name == name;
  };
  SharedPayload shared;  // nothing changes the record meanwhile
  for (Waiter& w : waiters_.Take(volume.id(), waits_for_it)) {
    const auto connection = w.reply.connection();
    store::ClientState* client =
        connection && !connection->closed() ? store_.clients().Find(connection->client()) : nullptr;
    if (client == nullptr || volume.FindName(name) == nullptr) {
      w.reply.Drop();
      continue;
    }
    SendObject(volume, *client, std::get<NameWait>(w.awaited).wanted, std::move(w.reply), &shared);
  }
}

}  // namespace vineyard::daemon
