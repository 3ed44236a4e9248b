// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Requests whose effect is to outlive the machine's power: what waits for the disk before a change, and after it.
// docs/design/021-durability.md
#include <utility>

#include "daemon/server.h"
#include "os/crash_point.h"
#include "store/references.h"

namespace vineyard::daemon {

using layout::Answer;
using store::Store;

Status Server::CheckDurable(const store::Volume& volume, bool lives_with_client,
                            bool to_stream) const {
  VY_RETURN_IF_ERROR(store_.CheckDurable());
  return volume.CheckDurable(lives_with_client, to_stream);
}

// ---- after a change

void Server::SendWhenKept(Reply reply, const Result<Answer>& answer, uint64_t marks,
                          Store::RoomPromise room) {
  if (!answer.ok() || Marks() == marks || store_.mirror() == nullptr) {
    return SendDone(std::move(reply), answer);
  }
  os::CrashPoint("reply.awaits_disk");
  auto waiting = std::make_shared<Reply>(std::move(reply));
  store_.mirror()->WhenDone([this, waiting, answer = *answer, room](const Status& kept) {
    if (!kept.ok()) return waiting->Fail(kept);
    SendDone(std::move(*waiting), answer);
  });
}

// ---- before it

void Server::ChangeDurably(Call call, uint64_t number, const Store::DurableNeeds& needs,
                           DurableChange change) {
  auto room = store_.PromiseRoom(needs.room);
  if (!room.ok()) return call.reply.Fail(room.status());
  if (store_.IsSecured(needs)) {
    return CarryOut(call.volume, {&call.client, number}, change, *room, std::move(call.reply));
  }
  auto waiting = std::make_shared<Reply>(std::move(call.reply));
  store_.Secure(needs.extents, [this, connection = call.connection, number, room = *room, waiting,
                                change = std::move(change)](const Status& secured) {
    const Running running(store_.ledger(), connection->client(), waiting->request_id());
    store::ClientState* client = store_.clients().Find(connection->client());
    store::Volume* volume = store_.FindVolume(connection->volume());
    if (connection->closed()) return waiting->Drop();
    if (!secured.ok()) return waiting->Fail(secured);
    if (client == nullptr || volume == nullptr) {
      return waiting->Fail(Status::Cancelled("the client or the volume is gone"));
    }
    CarryOut(*volume, {client, number}, change, room, std::move(*waiting));
  });
}

void Server::CarryOut(store::Volume& volume, const store::Request& request,
                      const DurableChange& change, Store::RoomPromise room, Reply reply) {
  const uint64_t marks = Marks();
  const Result<Answer> answer = change(volume, request);
  SendWhenKept(std::move(reply), answer, marks, std::move(room));
  AfterChange();
  ArmTimer();
}

// Told twice, it changes no more than told once, so nobody has to remember that it was.
void Server::KeepObjects(Call call, const std::vector<uint64_t>& ids) {
  Status may = CheckDurable(call.volume, false, false);
  if (!may.ok()) return call.reply.Fail(may);
  auto needs = store_.NeedsOf(call.volume, ids);
  if (!needs.ok()) return call.reply.Fail(needs.status());
  if (needs->room == 0) {
    constexpr uint64_t kAnyBefore = ~uint64_t{0};  // who asked first may be waiting still
    return SendWhenKept(std::move(call.reply), Answer{}, kAnyBefore);
  }
  ChangeDurably(std::move(call), 0, *needs, [ids](store::Volume& volume, const store::Request&) {
    return volume.MakeDurable({}, ids);
  });
}

// ---- puts

Result<Store::DurableNeeds> Server::NeedsOf(const store::Volume& volume,
                                            const store::PutArgs& args) {
  std::vector<uint64_t> parts;
  if (!args.descriptor.empty()) {
    const auto& descriptor = *flatbuffers::GetRoot<fb::Descriptor>(args.descriptor.data());
    for (const uint64_t id : store::ReferredTo(descriptor)) {
      if (volume.Find(ObjectId(id)) != nullptr)
        parts.push_back(id);  // else it comes along, or is missed
    }
  }
  VY_ASSIGN_OR_RETURN(Store::DurableNeeds needs, store_.NeedsOf(volume, parts));
  const auto add_extent = [&](store::Extent& extent, uint64_t size) {
    store_.NoteSize(extent, size);
    needs.extents.push_back(extent.blob);
    needs.room += store::Mirror::FileLengthOf(extent.chunks.size() * sizeof(layout::ChunkEntry), 0);
  };
  if (args.extent != nullptr && !args.extent->chunks.empty())
    add_extent(*args.extent, args.own_size);
  for (const store::SealedExtent& s : args.also) add_extent(*s.extent, s.size);
  needs.room += store::Mirror::FileLengthOf(args.descriptor.size(), args.bytes.size());
  needs.room += store::Mirror::FileLengthOf(
      args.name.empty() ? store::kHiddenNameLength : args.name.size(), 0);
  return needs;
}

void Server::SecureThenPut(const std::shared_ptr<Connection>& connection,
                           std::shared_ptr<KeptFrame> copy, os::TimePoint deadline, Reply reply,
                           const std::vector<ObjectId>& extents) {
  auto waiting = std::make_shared<Reply>(std::move(reply));
  store_.Secure(extents, [this, connection, copy = std::move(copy), deadline,
                          waiting](const Status& secured) {
    const Running running(store_.ledger(), connection->client(), waiting->request_id());
    if (connection->closed()) return waiting->Drop();
    if (!secured.ok()) return waiting->Fail(secured);
    TryPut(connection, copy, copy->frame, deadline, std::move(*waiting));
  });
}

}  // namespace vineyard::daemon
