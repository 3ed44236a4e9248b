// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// How bytes get into the store: small ones with the request, large ones through a reservation.
#include <algorithm>
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "client/copy.h"
#include "client/fork.h"
#include "client/impl.h"
#include "client/prepared_put.h"
#include "os/memfd.h"

namespace vineyard::client {

using flatbuffers::FlatBufferBuilder;

namespace {

// In bytes of the reply: the chunks of an extent must make up its size.
Result<ReservedExtent> ReadReserved(Answer answer) {
  const fb::Reserved* reserved = answer.reply().body_as_Reserved();
  ReservedExtent extent;
  if (reserved == nullptr || reserved->extent()->chunks() == nullptr ||
      reserved->extent()->chunks()->size() != answer.fds.size()) {
    return Status::Protocol("the instance's answer to a reservation is none");
  }
  extent.blob = ObjectId(reserved->extent()->blob());
  extent.size = reserved->extent()->size();
  extent.fds = std::move(answer.fds);
  for (size_t i = 0; i < extent.fds.size(); ++i) {
    const uint64_t size = reserved->extent()->chunks()->Get(static_cast<flatbuffers::uoffset_t>(i));
    extent.parts.push_back({extent.fds[i].get(), size});
  }
  return extent;
}

Status FillAndSeal(ReservedExtent& extent, const OwnBytes& own, const CopyOptions& copying,
                   ForkShield& shield) {
  VY_ASSIGN_OR_RETURN(const os::Mapping* mapping, shield.Map(extent.parts, &extent.fds));
  std::vector<CopyJob> jobs;
  jobs.reserve(own.pieces.size());
  for (const OwnBytes::Piece& piece : own.pieces) {
    jobs.push_back({mapping->data() + piece.offset, piece.bytes});
  }
  VY_RETURN_IF_ERROR(CopyAll(jobs, copying));
  shield.Unmap();  // no writable mapping is left
  return SealChunks(extent);
}

Status Report(const PreparedPut& put, uint64_t done) {
  if (!put.options.progress || put.options.progress(done, put.own.bytes)) return {};
  return Status::Cancelled("the put was called off before its bytes were copied");
}

Result<ObjectId> PutLarge(Connection& connection, const PreparedPut& put) {
  VY_RETURN_IF_ERROR(Report(put, 0));
  VY_ASSIGN_OR_RETURN(ReservedExtent extent, Reserve(connection, put.own.size, put.deadline));
  // Holds the files until the answer has come: by that another engine knows that it is still wanted.
  ForkShield shield;
  const Status sealed = FillAndSeal(
      extent, put.own, {put.options.progress, connection.options().interrupted}, shield);
  Result<ObjectId> id =
      sealed.ok() ? IdOf(connection.Call(put.Request(extent.blob), WithGrace(put.deadline)))
                  : sealed;
  if (id.ok()) {
    connection.RemoveReservation(extent.blob.value());
  } else {
    Abort(connection, extent.blob);
  }
  return id;
}

Result<ObjectId> PutSmall(Connection& connection, const PreparedPut& put) {
  VY_RETURN_IF_ERROR(Report(put, 0));
  VY_RETURN_IF_ERROR(Report(put, put.own.bytes));
  return IdOf(connection.Call(put.Request(ObjectId()), WithGrace(put.deadline)));
}

Result<ObjectId> SendPut(Connection& connection, PreparedPut* put) {
  Result<ObjectId> id = put->small ? PutSmall(connection, *put) : PutLarge(connection, *put);
  if (id.ok()) put->in_place.Published();
  return id;
}

}  // namespace

// Where memory that was put before has been deleted since, or what was
// reserved is the instance's no more, the bytes themselves are here still.
Result<ObjectId> SendPut(Connection& connection, const ObjectBuilder& builder, PreparedPut* put) {
  Result<ObjectId> id = SendPut(connection, put);
  if (!id.status().Is(StatusCode::kNotFound) || put->in_place.empty()) return id;
  put->in_place = {};
  PreparedPut copy;
  copy.options = put->options;
  copy.options.copying = Copying::kForce;
  copy.deadline = put->deadline;
  VY_RETURN_IF_ERROR(Prepare(connection, builder, &copy));
  return SendPut(connection, &copy);
}

uint64_t MillisecondsUntil(os::TimePoint deadline) {
  using std::chrono::milliseconds;
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - os::Clock::now()).count();
  return left > 0 ? static_cast<uint64_t>(left) : 0;
}

Status CheckTerm(const std::optional<Timeout>& ttl, const std::optional<Timeout>& linger) {
  if (ttl && ttl->count() <= 0) {
    return Status::Invalid(fmt::format(
        "a time to live of {} ms is none: a name lives for at least a millisecond", ttl->count()));
  }
  if (linger && linger->count() < 0) {
    return Status::Invalid(
        fmt::format("nothing ends {} ms before its client: linger is 0 or more", -linger->count()));
  }
  return {};
}

Status CheckDurability(Connection& connection, Durability durability) {
  if (durability == Durability::kMemory) return {};
  const Connection::Facts facts = connection.facts();
  const bool is_known = !facts.instance_uuid.empty();  // else it is the instance that refuses
  if (facts.has_disk || !is_known) return {};
  return Status::NotSupported(
      "durability=disk needs a folder to write to: start the instance with --spill_path");
}

Status CheckKeep(Connection& connection, bool keep) {
  if (!keep) return {};
  const Connection::Facts facts = connection.facts();
  if (facts.names_keep || facts.instance_uuid.empty()) return {};
  return Status::NotSupported(fmt::format(
      "this instance is of version {}, in which no name keeps anything in memory; leave out keep, "
      "or load(pin=True) it",
      facts.version));
}

os::TimePoint WithGrace(os::TimePoint deadline) {
  constexpr std::chrono::seconds kGrace{1};
  return deadline < os::TimePoint::max() - kGrace ? deadline + kGrace : deadline;
}

Result<ReservedExtent> Reserve(Connection& connection, uint64_t size, os::TimePoint deadline) {
  const Outgoing reserve = Question(fb::RequestBody::Reserve, [&](FlatBufferBuilder& b, uint64_t) {
    return fb::CreateReserve(b, size, MillisecondsUntil(deadline)).Union();
  });
  VY_ASSIGN_OR_RETURN(Answer answer, connection.Call(reserve, WithGrace(deadline)));
  return ReadReserved(std::move(answer));
}

Result<ReservedExtent> TryReserve(Connection& connection, uint64_t size, os::TimePoint deadline) {
  const Outgoing reserve = Question(fb::RequestBody::Reserve, [&](FlatBufferBuilder& b, uint64_t) {
    return fb::CreateReserve(b, size, 0).Union();
  });
  VY_ASSIGN_OR_RETURN(Answer answer, connection.Call(reserve, deadline));
  return ReadReserved(std::move(answer));
}

void Abort(Connection& connection, ObjectId blob) {
  connection.RemoveReservation(blob.value());
  connection.Tell(Question(fb::RequestBody::Abort, [blob](FlatBufferBuilder& b, uint64_t) {
    return fb::CreateAbort(b, blob.value()).Union();
  }));
}

// Another thread's fork may hold a copy of the mapping for the moment until its exec or its own end of
// the mapping; then the kernel refuses, and a little later does not.
Status SealChunks(const ReservedExtent& extent, int attempts) {
  for (const os::UniqueFd& fd : extent.fds) {
    Status s = os::SealForever(fd);
    for (int i = 1; i < attempts && s.Is(StatusCode::kFailedPrecondition); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      s = os::SealForever(fd);
    }
    VY_RETURN_IF_ERROR(s);
  }
  return {};
}

Result<ObjectId> PutObject(Connection& connection, const ObjectBuilder& builder,
                           const PutOptions& options) {
  PreparedPut put;
  put.options = options;
  put.deadline = connection.Deadline(options.timeout);
  VY_RETURN_IF_ERROR(CheckTerm(options.ttl, options.linger));
  VY_RETURN_IF_ERROR(CheckDurability(connection, options.durability));
  VY_RETURN_IF_ERROR(CheckKeep(connection, options.keep));
  VY_RETURN_IF_ERROR(Prepare(connection, builder, &put));
  return SendPut(connection, builder, &put);
}

}  // namespace vineyard::client
