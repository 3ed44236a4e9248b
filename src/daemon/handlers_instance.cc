// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Requests about the instance itself: its status, and another program for its engine.
#include <asio/post.hpp>

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/logging.h"
#include "daemon/server.h"
#include "layout/ring.h"
#include "os/crash_point.h"
#include "os/user.h"

namespace vineyard::daemon {

Status Server::CheckMayManage(Connection& connection, std::string_view what) const {
  if (connection.volume() != 1 || connection.rights() != Rights::kAll) {
    return Status::PermissionDenied(fmt::format("{} on the instance's first socket only", what));
  }
  const uid_t user = connection.peer().uid;
  if (user != 0 && user != os::EffectiveUser()) {
    return Status::PermissionDenied(
        fmt::format("{} only by the user who runs the instance, or root", what));
  }
  return {};
}

void Server::HandleStatus(Call call) {
  os::CrashPoint("status.begun");
  uint64_t overhead = 0;
  for (const auto& [raw, connection] : connections_) {
    if (connection->has_ring()) overhead += layout::kRingFile;
  }
  for (const auto& [id, volume] : store_.volumes()) {
    overhead += volume->catalog().bytes_held() + volume->arenas().bytes_held() -
                volume->arenas().bytes_live();
  }
  const uint64_t idle = store_.IdleBytes(call.volume);
  overhead += idle + HeapBytes();
  const store::Spiller::Spilled spilled = store_.SpilledOf(call.volume);
  store::Spiller::Counts counts;
  uint64_t on_disk = 0;
  const uint64_t not_on_disk = store_.mirror() != nullptr ? store_.mirror()->not_on_disk() : 0;
  if (const store::Spiller* spiller = store_.spiller()) {
    counts = spiller->counts();
    on_disk = spiller->disk().figures().bytes;
  }
  flatbuffers::FlatBufferBuilder b(256);
  const auto deployment = b.CreateString(options_.deployment);
  const auto status = fb::CreateStatusInfo(
      b, deployment, call.volume.usage() - idle - spilled.bytes, store_.LimitOf(call.volume),
      store_.budget().held(), store_.lingering_bytes(), overhead, store_.budget().limit(),
      call.volume.objects(), call.volume.blobs(), call.volume.names_given(), connections_.size(),
      store_.waiting() + waiters_.size(), store_.budget().spare(), options_.former_program,
      spilled.bytes, spilled.extents, on_disk, counts.loads, counts.evictions, counts.damaged,
      store_.budget().GuaranteedTo(call.volume.holder()),
      store_.budget().free() - store_.budget().FreeFor(call.volume.holder()),
      options_.on_probation && !link_.settled(), call.volume.leases(), not_on_disk,
      store_.unrestored().set_aside, store_.unrestored().left, call.volume.kept_bytes());
  call.reply.Send(b, fb::ReplyBody::StatusInfo, status.Union());
}

// The answer is noted before this engine ends: asked again, by a client that has not got it, the next one gives it
// instead of giving way itself.
void Server::HandleUpgrade(Call call, const fb::Upgrade& upgrade) {
  if (Status may = CheckMayManage(*call.connection, "the engine is upgraded"); !may.ok()) {
    return call.reply.Fail(may);
  }
  if (SendRecalled(call, upgrade.number())) return;
  log::Info("an upgrade was asked for", {{"pid", call.client.pid}});
  auto reply = std::make_shared<Reply>(std::move(call.reply));
  const layout::Answer answer{upgrade.number(), 0, options_.generation, 0};
  link_.TryProgram([this, reply, answer, key = call.client.key](const Status& tried) {
    store::ClientState* client = store_.clients().Find(key);
    if (!tried.ok() || client == nullptr) {
      return reply->Fail(tried.ok() ? Status::Cancelled("the client is gone") : tried);
    }
    store_.clients().Note(*client, answer);
    SendDone(std::move(*reply), answer);
    asio::post(io_, options_.give_way);
  });
}

}  // namespace vineyard::daemon
