// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// How bytes get into the store: small ones with the request, large ones through a reservation.
#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <thread>

#include <fmt/format.h>

#include "client/copy.h"
#include "client/fork.h"
#include "client/impl.h"
#include "client/in_place.h"
#include "os/memfd.h"

namespace vineyard::client {

using flatbuffers::FlatBufferBuilder;

namespace {

constexpr uint64_t kBufferAlign = 64;
constexpr std::array<std::byte, 64> kZeros{};

/// A put's own bytes: where each buffer lies in them.
struct OwnBytes {
  struct Piece {
    std::span<const std::byte> bytes;
    uint64_t offset;
  };
  std::vector<Piece> pieces;
  uint64_t size = 0;   // with the gaps between them
  uint64_t bytes = 0;  // without

  uint64_t Add(std::span<const std::byte> added) {
    const uint64_t offset = os::RoundUp(size, kBufferAlign);
    pieces.push_back({added, offset});
    size = offset + added.size();
    bytes += added.size();
    return offset;
  }
};

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

std::vector<std::span<const std::byte>> SmallPayload(std::span<const std::byte> descriptor,
                                                     const OwnBytes& own) {
  std::vector<std::span<const std::byte>> payload;
  payload.reserve(2 + own.pieces.size() * 2);
  payload.push_back(descriptor);
  payload.push_back(std::span(kZeros).first(wire::Pad8(descriptor.size()) - descriptor.size()));
  uint64_t at = 0;
  for (const OwnBytes::Piece& piece : own.pieces) {
    payload.push_back(std::span(kZeros).first(piece.offset - at));
    payload.push_back(piece.bytes);
    at = piece.offset + piece.bytes.size();
  }
  return payload;
}

Status FillAndSeal(ReservedExtent& extent, const OwnBytes& own, const CopyOptions& copying) {
  ForkShield shield;
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

/// A put, ready to be sent. What it refers to is the caller's and its own: it stays where it is.
struct PreparedPut {
  std::vector<std::byte> descriptor;
  OwnBytes own;
  InPlace in_place;
  std::vector<fb::Token> siblings;  // see InPlace
  bool small = false;
  PutOptions options;
  os::TimePoint deadline;

  // With the bytes themselves, or the reservation that they lie in.
  [[nodiscard]] Outgoing Request(ObjectId reservation) const {
    const uint64_t sent = small ? own.size : 0;
    Outgoing put = Change(
        fb::RequestBody::Put, [this, reservation, sent](FlatBufferBuilder& b, uint64_t number) {
          const auto name = options.name.empty() ? flatbuffers::Offset<flatbuffers::String>()
                                                 : b.CreateString(options.name);
          const std::vector<uint64_t> sealed = in_place.Also();
          const auto also = sealed.empty() ? flatbuffers::Offset<flatbuffers::Vector<uint64_t>>()
                                           : b.CreateVector(sealed);
          return fb::CreatePut(b, number, fb::PutKind::Object, descriptor.size(), sent,
                               reservation.value(), own.size, name, options.if_version.has_value(),
                               options.if_version.value_or(0), MillisecondsUntil(deadline), also,
                               options.stream.value(), TtlMilliseconds(options.ttl),
                               siblings.empty() ? 0 : b.CreateVectorOfStructs(siblings))
              .Union();
        });
    put.payload = SmallPayload(descriptor, small ? own : OwnBytes());
    return put;
  }
};

Status Prepare(Connection& connection, const ObjectBuilder& builder, PreparedPut* put) {
  VY_ASSIGN_OR_RETURN(put->in_place,
                      InPlace::Begin(connection, builder, put->options.copying, put->deadline));
  put->siblings = put->in_place.Siblings(connection);
  ObjectInfo info;
  info.type_name = builder.type_name();
  info.metadata = builder.metadata();
  info.members = builder.members();
  info.labels = builder.labels();
  info.creator.pod = connection.pod();
  info.buffers.reserve(builder.buffers().size());
  for (size_t i = 0; i < builder.buffers().size(); ++i) {
    const ObjectBuilder::Buffer& buffer = builder.buffers()[i];
    if (const BufferRef* place = put->in_place.Find(i)) {
      info.buffers.push_back(*place);
      continue;
    }
    const Blob* blob = std::get_if<Blob>(&buffer);
    if (blob != nullptr && blob->zero_copy()) {
      info.buffers.push_back({blob->id(), blob->offset(), blob->size()});
      continue;
    }
    // A small blob may lie within another object's record, which can't be referred to.
    const auto bytes = blob ? blob->bytes() : std::get<std::span<const std::byte>>(buffer);
    info.buffers.push_back({ObjectId(), put->own.Add(bytes), bytes.size()});
  }
  put->descriptor = wire::EncodeDescriptor(info);
  put->small = put->own.size <= connection.inline_max();
  const uint64_t payload = put->descriptor.size() + (put->small ? put->own.size : 0);
  if (payload <= wire::kMaxPayload) return {};
  return Status::LimitExceeded(
      fmt::format("an object's description (all but the bytes of its buffers) of {} bytes is too "
                  "large; at most {} go with a put",
                  put->descriptor.size(), wire::kMaxPayload));
}

Result<ObjectId> IdOf(const Result<Answer>& answer) {
  if (!answer.ok()) return answer.status();
  const fb::Done* done = answer->reply().body_as_Done();
  if (done == nullptr) return Status::Protocol("the instance's answer to a put is none");
  return ObjectId(done->id());
}

Status Report(const PreparedPut& put, uint64_t done) {
  if (!put.options.progress || put.options.progress(done, put.own.bytes)) return {};
  return Status::Cancelled("the put was called off before its bytes were copied");
}

Result<ObjectId> PutLarge(Connection& connection, const PreparedPut& put) {
  VY_RETURN_IF_ERROR(Report(put, 0));
  VY_ASSIGN_OR_RETURN(ReservedExtent extent, Reserve(connection, put.own.size, put.deadline));
  const Status sealed =
      FillAndSeal(extent, put.own, {put.options.progress, connection.options().interrupted});
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

// REQUIRES: prepared from `builder`. Where memory that was put before has been deleted since, or what was
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

}  // namespace

uint64_t MillisecondsUntil(os::TimePoint deadline) {
  using std::chrono::milliseconds;
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - os::Clock::now()).count();
  return left > 0 ? static_cast<uint64_t>(left) : 0;
}

Status CheckTtl(const std::optional<Timeout>& ttl) {
  if (!ttl || ttl->count() > 0) return {};
  return Status::Invalid("a name lives for at least a millisecond");
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
  VY_RETURN_IF_ERROR(CheckTtl(options.ttl));
  if (options.ttl && options.name.empty()) {
    return Status::Invalid("a time to live is a name's: give a name too");
  }
  VY_RETURN_IF_ERROR(Prepare(connection, builder, &put));
  return SendPut(connection, builder, &put);
}

// Small ones are sent one after another without waiting; a large one waits for its memory anyway.
std::vector<Result<ObjectId>> PutObjects(Connection& connection,
                                         std::span<const ObjectBuilder> builders,
                                         std::span<const std::string> names,
                                         const CallOptions& options) {
  const os::TimePoint deadline = connection.Deadline(options.timeout);
  std::vector<Result<ObjectId>> ids(builders.size(), Status::Internal("not put"));
  std::deque<PreparedPut> puts;
  std::vector<Outgoing> requests;
  std::vector<size_t> places;
  for (size_t i = 0; i < builders.size(); ++i) {
    PreparedPut& put = puts.emplace_back();
    if (!names.empty()) put.options.name = names[i];
    put.deadline = deadline;
    if (Status s = Prepare(connection, builders[i], &put); !s.ok()) {
      ids[i] = s;
    } else if (put.small && put.in_place.empty()) {
      requests.push_back(put.Request(ObjectId()));
      places.push_back(i);
    } else {
      ids[i] = SendPut(connection, builders[i], &put);
      put.in_place = {};
    }
  }
  const std::vector<Result<Answer>> answers = connection.CallMany(requests, WithGrace(deadline));
  for (size_t n = 0; n < places.size(); ++n) ids[places[n]] = IdOf(answers[n]);
  return ids;
}

}  // namespace vineyard::client
