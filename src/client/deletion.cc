// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Deleting objects: any number, in requests that each keep the instance for a moment only.
//
// Note [Some at a time]
//
// Up to kMostDeleted objects are one request and one change. More are looked up first, so that an unknown
// one leaves all as they are, and then go in several requests, in their order. What went along with an object
// of an earlier one is passed over. A request that has a member of an object of a later one is refused, and
// tried again once that has gone. Where two wait for each other so, their objects go one by one, and what
// is refused then is a member of something that stays.
#include <algorithm>
#include <utility>

#include "client/impl.h"

namespace vineyard::client {

namespace {

using flatbuffers::FlatBufferBuilder;
using wire::kMostDeleted;

std::vector<uint64_t> ValuesOf(std::span<const ObjectId> ids) {
  std::vector<uint64_t> values;
  values.reserve(ids.size());
  for (const ObjectId id : ids) values.push_back(id.value());
  return values;
}

class Deletion {
 public:
  Deletion(Connection& connection, const DeleteOptions& options)
      : connection_(connection), options_(options),
        deadline_(connection.Deadline(options.timeout)) {}

  Status CheckThere(std::span<const ObjectId> ids) {
    const Outgoing check = Question(fb::RequestBody::Delete, [&](FlatBufferBuilder& b,
                                                                 uint64_t number) {
      return fb::CreateDelete(b, number, b.CreateVector(ValuesOf(ids)), false, false, true).Union();
    });
    return DoneValue(connection_.Call(check, deadline_)).status();
  }

  Result<uint64_t> DeleteAtOnce(std::span<const ObjectId> ids) {
    const Outgoing del =
        Change(fb::RequestBody::Delete, [&](FlatBufferBuilder& b, uint64_t number) {
          return fb::CreateDelete(b, number, b.CreateVector(ValuesOf(ids)), options_.deep,
                                  options_.force)
              .Union();
        });
    Result<uint64_t> gone = DoneValue(connection_.Call(del, deadline_));
    if (gone.ok()) connection_.NoteUnpinned(ids);
    return gone;
  }

  /// Those that are left of what was there a moment ago.
  Result<uint64_t> DeleteLeft(std::span<const ObjectId> ids) {
    Result<uint64_t> gone = DeleteAtOnce(ids);
    while (gone.status().Is(StatusCode::kNotFound)) {
      VY_ASSIGN_OR_RETURN(left_, Left(ids));
      if (left_.empty()) return uint64_t{0};
      gone = DeleteAtOnce(left_);  // others may delete meanwhile
    }
    return gone;
  }

 private:
  Result<std::vector<ObjectId>> Left(std::span<const ObjectId> ids) {
    std::vector<ObjectId> left;
    for (const ObjectId id : ids) {
      const Status there = CheckThere(std::span(&id, 1));
      if (there.ok()) left.push_back(id);
      if (!there.ok() && !there.Is(StatusCode::kNotFound)) return there;
    }
    return left;
  }

  Connection& connection_;
  const DeleteOptions& options_;
  const os::TimePoint deadline_;
  std::vector<ObjectId> left_;
};

/// What of `ids` makes one request, from `done` on.
std::span<const ObjectId> Some(std::span<const ObjectId> ids, size_t done,
                               size_t most = kMostDeleted) {
  return ids.subspan(done, std::min(most, ids.size() - done));
}

}  // namespace

Result<uint64_t> DeleteObjects(Connection& connection, std::span<const ObjectId> ids,
                               const DeleteOptions& options) {
  Deletion deletion(connection, options);
  if (ids.size() <= kMostDeleted) return deletion.DeleteAtOnce(ids);
  for (size_t done = 0; done < ids.size(); done += kMostDeleted) {
    VY_RETURN_IF_ERROR(deletion.CheckThere(Some(ids, done)));
  }
  uint64_t gone = 0;
  size_t at_once = kMostDeleted;
  std::vector<ObjectId> left(ids.begin(), ids.end());
  while (!left.empty()) {
    std::vector<ObjectId> refused;
    Status why;
    for (size_t done = 0; done < left.size(); done += at_once) {
      const auto some = Some(left, done, at_once);
      const Result<uint64_t> went = deletion.DeleteLeft(some);
      if (went.ok()) {
        gone += *went;
        continue;
      }
      why = went.status();
      if (!why.Is(StatusCode::kFailedPrecondition)) return why;
      refused.insert(refused.end(), some.begin(), some.end());
    }
    if (refused.size() == left.size() && std::exchange(at_once, 1) == 1) return why;
    left = std::move(refused);
  }
  return gone;
}

}  // namespace vineyard::client
