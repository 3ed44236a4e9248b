// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Reading the catalog without a call, and what that needs now and then: parts of it that are not mapped
// yet, and a new connection where the engine is another one.
#include "client/connection.h"

namespace vineyard::client {

using layout::RecordCopy;

template <typename Reading>
Result<Outcome> Connection::ReadWith(const Reading& read, os::TimePoint deadline) {
  constexpr int kAttempts = 8;
  for (int i = 0; i < kAttempts; ++i) {
    VY_RETURN_IF_ERROR(CheckUsable());
    Outcome outcome;
    CatalogReader::Wanted wanted;
    {
      const std::lock_guard lock(reader_mutex_);
      outcome = read();
      if (outcome == Outcome::kParts) wanted = catalog_.wanted();
    }
    if (outcome == Outcome::kParts) {
      VY_RETURN_IF_ERROR(OpenParts(wanted, deadline));
    } else if (outcome == Outcome::kDead) {
      Lock lock(mutex_);
      {
        const std::lock_guard reader_lock(reader_mutex_);
        if (catalog_.IsAlive()) continue;  // another thread has reconnected meanwhile
      }
      broken_ = true;
      VY_RETURN_IF_ERROR(Reconnect(lock, deadline));
    } else {
      return outcome;
    }
  }
  return Outcome::kMiss;
}

Result<Outcome> Connection::Read(ObjectId id, layout::RecordCopy* copy, os::TimePoint deadline) {
  return ReadWith([&] { return catalog_.Read(id, copy); }, deadline);
}

Result<Outcome> Connection::ReadName(std::string_view name, layout::RecordCopy* copy,
                                     os::TimePoint deadline) {
  return ReadWith([&] { return catalog_.ReadName(name, copy); }, deadline);
}

// Without a request, so that a doubt is a yes.
bool Connection::MayBeStored(ObjectId blob) {
  RecordCopy copy;
  const std::lock_guard lock(reader_mutex_);
  return catalog_.Read(blob, &copy) != Outcome::kMiss;
}

bool Connection::MemoryIsShort() {
  const std::lock_guard lock(reader_mutex_);
  return catalog_.MemoryIsShort();
}

Status Connection::OpenParts(const CatalogReader::Wanted& wanted, os::TimePoint deadline) {
  const Outgoing open =
      Question(fb::RequestBody::OpenCatalog, [&](flatbuffers::FlatBufferBuilder& b, uint64_t) {
        const auto arenas = b.CreateVector(wanted.arenas);
        return fb::CreateOpenCatalog(b, arenas, b.CreateVector(wanted.segments)).Union();
      });
  const uint64_t generation = facts().generation;
  VY_ASSIGN_OR_RETURN(const Answer answer, Call(open, deadline));
  const fb::CatalogParts* parts = answer.reply().body_as_CatalogParts();
  if (parts == nullptr || parts->arenas() == nullptr || parts->segments() == nullptr ||
      answer.fds.size() != parts->arenas()->size() + parts->segments()->size()) {
    return Status::Protocol("the instance's answer lacks parts of its catalog");
  }
  const Lock lock(mutex_);
  if (facts_.generation != generation) return {};  // of a catalog that we have left behind
  const std::lock_guard reader_lock(reader_mutex_);
  size_t next = 0;
  for (const fb::ArenaSize* a : *parts->arenas()) {
    VY_RETURN_IF_ERROR(
        catalog_.AddArena(static_cast<uint32_t>(a->number()), a->size(), answer.fds[next++]));
  }
  for (const uint64_t number : *parts->segments()) {
    VY_RETURN_IF_ERROR(catalog_.AddSegment(number, answer.fds[next++]));
  }
  return {};
}

}  // namespace vineyard::client
